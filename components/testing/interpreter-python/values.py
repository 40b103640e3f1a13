"""Between JSON and what componentize-py makes of WIT: the same JSON as the daemon's own (snake_case names)."""

import json
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any

from componentize_py_types import Err, Ok
from wit_world.imports import time
from wit_world.imports.execution import Function

_DURATIONS = {
    "milliseconds": time.Duration_Milliseconds,
    "seconds": time.Duration_Seconds,
    "minutes": time.Duration_Minutes,
    "hours": time.Duration_Hours,
    "days": time.Duration_Days,
}


def canonical(value: Any) -> str:
    """Write JSON that is the same for the same value, in the Python and in the JavaScript interpreter."""
    return json.dumps(value, separators=(",", ":"), sort_keys=True, ensure_ascii=False)


def text(value: Any) -> str:
    """Give JSON text to send: a string is sent as it is, also where it is no JSON."""
    return value if isinstance(value, str) else canonical(value)


def to_json(value: Any) -> Any:
    """Turn a value of the bindings into JSON."""
    match value:
        case Ok():
            return {"ok": to_json(value.value)}
        case Err():
            return {"err": to_json(value.value)}
        case Enum():
            return value.name.lower()
        case _ if is_dataclass(value):
            return _from_dataclass(value)
        case _:
            return value


def _from_dataclass(value: Any) -> Any:
    """Tell a variant's case, `<Variant>_<Case>`, from a record by its name, as the bindings have it."""
    parts = {field.name: to_json(getattr(value, field.name)) for field in fields(value)}
    _, is_case, case = type(value).__name__.partition("_")
    if not is_case:
        return parts
    name = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in case).removeprefix("_")
    return {name: parts["value"]} if parts else name


def schedule_at(when: Any) -> time.ScheduleAt:
    """Read `"now"`, `{"at": {"seconds": s, "nanoseconds": n}}` or `{"in": {"seconds": s}}` and the like."""
    match when:
        case "now":
            return time.ScheduleAt_Now()
        case {"at": {"seconds": int(seconds), "nanoseconds": int(nanoseconds)}}:
            return time.ScheduleAt_At(time.Datetime(seconds, nanoseconds))
        case {"in": dict(duration)} if len(duration) == 1:
            ((unit, amount),) = duration.items()
            return time.ScheduleAt_In(_DURATIONS[unit](amount))
    raise ValueError(f"{canonical(when)} is no schedule-at")


def function(name: Any) -> Function:
    """Read an ffqn; as `{"interface_name": i, "function_name": f}` it may be anything."""
    if isinstance(name, dict):
        return Function(name["interface_name"], name["function_name"])
    interface, _, short = name.rpartition(".")
    return Function(interface, short)


def result(value: Any) -> Ok[Any] | Err[Any]:
    """Read `{"ok": v}` or `{"err": v}`."""
    match value:
        case {"ok": inner}:
            return Ok(inner)
        case {"err": inner}:
            return Err(inner)
    raise ValueError(f"{canonical(value)} is no result")
