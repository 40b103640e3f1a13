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
from obelisk_daemon.storage.sql import rows, writes
from obelisk_daemon.storage.sql.connection import Row
from obelisk_daemon.storage.sql.writer import Transaction


def submit(tx: Transaction, new: NewExecution) -> bool:
    """Insert a top-level execution, once."""
    if _is_there(tx, new):
        return False
    if tx.execute("is_allowed", (new.created.ffqn,)).fetchone() is None:
        raise CallerError("function_not_found", f"the active generation has no {new.created.ffqn} any more")
    problem = _make_room(tx, new)
    if problem is not None:
        raise QueueFullError("queue_full", problem)
    rows.insert_execution(tx, new)
    return True


def submit_many(tx: Transaction, many: Sequence[NewExecution]) -> list[bool | CallerError]:
    """Insert top-level executions, each once; one that is refused stops no other one."""
    if not _all_welcome(tx, many):
        return [_submitted(tx, new) for new in many]
    rows.insert_executions(tx, many)
    return [True] * len(many)


def _all_welcome(tx: Transaction, many: Sequence[NewExecution]) -> bool:
    """Tell if none is there yet, and all may run and wait: then there is nothing to look at for each."""
    ids = {new.execution_id for new in many}
    if len(ids) < len(many) or tx.execute("executions_of", (json.dumps(list(ids)),)).fetchone() is not None:
        return False
    functions = {new.created.ffqn for new in many}
    if any(tx.execute("is_allowed", (ffqn,)).fetchone() is None for ffqn in functions):
        return False
    limits = [limit for component in {new.created.component for new in many} for limit in _limits(tx, component)]
    return all(limit["waiting"] + len(many) <= limit["max_pending"] for limit in limits)


def _submitted(tx: Transaction, new: NewExecution) -> bool | CallerError:
    try:
        return submit(tx, new)
    except CallerError as refused:  # before anything of it was written
        return refused


def schedule(tx: Transaction, new: NewExecution, at: Instant) -> None:
    """Insert a top-level execution that a workflow asked for, once; where too many wait, it ends at once."""
    if _is_there(tx, new):
        return
    problem = _make_room(tx, new) if new.state.status == "pending_at" else None
    rows.insert_execution(tx, new)
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
