"""Logical transactions that add to the queue from outside, within its limits (DESIGN.md section 5)."""

import json
from collections.abc import Sequence

from obelisk_daemon.clock import Instant
from obelisk_daemon.errors import CallerError, ConflictError, QueueFullError
from obelisk_daemon.execution import codec
from obelisk_daemon.execution.events import Created
from obelisk_daemon.execution.outcome import FailureKind, FailureRecord
from obelisk_daemon.ids import ExecutionId
from obelisk_daemon.storage.records import NewExecution
from obelisk_daemon.storage.sql import locking, rows, writes
from obelisk_daemon.storage.sql.connection import Row
from obelisk_daemon.storage.sql.transaction import Transaction


def submit(tx: Transaction, new: NewExecution) -> bool:
    """Insert a top-level execution, once; as locked, if its executor may still lock it."""
    if _is_there(tx, new):
        if new.state.status == "locked":
            tx.left_unlocked.append(new.execution_id)
        return False
    if tx.execute("is_allowed", (new.created.ffqn,)).fetchone() is None:
        raise CallerError("function_not_found", f"the active generation has no {new.created.ffqn} any more")
    ((new, rank),) = _as_allowed(tx, [new])
    problem = _make_room(tx, new) if rows.is_queued(new.state) else None
    if problem is not None:
        raise QueueFullError("queue_full", problem)
    tx.unwritten.insert(tx, new, rank)
    return True


def submit_many(tx: Transaction, many: Sequence[NewExecution]) -> list[bool | CallerError]:
    """Insert top-level executions, each once; one that is refused stops no other one."""
    if not _are_new(tx, many):
        return [_submitted(tx, new) for new in many]
    allowed = _as_allowed(tx, many)
    if not _are_welcome(tx, [new for new, _ in allowed if rows.is_queued(new.state)]):
        return [_submitted(tx, new) for new in many]
    for new, rank in allowed:
        tx.unwritten.insert(tx, new, rank)
    return [True] * len(many)


def _are_new(tx: Transaction, many: Sequence[NewExecution]) -> bool:
    ids = {new.execution_id for new in many}
    if len(ids) < len(many) or any(tx.unwritten.has(execution_id) for execution_id in ids):
        return False
    return tx.connection.execute("executions_of", (json.dumps(list(ids)),)).fetchone() is None


def _are_welcome(tx: Transaction, waiting: Sequence[NewExecution]) -> bool:
    """Tell if all may run and wait: then there is nothing to look at for each."""
    functions = {new.created.ffqn for new in waiting}
    if any(tx.execute("is_allowed", (ffqn,)).fetchone() is None for ffqn in functions):
        return False
    limits = [limit for component in {new.created.component for new in waiting} for limit in _limits(tx, component)]
    return all(limit["waiting"] + len(waiting) <= limit["max_pending"] for limit in limits)


def _as_allowed(tx: Transaction, many: Sequence[NewExecution]) -> list[tuple[NewExecution, int | None]]:
    """Do what `locking.as_allowed` does with each; nor does an executor that was declared dead lock anything."""
    holders = {new.state.executor_id for new in many if new.state.executor_id is not None}
    dead = {one for one in holders if tx.connection.execute("is_alive", (one,)).fetchone() is None}
    return [_locked_by(tx, new, is_alive=new.state.executor_id not in dead) for new in many]


def _locked_by(tx: Transaction, new: NewExecution, *, is_alive: bool) -> tuple[NewExecution, int | None]:
    if not is_alive:
        tx.left_unlocked.append(new.execution_id)
        return locking.unlocked(new), None
    new, rank = locking.as_allowed(tx, new)
    return new, rank if new.created.priority is None else None


def _submitted(tx: Transaction, new: NewExecution) -> bool | CallerError:
    try:
        return submit(tx, new)
    except CallerError as refused:  # before anything of it was written
        tx.left_unlocked.append(new.execution_id)
        return refused


def schedule(tx: Transaction, new: NewExecution, at: Instant) -> None:
    """Insert a top-level execution that a workflow asked for, once; where too many wait, it ends at once."""
    if _is_there(tx, new):
        return
    problem = _make_room(tx, new) if new.state.status == "pending_at" else None
    tx.unwritten.insert(tx, new)
    if problem is not None:
        record = _record(new, "rejected", problem)
        writes.finish_from_outside(tx, new.execution_id, new.state, record, at)


def _is_there(tx: Transaction, new: NewExecution) -> bool:
    if tx.execute("execution_row", (new.execution_id,)).fetchone() is None:
        return False
    _, stored = rows.read_created(tx, new.execution_id)
    if _call(stored) != _call(new.created):
        raise ConflictError("execution_exists", f"{new.execution_id} is another call, of {stored.ffqn}")
    return True


def _call(created: Created) -> tuple[object, ...]:
    """Give what makes two submissions the same: the time that was asked for, not what came of it."""
    params = codec.encode(created.params)
    return created.ffqn, params, created.intent, created.retried_from, created.labels, created.priority, created.tags


def _make_room(tx: Transaction, new: NewExecution) -> str | None:
    """See that one more may wait, ending another one if that is the rule; else say why not.

    One that ends makes room under both limits, that of its component and that of all.
    """
    component = new.created.component
    for limit in _limits(tx, component):
        if limit["waiting"] < limit["max_pending"]:
            continue
        whose = f'of "{component}"' if limit["component"] else "of all components"
        full = f"{limit['waiting']} executions {whose} wait to be started; max_pending is {limit['max_pending']}"
        if limit["when_full"] == "reject":
            return f"{full}: try again later"
        if not _evict(tx, new, full):
            return f"{full}, and none that could give way has a priority as low"
        return None
    return None


def _limits(tx: Transaction, component: str) -> Sequence[Row]:
    """Read how many of a component, and of all, wait and may; where they may not be any number."""
    limits = tx.execute("queue_room", (component,)).fetchall()
    if limits and tx.connection.guard("queues"):
        limits = tx.execute("queue_room", (component,)).fetchall()
    return limits


def _evict(tx: Transaction, new: NewExecution, why: str) -> bool:
    row = tx.execute("rank_of", (new.created.priority, new.created.ffqn)).fetchone()
    wanted = {"component": new.created.component, "rank": row["rank"]}
    found = tx.execute("eviction_victim", wanted).fetchone()
    if found is None:
        return False
    victim = ExecutionId(found["execution_id"])
    state = rows.read_state(tx, victim)
    record = _record(new, "evicted", f"evicted for {new.execution_id}: {why}")
    writes.finish_from_outside(tx, victim, state, record, new.state.changed_at)
    return True


def _record(new: NewExecution, kind: FailureKind, message: str) -> FailureRecord:
    assert new.spare_failure is not None, "who adds to the queue brings an id for a failure"
    return FailureRecord(new.spare_failure, kind, message)
