"""What logical transactions on executions are made of, each a function of a `Transaction` on the writer's thread."""

from obelisk_daemon.clock import Instant
from obelisk_daemon.execution import codec
from obelisk_daemon.execution.attempt import failure_outcome
from obelisk_daemon.execution.events import (
    CancellationRequested,
    ChildFinished,
    Created,
    DelayFinished,
    Entry,
    Event,
    Finished,
    Unlocked,
)
from obelisk_daemon.execution.outcome import FailureRecord, Outcome
from obelisk_daemon.execution.state import State, apply
from obelisk_daemon.ids import DelayId, ExecutionId
from obelisk_daemon.storage.records import (
    CancellationEnd,
    CancellationProgress,
    DelayEnded,
    NewResponse,
    Recorded,
    Release,
    StateChange,
    VersionConflictError,
)
from obelisk_daemon.storage.sql import rows
from obelisk_daemon.storage.sql.transaction import Transaction


def cancel_delay(tx: Transaction, delay_id: DelayId, at: Instant) -> bool:
    """End a delay as cancelled; False when it has fired or was cancelled before."""
    row = tx.execute("take_delay", (delay_id,)).fetchone()
    if row is None:
        return False
    item = DelayFinished(delay_id, cancelled=True)
    execution_id = ExecutionId(row["execution_id"])
    tx.unwritten.answer(tx, NewResponse(execution_id, row["join_set"], at, item))
    tx.recorded.append(DelayEnded(execution_id, delay_id, row["requested_at"], at, cancelled=True))
    return True


def add_event(tx: Transaction, execution_id: ExecutionId, state: State, event: Event, at: Instant) -> State:
    """Append one event to a log that this transaction has just read."""
    entry = Entry(state.version, max(at, state.changed_at), event)
    after_it = apply(state, entry)
    values = (*rows.projection(after_it), execution_id, state.version)
    if tx.execute("update_by_version", values).rowcount != 1:
        raise VersionConflictError(execution_id)
    if rows.is_queued(state) and not rows.is_queued(after_it):
        tx.execute("count_unqueued", (execution_id,))
    tx.unwritten.events(execution_id, (entry,))
    tx.changes.append(rows.change_of(execution_id, after_it))
    return after_it


def request_cancellation(
    tx: Transaction, execution_id: ExecutionId, at: Instant, *, force: bool
) -> CancellationProgress:
    """Note that somebody wants the end, and tell who has to go first. Once it was forced, it stays so."""
    state = rows.read_state(tx, execution_id)
    if state.status == "finished":
        return CancellationProgress(already_finished=True, children=())
    was_forced = state.lifecycle == "cancelling" and _was_forced(tx, execution_id, state)
    if state.lifecycle != "cancelling" or (force and not was_forced):
        add_event(tx, execution_id, state, CancellationRequested(force), at)
    children = tuple((ExecutionId(row[0]), row[1]) for row in tx.execute("children", (execution_id,)))
    return CancellationProgress(already_finished=False, children=children, is_forced=force or was_forced)


def _was_forced(tx: Transaction, execution_id: ExecutionId, state: State) -> bool:
    """Read it from the end of the log: after the last request, only the release of a run can have followed."""
    last = tx.execute("events_from", (execution_id, state.version - 2, 2)).fetchall()
    events = [codec.decode_event(row["body"]) for row in last]
    return any(isinstance(event, CancellationRequested) and event.force for event in events)


def finish_cancelled(
    tx: Transaction, execution_id: ExecutionId, at: Instant, failure: FailureRecord
) -> CancellationEnd:
    """End an execution as cancelled, unless an executor runs it that is alive: it lets it go once it has dropped it."""
    state = rows.read_state(tx, execution_id)
    if state.status == "finished":
        return "already_finished"
    if state.status == "locked" and tx.execute("is_alive", (state.executor_id,)).fetchone() is not None:
        return "running"
    finish_from_outside(tx, execution_id, state, failure, at)
    return "finished"


def finish_from_outside(
    tx: Transaction, execution_id: ExecutionId, state: State, failure: FailureRecord, at: Instant
) -> None:
    """End an execution that no live run holds with a failure."""
    tx.unwritten.failure(execution_id, failure)
    end(tx, execution_id, state, failure_outcome(failure), at)


def end(tx: Transaction, execution_id: ExecutionId, state: State, outcome: Outcome, at: Instant) -> None:
    """End an execution from outside of a run, and tell its parent in the same transaction."""
    ended = add_event(tx, execution_id, state, Finished(outcome), at)
    tx.execute("delete_delays_of", (execution_id,))
    created = record(tx, execution_id, state, ended, Finished(outcome))
    if created.parent is not None:
        parent_id, join_set = created.parent
        tx.unwritten.answer(
            tx, NewResponse(parent_id, join_set, ended.changed_at, ChildFinished(execution_id, outcome))
        )


def record(tx: Transaction, execution_id: ExecutionId, before: State, ended: State, event: Event) -> Created:
    """Tell those who count that an event let an execution go, or ended it, from outside of a run."""
    created_at, created = rows.read_created(tx, execution_id)
    locked_at = None
    if before.locked_version is not None:
        (locked_at,) = tx.execute("event_time", (execution_id, before.locked_version)).fetchone()
    entries = (Entry(ended.version - 1, ended.changed_at, event),)
    tx.recorded.append(
        Recorded(execution_id, created, created_at, entries, ended, locked_at=locked_at, from_outside=True)
    )
    return created


def release(tx: Transaction, given_up: Release) -> None:
    """Give up a run that is no longer there, whatever its execution has become by now."""
    execution_id, due_at = given_up.execution_id, given_up.due_at
    row = tx.execute("execution_row", (execution_id,)).fetchone()
    if row is None or row["run_id"] != given_up.run_id:  # no row: a child whose creation was refused
        return
    state = rows.state_of(row)
    if state.status == "locked":
        unlocked = Unlocked(given_up.reason, due_at)
        record(tx, execution_id, state, add_event(tx, execution_id, state, unlocked, given_up.at), unlocked)
        return
    tx.execute("release_run", (due_at, execution_id))
    due = due_at if state.status == "pending_at" else None
    tx.changes.append(StateChange(execution_id, state.status, state.lifecycle, due, is_held=False))


def fire_delays(tx: Transaction, at: Instant, limit: int) -> int:
    """Turn due delays into responses."""
    due = tx.execute("due_delays", (at, limit)).fetchall()
    for row in due:
        tx.execute("delete_delay", (row["delay_id"],))
        execution_id, delay_id = ExecutionId(row["execution_id"]), DelayId(row["delay_id"])
        tx.unwritten.answer(tx, NewResponse(execution_id, row["join_set"], at, DelayFinished(delay_id)))
        tx.recorded.append(DelayEnded(execution_id, delay_id, row["requested_at"], at))
    return len(due)
