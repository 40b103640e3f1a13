"""Plain values of the host interface's own types, and JSON as guests pass it."""

from collections.abc import Mapping
from typing import Final

import msgspec

from obelisk_daemon.clock import Instant
from obelisk_daemon.errors import CallerError
from obelisk_daemon.execution.events import ChildFinished, Intent, JsonCallError, ResponseItem
from obelisk_daemon.execution.joinsets import Member
from obelisk_daemon.execution.outcome import Outcome, Returned
from obelisk_daemon.execution.projection import ChildFailedError, value_for_caller
from obelisk_daemon.execution.wit_json import params_from_json, to_json
from obelisk_daemon.execution.wit_types import FunctionType, ResultType, WitType
from obelisk_daemon.ffqn import Ffqn

_MICROSECONDS: Final[Mapping[str, int]] = {
    "milliseconds": 1_000,
    "seconds": 1_000_000,
    "minutes": 60_000_000,
    "hours": 3_600_000_000,
    "days": 86_400_000_000,
}
_FARTHEST: Final = 1 << 61
"""Microseconds: farther than that is no time that comes, and the database's integers must not overflow."""


def intent_of(schedule_at: object) -> Intent:
    """Read a `schedule-at` as the journal keeps it: microseconds, of the epoch or from now."""
    match schedule_at:
        case {"at": {"seconds": int(seconds), "nanoseconds": int(nanoseconds)}}:
            return ("at", min(seconds * 1_000_000 + nanoseconds // 1_000, _FARTHEST))
        case {"in": dict(duration)}:
            ((unit, amount),) = duration.items()
            return ("in", min(amount * _MICROSECONDS[unit], _FARTHEST))
        case _:
            return ("now", 0)


def datetime_of(at: Instant) -> object:
    """Write a `datetime`."""
    seconds, micros = divmod(at, 1_000_000)
    return {"seconds": seconds, "nanoseconds": micros * 1_000}


def response_id(member: Member) -> object:
    """Write a `response-id`."""
    return {"delay_id" if member.startswith("Delay_") else "execution_id": {"id": member}}


def function_of(ffqn: str) -> object:
    """Write a `function`."""
    interface, _, name = ffqn.rpartition(".")
    return {"interface_name": interface, "function_name": name}


def ffqn_of(function: Mapping[str, str]) -> str:
    """Read a `function`, without checking it."""
    return f"{function['interface_name']}.{function['function_name']}"


def mismatch(specified: str, member: Member, actual: str | None) -> object:
    """Write the `function-mismatch` case: `actual` is None for a delay."""
    return {
        "function_mismatch": {
            "specified_function": function_of(specified),
            "actual_function": None if actual is None else function_of(actual),
            "actual_id": response_id(member),
        }
    }


def json_answer(item: ResponseItem, function: FunctionType | None) -> object:
    """Write a response as `result<option<string>, option<string>>`; a delay has no text, and is `err` if cancelled."""
    if isinstance(item, ChildFinished):
        return json_outcome(item.outcome, function)
    return {"err": None} if item.cancelled else {"ok": None}


def json_outcome(outcome: Outcome, function: FunctionType | None) -> object:
    """Write how a child ended. What its type can't say is `err` without a text; its kind can be asked for."""
    if isinstance(outcome, Returned):
        ((side, value),) = outcome.value.items()
        return {side: _text(value, _payload(function, side, value))}
    if function is None:
        return {"err": None}
    try:
        projected = value_for_caller(function, outcome)
    except ChildFailedError:
        return {"err": None}
    assert isinstance(projected, dict)
    return {"err": _text(projected["err"], _payload(function, "err", projected["err"]))}


def _payload(function: FunctionType | None, side: str, value: object) -> bool:
    """Tell if there is a payload; of a function that is gone, only a value tells."""
    if function is None:
        return value is not None
    declared = function.result
    if not isinstance(declared, ResultType):
        return declared is not None
    payload: WitType | None = declared.ok if side == "ok" else declared.err
    return payload is not None


def _text(value: object, has_payload: bool) -> str | None:
    return msgspec.json.encode(to_json(value)).decode() if has_payload else None


def parse_call(ffqn: str, params: str, function: FunctionType | None) -> list[object] | JsonCallError:
    """Check a call that is named at run time; give its params, or what the guest is told."""
    try:
        Ffqn.parse(ffqn)
    except CallerError as error:
        return JsonCallError("ffqn_parsing_error", str(error))
    if function is None:
        return JsonCallError("function_not_found")
    try:
        return params_from_json(function, msgspec.json.decode(params))
    except (CallerError, msgspec.DecodeError, RecursionError) as error:
        return JsonCallError("type_check_error", str(error))


def call_error(error: JsonCallError) -> object:
    """Write a `submit-json-error` or `schedule-json-error`."""
    return error.kind if error.kind == "function_not_found" else {error.kind: error.reason}
