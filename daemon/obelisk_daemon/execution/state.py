"""The state of an execution as a fold over its log (DESIGN.md section 4). One function decides every transition."""

from typing import Literal, TypeAlias, assert_never

import msgspec

from obelisk_daemon.clock import Instant
from obelisk_daemon.execution.events import (
    CancellationRequested,
    ComponentUpgraded,
    Created,
    Entry,
    Finished,
    HistoryEvent,
    JoinNext,
    Locked,
    Paused,
    TemporarilyFailed,
    TemporarilyTimedOut,
    Unlocked,
    Unpaused,
)
from obelisk_daemon.execution.outcome import Outcome
from obelisk_daemon.ids import ExecutorId, RunId

Status: TypeAlias = Literal["pending_at", "locked", "blocked", "finished"]
Lifecycle: TypeAlias = Literal["active", "paused", "cancelling"]


class InvariantError(AssertionError):
    """A log that can't be: a bug of ours, or a damaged database."""


class State(msgspec.Struct, frozen=True):
    """The projection of a log. `version` is the number of the next event."""

    version: int
    status: Status
    lifecycle: Lifecycle
    changed_at: Instant
    digest: str
    due_at: Instant | None = None
    executor_id: ExecutorId | None = None
    """Who holds the execution while it is locked, or keeps its workflow in memory while it is blocked."""
    run_id: RunId | None = None
    locked_version: int | None = None
    failed_attempts: int = 0
    """Attempts counted so far, by a workflow since it last got on; the next one has the number after it."""
    join_set: str | None = None
    pause_reason: str | None = None
    outcome: Outcome | None = None
    started_at: Instant | None = None
    """When it was first locked."""

    @property
    def attempt(self) -> int:
        """The number, from 1, of the attempt that runs or comes next."""
        return self.failed_attempts + 1


def fold(entries: "tuple[Entry, ...] | list[Entry]") -> State:
    """Fold a whole log from version 0.

    Raises:
        InvariantError: the log breaks a rule of DESIGN.md section 4.
    """
    state = begin(entries[0])
    for entry in entries[1:]:
        state = follow(state, entry)
    return state


def begin(entry: Entry) -> State:
    """Give the state after the first event.

    Raises:
        InvariantError: it can't be the first.
    """
    first = entry.event
    if not isinstance(first, Created) or entry.version != 0:
        raise InvariantError(f"a log starts with `created` at version 0, not with {entry}")
    return State(1, "pending_at", "active", entry.created_at, first.digest, due_at=first.due_at)


def follow(state: State, entry: Entry) -> State:
    """Give the state after one more event of a log of which only the events are known.

    Raises:
        InvariantError: the event can't follow.
    """
    return apply(_left_memory(state) if isinstance(entry.event, Locked) else state, entry)


def _left_memory(state: State) -> State:
    """Take a workflow for pending that its log alone shows as blocked or running.

    Neither its unloading nor the response that made it pending is an event of its log.
    """
    if state.status not in ("locked", "blocked") or state.lifecycle != "active":
        return state
    return _released(state, state.changed_at)


def apply(state: State, entry: Entry) -> State:
    """Give the state after one more event.

    Raises:
        InvariantError: the event can't follow.
    """
    _check_order(state, entry)
    advanced = msgspec.structs.replace(state, version=state.version + 1, changed_at=entry.created_at)
    return _transition(advanced, entry)


def _check_order(state: State, entry: Entry) -> None:
    if state.status == "finished":
        raise InvariantError(f"nothing follows `finished`, but {entry} does")
    if entry.version != state.version:
        raise InvariantError(f"version {state.version} is next, not {entry.version}")
    if entry.created_at < state.changed_at:
        raise InvariantError(f"created_at goes back from {state.changed_at} to {entry.created_at}")


def _transition(state: State, entry: Entry) -> State:
    change = msgspec.structs.replace
    match entry.event:
        case Locked() as locked:
            _require(state.lifecycle == "active" and state.status == "pending_at", state, entry)
            return change(
                state,
                status="locked",
                due_at=None,
                executor_id=locked.executor_id,
                run_id=locked.run_id,
                locked_version=entry.version,
                digest=locked.digest if locked.upgrade_from is None else state.digest,
                join_set=None,
                started_at=state.started_at or entry.created_at,
            )
        case HistoryEvent(event=JoinNext(join_set=join_set)):
            _require(_is_running(state), state, entry)
            return change(state, status="blocked", due_at=None, join_set=join_set, failed_attempts=0)
        case HistoryEvent():
            _require(_is_running(state), state, entry)
            return change(state, status="locked", due_at=None, join_set=None, failed_attempts=0)
        case Unlocked(due_at=due_at):
            _require(state.run_id is not None, state, entry)
            return _released(state, due_at)
        case TemporarilyFailed(due_at=due_at) | TemporarilyTimedOut(due_at=due_at):
            _require(_is_running(state), state, entry)
            return change(_released(state, due_at), failed_attempts=state.failed_attempts + 1)
        case Finished(outcome=outcome):
            return change(
                _released(state, None), status="finished", lifecycle="active", pause_reason=None, outcome=outcome
            )
        case Paused(reason=reason):
            _require(state.lifecycle == "active", state, entry)
            # one that was answered has its join set still: its log shows it as blocked, and must lead to the same
            is_waiting = state.status == "pending_at" and state.run_id is None and state.join_set is None
            return change(
                _released(state, state.due_at if is_waiting else state.changed_at),
                lifecycle="paused",
                pause_reason=reason,
            )
        case Unpaused():
            _require(state.lifecycle == "paused", state, entry)
            return change(state, lifecycle="active", pause_reason=None)
        case CancellationRequested(force=force):
            _require(state.lifecycle != "cancelling" or force, state, entry)
            return change(state, lifecycle="cancelling", pause_reason=None)
        case ComponentUpgraded(ok=ok, digest=digest):
            _require(state.lifecycle != "cancelling", state, entry)
            return change(state, digest=digest) if ok else state
        case Created():
            raise InvariantError(f"`created` is only the first event, not version {entry.version}")
        case other:
            assert_never(other)


def _is_running(state: State) -> bool:
    """Tell if a run may add to the log: after a request to cancel, it may not."""
    return state.run_id is not None and state.lifecycle == "active"


def _released(state: State, due_at: Instant | None) -> State:
    """End the run. An execution that was blocked and is released by hand waits again, in its log, when it replays."""
    return msgspec.structs.replace(
        state,
        status="pending_at",
        due_at=due_at,
        executor_id=None,
        run_id=None,
        locked_version=None,
        join_set=None,
    )


def _require(holds: bool, state: State, entry: Entry) -> None:
    if not holds:
        raise InvariantError(f"{entry} can't follow {state}")


def block(state: State, join_set: str) -> State:
    """Wait for a join set, also where a replay came to the end of its log and had nothing to add to it."""
    return msgspec.structs.replace(state, status="blocked", due_at=None, join_set=join_set)


def unblock(state: State) -> State:
    """Run on: what the last event asked for was there already."""
    if state.status != "blocked":
        return state
    return msgspec.structs.replace(state, status="locked", join_set=None)


def unload(state: State) -> State:
    """Forget the run of a blocked workflow that is dropped from memory; its response makes it pending again."""
    assert state.status == "blocked"
    return msgspec.structs.replace(state, executor_id=None, run_id=None, locked_version=None)
