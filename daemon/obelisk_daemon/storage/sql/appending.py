"""The logical transaction that appends what a run adds, with all that follows from it."""

from collections.abc import Sequence

import msgspec

from obelisk_daemon.clock import Instant, after
from obelisk_daemon.execution.divergence import HOST_ABI
from obelisk_daemon.execution.events import CancellationRequested, ChildFinished, ComponentUpgraded, Paused
from obelisk_daemon.execution.state import State
from obelisk_daemon.ids import ExecutionId, RunId
from obelisk_daemon.storage.records import (
    Append,
    Awaits,
    LogLine,
    NewExecution,
    NewResponse,
    Recorded,
    VersionConflictError,
)
from obelisk_daemon.storage.sql import locking, queueing, rows, writes
from obelisk_daemon.storage.sql.transaction import Transaction
from obelisk_daemon.storage.sql.unwritten import HOT_GRACE


def append(tx: Transaction, made: Append) -> None:
    """Write what a run adds, if it still holds its execution at the version it thinks."""
    assert made.state.status != "blocked" or made.awaits is not None, "nothing would ever wake it"
    added, at = tx.unwritten, made.state.changed_at
    added.update(tx, (made.execution_id, made.run_id), made.entries, made.state, _missing(made))
    for child in made.children:
        tx.unwritten.insert(tx, *locking.as_allowed(tx, child))
    for new in made.scheduled:
        queueing.schedule(tx, new, at)
    for join_set, delay in made.delays:
        added.delay(made.execution_id, join_set, delay, at)
    _add_details(tx, made)
    if made.state.status == "finished" and made.may_have_delays:
        added.no_delays(made.execution_id)
    state = made.state if made.awaits is None or made.awaits.is_new else _await(tx, made, made.awaits)
    tx.changes.append(rows.change_of(made.execution_id, state))
    for delay_id in made.cancelled_delays:
        writes.cancel_delay(tx, delay_id, at)
    for child_id in made.cancelled_children:
        _request_end(tx, child_id, at)
    _answer_for_stillborn(tx, made.children)
    if made.response is not None:
        added.answer(tx, made.response)
    if made.state.run_id is None and made.held is not None:
        held = made.held
        tx.recorded.append(
            Recorded(
                made.execution_id,
                held.created,
                held.created_at,
                made.entries,
                made.state,
                locked_at=held.state.changed_at,
            )
        )


def _answer_for_stillborn(tx: Transaction, children: Sequence[NewExecution]) -> None:
    """Give the parent the outcome of children that ended as they began."""
    for child in children:
        if child.state.outcome is not None and child.created.parent is not None:
            parent_id, join_set = child.created.parent
            finished = ChildFinished(child.execution_id, child.state.outcome)
            tx.unwritten.answer(tx, NewResponse(parent_id, join_set, child.state.changed_at, finished))


def _add_details(tx: Transaction, made: Append) -> None:
    _note_failed_code(tx, made)
    if made.logs:
        tx.unwritten.lines(made.execution_id, made.run_id, made.logs)
    for failure in made.failures:
        tx.unwritten.failure(made.execution_id, failure)


def keep_lines(tx: Transaction, execution_id: ExecutionId, run_id: RunId, lines: Sequence[LogLine]) -> None:
    """Write log lines of a run that still holds its execution."""
    if tx.execute("is_held_by", (execution_id, run_id)).fetchone() is None:
        raise VersionConflictError(execution_id)
    tx.unwritten.lines(execution_id, run_id, lines)


def rows_of(made: Append) -> int:
    """Tell about how many rows an append touches."""
    added = len(made.entries) + 4 * len(made.children) + 8 * len(made.scheduled) + len(made.delays) + len(made.logs)
    return 4 + added + 4 * len(made.cancelled_delays) + 8 * len(made.cancelled_children)


def _missing(made: Append) -> int:
    """Tell how many responses an execution waits for, as far as that is known without counting what has come."""
    return made.awaits.needed if made.awaits is not None and made.awaits.is_new else 0


def _await(tx: Transaction, made: Append, awaits: Awaits) -> State:
    """Count what is missing, and give the state: an execution that misses nothing is pending at once."""
    (answered,) = tx.execute("count_responses", (made.execution_id, awaits.join_set)).fetchone()
    missing = awaits.needed - answered
    at = made.state.changed_at
    due_at = at if made.state.executor_id is None else after(at, HOT_GRACE)
    tx.execute("await_responses", {"missing": missing, "due_at": due_at, "execution_id": made.execution_id})
    return made.state if missing > 0 else msgspec.structs.replace(made.state, status="pending_at", due_at=due_at)


def _request_end(tx: Transaction, child_id: ExecutionId, at: Instant) -> None:
    """Ask a child to end, in the transaction that closes its join set: no crash comes in between."""
    state = rows.read_state(tx, child_id)
    if state.status != "finished" and state.lifecycle != "cancelling":
        writes.add_event(tx, child_id, state, CancellationRequested(), at)


def _note_failed_code(tx: Transaction, made: Append) -> None:
    """Remember on which code an execution could not go on, so that it isn't tried there again."""
    for entry in made.entries:
        match entry.event:
            case ComponentUpgraded(ok=False, digest=digest, abi=abi, version=version, message=message):
                values: tuple[object, ...] = (made.execution_id, digest, abi, version, message)
            case Paused(digest=str(digest), message=message):
                values = (made.execution_id, digest, HOST_ABI, None, message)
            case _:
                continue
        tx.execute("insert_failed_digest", values)
