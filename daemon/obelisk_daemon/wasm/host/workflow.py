"""`obelisk:workflow/workflow-support@6.0.0`, its variant with backtraces, and the types' resource.

Each host function asks the journal first. Replaying, the answer is there and the guest never leaves its fiber;
live, the function gives a coroutine that commits and waits, and the guest parks.
"""

from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from obelisk_daemon.clock import Instant
from obelisk_daemon.errors import CallerError
from obelisk_daemon.execution.events import DelayFinished, JsonCallError, ResponseItem, Schedule, Stub
from obelisk_daemon.execution.outcome import Failed, Outcome
from obelisk_daemon.execution.projection import returned
from obelisk_daemon.execution.wit_json import result_from_json
from obelisk_daemon.execution.wit_types import FunctionType
from obelisk_daemon.ids import ExecutionId, parse_execution_id, parse_submitted_id
from obelisk_daemon.wasm.host import joinset, values
from obelisk_daemon.wasm.host.calls import stub_result
from obelisk_daemon.wasm.host.context import HostedGuest, WorkflowHost, workflow_of
from obelisk_daemon.wasm.resources import GuestStopped

HostFunction = Callable[..., object]

_SUPPORT: Final = "obelisk:workflow/workflow-support@6.0.0"
_BACKTRACE: Final = "obelisk:workflow/workflow-support-backtrace@6.0.0"
_JOIN_SET: Final = "obelisk:types/join-set@5.0.0"
_FLUSH_AT: Final = 256
"""Requests that are collected before they are committed without being waited for."""
_FAILURE_KINDS: Final[Mapping[str, str]] = {
    "timed_out": "timed_out",
    "nondeterminism": "nondeterminism_detected",
    "out_of_fuel": "out_of_fuel",
    "cancelled": "cancelled",
}


def resolve(interface: str, function: str) -> HostFunction | None:
    """Give the host function of an import, if it is of these interfaces."""
    if interface == _JOIN_SET:
        return joinset.TYPES.get(function)
    if interface not in (_SUPPORT, _BACKTRACE) or function not in _FUNCTIONS:
        return None
    found = requesting(_FUNCTIONS[function])
    return _without_backtrace(found) if interface == _BACKTRACE else found


def requesting(function: HostFunction) -> HostFunction:
    """Make a host function that asks the journal for something what a guest calls.

    Before it, the join sets that the guest has dropped are closed; after it, what was asked is committed if it is much.
    """

    def call(guest: HostedGuest, *params: object) -> object:
        host = workflow_of(guest)
        if host.dropped:
            return _close_dropped(host, function, guest, params)
        answer = function(guest, *params)
        if len(host.journal.new) < _FLUSH_AT or hasattr(answer, "__await__"):  # who waits, commits
            return answer
        return joinset.flush_then(host, answer)

    return call


async def _close_dropped(
    host: WorkflowHost, function: HostFunction, guest: HostedGuest, params: tuple[object, ...]
) -> object:
    while host.dropped:
        await host.close(host.dropped.pop(0))
    answer = function(guest, *params)
    return await answer if hasattr(answer, "__await__") else answer


def _without_backtrace(function: HostFunction) -> HostFunction:
    def call(guest: HostedGuest, *params: object) -> object:
        return function(guest, *params[:-1])

    return call


def _execution_id_current(guest: HostedGuest) -> object:
    return {"id": workflow_of(guest).journal.execution_id}


def _random_u64(guest: HostedGuest, low: int, high_exclusive: int) -> object:
    return workflow_of(guest).journal.random_u64(low, high_exclusive)


def _random_u64_inclusive(guest: HostedGuest, low: int, high: int) -> object:
    return workflow_of(guest).journal.random_u64(low, high + 1)


def _random_string(guest: HostedGuest, shortest: int, longest_exclusive: int) -> object:
    return workflow_of(guest).journal.random_string(shortest, longest_exclusive)


def _sleep(guest: HostedGuest, schedule_at: object, name: str | None) -> object:
    host = workflow_of(guest)
    join_set, due_at = host.journal.sleep(values.intent_of(schedule_at), name)
    item = host.journal.take(join_set)
    return _wait_for_delay(host, join_set, due_at) if item is None else _slept(item, due_at)


async def _wait_for_delay(host: WorkflowHost, join_set: str, due_at: Instant) -> object:
    return _slept(await host.wait(join_set), due_at)


def _slept(item: ResponseItem, due_at: Instant) -> object:
    assert isinstance(item, DelayFinished)
    return {"err": None} if item.cancelled else {"ok": values.datetime_of(due_at)}


def _get_result_json(guest: HostedGuest, execution_id: Mapping[str, str]) -> object:
    host = workflow_of(guest)
    known = _result_of(host, execution_id)
    if isinstance(known, dict):
        return known
    ffqn, outcome = known
    return {"ok": values.json_outcome(outcome, host.function_type(ffqn))}


def _get_failure_kind(guest: HostedGuest, execution_id: Mapping[str, str]) -> object:
    known = _result_of(workflow_of(guest), execution_id)
    if isinstance(known, dict):
        return known
    outcome = known[1]
    return {"ok": _FAILURE_KINDS.get(outcome.kind, "uncategorized") if isinstance(outcome, Failed) else None}


def _result_of(host: WorkflowHost, execution_id: Mapping[str, str]) -> dict[str, object] | tuple[str, Outcome]:
    try:
        child = parse_execution_id(execution_id["id"])
    except CallerError as error:
        return {"err": {"execution_id_parsing_error": str(error)}}
    known = host.journal.sets.results.get(child)
    return {"err": "not_found_in_processed_responses"} if known is None else known


def _last_direct_call_id(guest: HostedGuest) -> object:
    last = workflow_of(guest).journal.last_direct_call
    return None if last is None else {"id": last}


def _last_oneoff_id(guest: HostedGuest) -> object:
    last = workflow_of(guest).journal.last_one_off
    return None if last is None else values.response_id(last)


def _execution_id_generate(guest: HostedGuest) -> object:
    return {"id": workflow_of(guest).journal.new_execution_id()}


def _schedule_json(
    guest: HostedGuest, execution_id: Mapping[str, str], schedule_at: object, function: Mapping[str, str], params: str
) -> object:
    host, ffqn = workflow_of(guest), values.ffqn_of(function)
    try:
        new = parse_submitted_id(execution_id["id"])
    except CallerError as invalid:
        raise GuestStopped("trap", f"schedule-json: {invalid}") from invalid
    parsed = host.journal.refused_next(ffqn, params) or values.parse_call(ffqn, params, host.function_type(ffqn))
    intent = values.intent_of(schedule_at)
    if not isinstance(parsed, list):
        return _scheduled(host, Schedule(new, ffqn, params, intent, Instant(0), parsed))
    event = Schedule(new, ffqn, parsed, intent, Instant(0))
    if host.journal.is_replaying or host.journal.is_unused(new):
        return _scheduled(host, event)
    return _schedule_checked(host, event)


async def _schedule_checked(host: WorkflowHost, event: Schedule) -> object:
    """Schedule under an id that may be somebody's: the database would refuse it, and would again at every replay."""
    await host.flush()  # the execution may be one that was only just asked for
    if await host.is_taken(event):
        error = JsonCallError("execution_exists", f"schedule-json: {event.execution_id} is another call")
        event = msgspec.structs.replace(event, error=error)
    return _scheduled(host, event)


def _scheduled(host: WorkflowHost, event: Schedule) -> object:
    asked = host.journal.schedule(event)
    if asked.error is not None and asked.error.kind == "execution_exists":
        raise GuestStopped("trap", asked.error.reason)
    return {"ok": None} if asked.error is None else {"err": values.call_error(asked.error)}


def _call_json(guest: HostedGuest, function: Mapping[str, str], params: str) -> object:
    host, ffqn = workflow_of(guest), values.ffqn_of(function)
    journal, of = host.journal, host.function_type(ffqn)
    join_set = journal.create_set("o")
    parsed = journal.refused_next(ffqn, params) or values.parse_call(ffqn, params, of)
    if not isinstance(parsed, list):
        return {"err": values.call_error(journal.refuse(join_set, ffqn, params, parsed))}
    journal.call(ffqn, parsed, join_set)
    item = journal.take(join_set)
    return _wait_for_json(host, join_set, of) if item is None else {"ok": values.json_answer(item, of)}


async def _wait_for_json(host: WorkflowHost, join_set: str, of: FunctionType | None) -> object:
    return {"ok": values.json_answer(await host.wait(join_set), of)}


def _stub_json(guest: HostedGuest, execution_id: Mapping[str, str], result_json: str) -> object:
    host = workflow_of(guest)
    try:
        stub = parse_execution_id(execution_id["id"])
    except CallerError as error:
        return {"err": {"execution_id_parsing_error": str(error)}}
    if host.journal.is_replaying:
        return stub_result(host.journal.stub(Stub(stub, result_json, "ok")))
    return _give_json(host, stub, result_json)


async def _give_json(host: WorkflowHost, stub: ExecutionId, result_json: str) -> object:
    await host.flush()  # the execution may be one that was only just asked for
    ffqn = await host.find_stub(stub)
    of = None if ffqn is None else host.function_type(ffqn)
    if ffqn is None or of is None:
        return stub_result(host.journal.stub(Stub(stub, result_json, "execution_not_found")))
    try:
        result = _read_result(of, result_json)
    except (CallerError, msgspec.DecodeError, RecursionError) as error:
        return stub_result(host.journal.stub(Stub(stub, result_json, "type_check_error", str(error))))
    came = await host.finish_stub(stub, ffqn, result)
    return stub_result(host.journal.stub(Stub(stub, result_json, came)))


def _read_result(of: FunctionType, text: str) -> dict[str, object]:
    """Read a stub's result: of its own type, or any other value of a function without `result`."""
    return returned(of, result_from_json(of, msgspec.json.decode(text))).value


_FUNCTIONS: Final[Mapping[str, HostFunction]] = {
    **joinset.FUNCTIONS,
    "execution-id-current": _execution_id_current,
    "random-u64": _random_u64,
    "random-u64-inclusive": _random_u64_inclusive,
    "random-string": _random_string,
    "sleep": _sleep,
    "get-result-json": _get_result_json,
    "get-execution-failure-kind": _get_failure_kind,
    "last-direct-call-id": _last_direct_call_id,
    "last-oneoff-id": _last_oneoff_id,
    "execution-id-generate": _execution_id_generate,
    "schedule-json": _schedule_json,
    "call-json": _call_json,
    "stub-json": _stub_json,
}
