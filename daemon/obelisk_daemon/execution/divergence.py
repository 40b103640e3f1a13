"""When a replay asks for something else than the record says: what is compared, and how it is told."""

from typing import Final

from obelisk_daemon.execution import codec
from obelisk_daemon.execution.events import (
    ChildRequest,
    DelayRequest,
    HistoryItem,
    JoinNext,
    JoinNextTooMany,
    JoinNextTry,
    JoinSetCreate,
    JoinSetRequest,
    Persist,
    RefusedRequest,
    Schedule,
    Stub,
)

HOST_ABI: Final = 1
"""What the host gives a workflow, counted: raised when an old log could replay otherwise on the same code."""


class NondeterminismError(Exception):
    """The workflow asked for something else than its log says. `version` is where the two part."""

    def __init__(self, version: int, expected: HistoryItem, got: HistoryItem | str) -> None:
        self.version = version
        self.expected = describe(expected)
        self.got = got if isinstance(got, str) else describe(got)
        super().__init__(f"at version {version}: expected {self.expected}, got {self.got}")


def same_key(recorded: HistoryItem, asked: HistoryItem) -> bool:
    """Compare what was asked, not what came of it."""
    # as written, NaN equals itself, and 1, 1.0 and True, or 0.0 and -0.0, are not the same
    return codec.encode(_key(recorded)) == codec.encode(_key(asked))


def _key(item: HistoryItem) -> object:
    """Give the part of a request that a replay must repeat."""
    match item:
        case Persist(kind=kind, args=args):
            return kind, args
        case JoinSetRequest(request=DelayRequest(delay_id=delay, intent=intent)):
            return "delay", delay, intent
        case JoinSetRequest(join_set=join_set, request=RefusedRequest(ffqn=ffqn, params=params)):
            return "refused", join_set, ffqn, params
        case JoinNextTry(join_set=join_set):
            return "try", join_set
        case JoinNext(join_set=join_set, function=function, closing=closing):
            return "next", join_set, function, closing
        case Schedule(execution_id=execution_id, ffqn=ffqn, params=params, intent=intent):
            return "schedule", execution_id, ffqn, params, intent
        case Stub(execution_id=execution_id, result=result):
            return "stub", execution_id, result
        case _:
            return item


def describe(item: HistoryItem) -> str:
    """Say what was asked, for people."""
    match item:
        case JoinSetRequest():
            return f"{_describe_request(item.request)} in join set {item.join_set}"
        case JoinSetCreate(join_set=join_set):
            return f"a new join set {join_set}"
        case JoinNext(join_set=join_set, closing=True):
            return f"the closing of {join_set}"
        case JoinNext(join_set=join_set, function=function) | JoinNextTooMany(join_set=join_set, function=function):
            return f"join-next on {join_set}" + (f" for {function}" if function else "")
        case JoinNextTry(join_set=join_set):
            return f"join-next-try on {join_set}"
        case Persist(kind=kind, args=args):
            return kind.replace("_", "-") + (f" from {args[0]} to {args[1]}" if kind != "execution_id" else "")
        case Schedule():
            return f"the schedule of {item.ffqn} with {_short(item.params)} as {item.execution_id}"
        case Stub():
            return f"the result {_short(item.result)} for the stub {item.execution_id}"


def _describe_request(request: ChildRequest | DelayRequest | RefusedRequest) -> str:
    match request:
        case ChildRequest() | RefusedRequest():
            return f"a call of {request.ffqn} with {_short(request.params)}"
        case DelayRequest(intent=(kind, amount)):
            return f"a delay {kind} {amount} us"


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 200 else text[:200] + "..."
