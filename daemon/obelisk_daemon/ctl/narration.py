"""Events and responses as a line a person reads."""

from collections.abc import Mapping
from typing import Any, Final

from obelisk_daemon.ctl.output import shortened, to_text

Event = Mapping[str, Any]
_LONGEST: Final = 160


def told(event: Event) -> str:
    """Write what happened, after its time: `03:04:05.001  locked     attempt 1 ...`."""
    return f"{time_of(event)}  {verb(event) or event['type']:<22} {details(event)}".rstrip()


def verb(event: Event) -> str:
    """Say what a workflow did in a history event; nothing for other events."""
    if event["type"] != "history_event":
        return ""
    return {"join_next": "waits", "persist": "drew"}.get(event["event"]["type"], "asked")


def time_of(event: Event) -> str:
    """Give the time of day, UTC, with milliseconds."""
    return str(event["created_at"])[11:23]


def details(event: Event) -> str:
    """Write the part that its type doesn't say."""
    match event:
        case {"type": "history_event", "event": asked}:
            return _asked(asked)
        case {"type": "created", "ffqn": ffqn, "params": params}:
            return _call(ffqn, params)
        case {"type": "locked", "attempt": attempt, "executor_id": executor}:
            return f"attempt {attempt} on {executor}"
        case {"type": "unlocked", "reason": reason, "due_at": due}:
            return f"{reason}; due {due}"
        case {"type": "temporarily_failed", "attempt": attempt, "reason": reason, "due_at": due}:
            return f"attempt {attempt}: {reason}; again at {due}"
        case {"type": "temporarily_timed_out", "attempt": attempt, "reason": reason, "due_at": due}:
            return f"attempt {attempt}: {reason}; again at {due}"
        case {"type": "child_finished", "execution_id": child, "result": result}:
            return f"{child} -> {short_json(result)}"
        case {"type": "delay_finished", "delay_id": delay}:
            return str(delay)
        case {"type": "finished", "result": result}:
            return short_json(result)
        case _:
            return _remaining(event)


def _asked(asked: Event) -> str:
    match asked:
        case {"type": "join_set_create", "join_set": join_set}:
            return f"join set {join_set}"
        case {"type": "join_set_request", "join_set": join_set, "request": {"type": "child"} as child}:
            return f"{_call(child['ffqn'], child['params'])} as {child['execution_id']} in {join_set}"
        case {"type": "join_set_request", "join_set": join_set, "request": {"type": "delay"} as delay}:
            return f"a delay until {delay['due_at']} in {join_set}"
        case {"type": "join_next", "join_set": join_set}:
            return f"for {join_set}"
        case {"type": "persist", "kind": kind, "value": value}:
            return f"{kind} {short_json(value)}"
        case _:
            return short_json(asked)


def _remaining(event: Event) -> str:
    known = ("type", "version", "seq", "created_at", "join_set")
    rest = {name: value for name, value in event.items() if name not in known}
    return ", ".join(f"{name} {value if isinstance(value, str) else short_json(value)}" for name, value in rest.items())


def _call(ffqn: str, params: list[Any]) -> str:
    return f"{ffqn}({shortened(to_text(params)[1:-1], _LONGEST)})"


def short_json(value: object) -> str:
    """Write JSON, cut where it gets long."""
    return shortened(to_text(value), _LONGEST)
