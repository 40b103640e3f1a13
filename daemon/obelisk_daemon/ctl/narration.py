"""Events and responses as a line a person reads."""

from collections.abc import Mapping
from typing import Any, Final

from obelisk_daemon.ctl.output import shortened, to_text

Event = Mapping[str, Any]
_LONGEST: Final = 160
_DIGEST_SHOWN: Final = len("sha256:") + 12
_VERBS: Final = {
    "join_next": "waits",
    "join_next_too_many": "waits",
    "join_next_try": "looks",
    "persist": "drew",
    "schedule": "scheduled",
    "stub": "stubbed",
}


def told(event: Event) -> str:
    """Write what happened, after its time: `03:04:05.001  locked     attempt 1 ...`."""
    return f"{time_of(event)}  {verb(event) or event['type']:<22} {details(event)}".rstrip()


def verb(event: Event) -> str:
    """Say what a workflow did in a history event; nothing for other events."""
    if event["type"] != "history_event":
        return ""
    match event["event"]:
        case {"type": "join_next", "closing": True}:
            return "closes"
        case {"type": kind}:
            return _VERBS.get(kind, "asked")
    return "asked"


def time_of(event: Event) -> str:
    """Give the time of day, UTC, with milliseconds."""
    return str(event["created_at"])[11:23]


def details(event: Event) -> str:
    """Write the part that its type doesn't say."""
    match event:
        case {"type": "history_event", "event": asked}:
            return _asked(asked)
        case {"type": "created", "ffqn": ffqn, "params": params}:
            return _call(ffqn, params) + _origin(event)
        case {"type": "locked", "attempt": attempt, "executor_id": executor}:
            trial = f", trying {_short(event['digest'])}" if event.get("upgrade_from") else ""
            return f"attempt {attempt} on {executor}{trial}"
        case {"type": "unlocked", "reason": reason, "due_at": due}:
            return f"{reason}; due {due}"
        case {"type": "temporarily_failed", "attempt": attempt, "reason": reason, "due_at": due}:
            return f"attempt {attempt}: {reason}; again at {due}" + _recorded(event)
        case {"type": "temporarily_timed_out", "attempt": attempt, "reason": reason, "due_at": due}:
            return f"attempt {attempt}: {reason}; again at {due}" + _recorded(event)
        case {"type": "child_finished", "execution_id": child, "result": result}:
            return f"{child} -> {short_json(result)}"
        case {"type": "delay_finished", "delay_id": delay}:
            return f"{delay} cancelled" if event.get("cancelled") else str(delay)
        case {"type": "finished", "result": result}:
            return short_json(result) + _recorded(event)
        case {"type": "cancellation_requested"}:
            return "by force" if event.get("force") else ""
        case {"type": "paused", "reason": reason}:
            message = event.get("message")
            return str(reason) + (f": {shortened(message, _LONGEST)}" if message else "") + _recorded(event)
        case {"type": "unpaused", "reason": reason}:
            return str(reason)
        case {"type": "component_upgraded", "digest": digest}:
            return _upgrade(event, _short(digest))
        case _:
            return _remaining(event)


def _upgrade(event: Event, digest: str) -> str:
    if event["ok"]:
        return f"goes on with {digest}" + (", by force" if event.get("forced") else "")
    message = shortened(event.get("message", ""), _LONGEST)
    return f"not on {digest}, diverges {message}" if "diverges_at" in event else f"not on {digest}: {message}"


def _asked(asked: Event) -> str:
    match asked:
        case {"type": "join_set_create", "join_set": join_set}:
            return f"join set {join_set}"
        case {"type": "join_set_request", "join_set": join_set, "request": {"type": "child"} as child}:
            return f"{_call(child['ffqn'], child['params'])} as {child['execution_id']} in {join_set}"
        case {"type": "join_set_request", "join_set": join_set, "request": {"type": "delay"} as delay}:
            return f"a delay until {delay['due_at']} in {join_set}"
        case {"type": "join_set_request", "join_set": join_set, "request": {"type": "refused"} as call}:
            return f"{call['ffqn']} in {join_set}, refused: {_refusal(call['error'])}"
        case {"type": "join_next", "closing": True, "join_set": join_set}:
            outcome = asked.get("result")
            return f"{join_set}" + ("" if outcome is None else f" at its end: {short_json(outcome)}")
        case {"type": "join_next", "join_set": join_set}:
            return f"for {join_set}" + _wanted(asked)
        case {"type": "join_next_too_many", "join_set": join_set}:
            return f"for {join_set}{_wanted(asked)}: all processed"
        case {"type": "join_next_try", "join_set": join_set, "found": found}:
            return f"into {join_set}: {found.replace('_', ' ')}"
        case {"type": "schedule", "ffqn": ffqn, "params": str() as params, "error": error}:
            return f"{ffqn}({shortened(params, _LONGEST)}), refused: {_refusal(error)}"
        case {"type": "schedule", "ffqn": ffqn, "params": params, "execution_id": new, "due_at": due}:
            return f"{_call(ffqn, params)} as {new}, due {due}"
        case {"type": "stub", "execution_id": stub, "result": result, "came": came}:
            reason = asked.get("reason")
            told_of_it = f"{came.replace('_', ' ')}: {reason}" if reason else came.replace("_", " ")
            return (
                f"{stub} -> {shortened(result if isinstance(result, str) else to_text(result), _LONGEST)}: {told_of_it}"
            )
        case {"type": "persist", "kind": kind, "value": value}:
            return f"{kind} {short_json(value)}"
        case _:
            return short_json(asked)


def _origin(created: Event) -> str:
    due = f", due {created['due_at']}" if created.get("intent") else ""
    again = f", repeats {created['retried_from']}" if created.get("retried_from") else ""
    return due + again


def _short(digest: str) -> str:
    return digest[:_DIGEST_SHOWN]


def _recorded(event: Event) -> str:
    """Name what `obelisk-ctl error` shows more of; a failed result names it itself."""
    failure_id = event.get("failure_id")
    return f" ({failure_id})" if failure_id else ""


def _wanted(asked: Event) -> str:
    return f", {asked['function']}" if asked.get("function") else ""


def _refusal(error: Event) -> str:
    return ": ".join(part for part in (error["kind"].replace("_", " "), error.get("reason")) if part)


def _remaining(event: Event) -> str:
    known = ("type", "version", "seq", "created_at", "join_set")
    rest = {name: value for name, value in event.items() if name not in known}
    return ", ".join(f"{name} {value if isinstance(value, str) else short_json(value)}" for name, value in rest.items())


def _call(ffqn: str, params: list[Any]) -> str:
    return f"{ffqn}({shortened(to_text(params)[1:-1], _LONGEST)})"


def short_json(value: object) -> str:
    """Write JSON, cut where it gets long."""
    return shortened(to_text(value), _LONGEST)
