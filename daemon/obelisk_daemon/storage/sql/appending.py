"""The logical transaction that appends what a run adds, with all that follows from it."""

from collections.abc import Sequence

import msgspec

from obelisk_daemon.clock import Instant, after
from obelisk_daemon.execution.divergence import HOST_ABI
from obelisk_daemon.execution.events import CancellationRequested, ChildFinished, ComponentUpgraded, Locked, Paused
from obelisk_daemon.execution.state import State, fold
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
from obelisk_daemon.storage.sql import queueing, rows, writes
from obelisk_daemon.storage.sql.connection import Cursor
from obelisk_daemon.storage.sql.writer import Transaction


def append(tx: Transaction, made: Append) -> tuple[ExecutionId, ...]:
    """Write what a run adds, if it still holds its execution at the version it thinks; give the children left unlocked.

    A child that its executor has locked by the rules of an outdated generation is made, but waits to be locked again.
    """
    assert made.state.status != "blocked" or made.awaits is not None, "nothing would ever wake it"
    before = made.state.version - len(made.entries)
    values = (*rows.projection(made.state), _missing(made), made.execution_id, before, made.run_id)
    updated = tx.execute("update_by_run", values)
    tx.look(lambda: _require_one(made.execution_id, updated))
    rows.insert_events(tx, made.execution_id, made.entries)
    left_unlocked = _insert_children(tx, made.children)
    for new in made.scheduled:
        queueing.schedule(tx, new, made.state.changed_at)
    for join_set, delay in made.delays:
        timed = (delay.due_at, made.state.changed_at)
        tx.execute("insert_delay", (delay.delay_id, made.execution_id, join_set, *timed))
    _insert_details(tx, made)
    if made.state.status == "finished" and made.may_have_delays:
        tx.execute("delete_delays_of", (made.execution_id,))
    state = made.state if made.awaits is None or made.awaits.is_new else _await(tx, made, made.awaits)
    tx.changes.append(rows.change_of(made.execution_id, state))
    for delay_id in made.cancelled_delays:
        writes.cancel_delay(tx, delay_id, made.state.changed_at)
    for child_id in made.cancelled_children:
        _request_end(tx, child_id, made.state.changed_at)
    _answer_for_stillborn(tx, made.children)
    if made.response is not None:
        writes.respond(tx, made.response)
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
    return left_unlocked


def _require_one(execution_id: ExecutionId, updated: Cursor) -> None:
    if updated.rowcount != 1:
        raise VersionConflictError(execution_id)


def _insert_children(tx: Transaction, children: Sequence[NewExecution]) -> tuple[ExecutionId, ...]:
    left_unlocked = []
    for child in children:
        rank = _rank_of_locked(tx, child) if child.state.status == "locked" else None
        if rank is None and child.state.status == "locked":
            left_unlocked.append(child.execution_id)
            child = msgspec.structs.replace(child, entries=child.entries[:1], state=fold(child.entries[:1]))  # noqa: PLW2901
        rows.insert_execution(tx, child, rank)
    return tuple(left_unlocked)


def _rank_of_locked(tx: Transaction, child: NewExecution) -> int | None:
    """Give the rank of a child that its executor has locked; None if that was by the rules of another generation."""
    locked = child.entries[-1].event
    assert isinstance(locked, Locked)
    values, ranks = (child.created.ffqn, locked.digest, locked.generation), tx.connection.ranks
    if values not in ranks:
        row = tx.execute("rank_of_locked_child", values).fetchone()
        if row is None:
            return None
        ranks[values] = int(row["rank"])
    return ranks[values]


def _answer_for_stillborn(tx: Transaction, children: Sequence[NewExecution]) -> None:
    """Give the parent the outcome of children that ended as they began."""
    for child in children:
        if child.state.outcome is not None and child.created.parent is not None:
            parent_id, join_set = child.created.parent
            finished = ChildFinished(child.execution_id, child.state.outcome)
            writes.respond(tx, NewResponse(parent_id, join_set, child.state.changed_at, finished))


def _insert_details(tx: Transaction, made: Append) -> None:
    _note_failed_code(tx, made)
    if made.logs:
        _insert_lines(tx, made.execution_id, made.run_id, made.logs)
    for failure in made.failures:
        rows.insert_failure(tx, made.execution_id, failure)


def _insert_lines(tx: Transaction, execution_id: ExecutionId, run_id: RunId, lines: Sequence[LogLine]) -> None:
    tx.executemany("insert_log_line", [(execution_id, run_id, one.created_at, one.level, one.message) for one in lines])


def keep_lines(tx: Transaction, execution_id: ExecutionId, run_id: RunId, lines: Sequence[LogLine]) -> None:
    """Write log lines of a run that still holds its execution."""
    if tx.execute("is_held_by", (execution_id, run_id)).fetchone() is None:
        raise VersionConflictError(execution_id)
    _insert_lines(tx, execution_id, run_id, lines)


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
    due_at = at if made.state.executor_id is None else after(at, writes.HOT_GRACE)
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
