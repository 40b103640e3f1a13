"""Whether what is stored of an execution follows from its log: the rule that the log is the truth."""

from collections.abc import Iterator, Sequence
from typing import Final

from obelisk_daemon.execution.events import Entry, HistoryEvent, JoinNext, Response
from obelisk_daemon.execution.state import InvariantError, State, fold

_OF_THE_LOG: Final = (
    "version",
    "lifecycle",
    "digest",
    "changed_at",
    "pause_reason",
    "outcome",
    "failed_attempts",
    "started_at",
)
_OF_A_RUN: Final = ("executor_id", "run_id", "locked_version")
_OF_WAITING: Final = ("status", "due_at", "join_set")


def contradictions(stored: State, entries: Sequence[Entry], responses: Sequence[Response]) -> Iterator[str]:
    """Say where a stored projection differs from what its log and its responses make it.

    A workflow that waits is the one thing that the log alone doesn't tell: where it waits again after a replay, and
    whether its response has come, the responses say.
    """
    if not entries:
        yield "it has no log"
        return
    try:
        state = fold(list(entries))
    except InvariantError as error:
        yield f"its log can't be: {error}"
        return
    yield from _differing(stored, state, _OF_THE_LOG)
    if [response.seq for response in responses] != list(range(1, len(responses) + 1)):
        yield "its responses are not numbered 1, 2, 3, ..."
    if state.status not in ("locked", "blocked"):
        yield from _differing(stored, state, _OF_WAITING)
        return
    if stored.run_id is not None:
        yield from _differing(stored, state, _OF_A_RUN)
    if stored.status != "locked":
        yield from _wrong_waiting(stored, entries, responses)
    elif stored.run_id is None:
        yield "it is locked, and by no run"


def _differing(stored: State, state: State, names: Sequence[str]) -> Iterator[str]:
    for name in names:
        has, should = getattr(stored, name), getattr(state, name)
        if has != should:
            yield f"{name} is {has!r}, and its log says {should!r}"


def _wrong_waiting(stored: State, entries: Sequence[Entry], responses: Sequence[Response]) -> Iterator[str]:
    awaited = [
        entry.event.event.join_set
        for entry in entries
        if isinstance(entry.event, HistoryEvent) and isinstance(entry.event.event, JoinNext)
    ]
    if not awaited:
        yield f"it is {stored.status}, and its log waits for nothing"
        return
    join_set = awaited[-1]
    answered = sum(response.join_set == join_set for response in responses) >= awaited.count(join_set)
    if stored.join_set != join_set:
        yield f"it waits for the join set {stored.join_set}, and its log for {join_set}"
    if stored.status != ("pending_at" if answered else "blocked"):
        yield f"it is {stored.status}, though what it waits for has {'come' if answered else 'not come'}"
    if (stored.due_at is not None) != answered:
        yield f"it is due at {stored.due_at}, though what it waits for has {'come' if answered else 'not come'}"
