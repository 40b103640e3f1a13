"""Logical transactions on what dead executors left."""

import json
from collections.abc import Collection

from obelisk_daemon.clock import Instant, after
from obelisk_daemon.execution import codec
from obelisk_daemon.execution.events import Locked
from obelisk_daemon.execution.outcome import FailureRecord
from obelisk_daemon.execution.suspicion import quarantine, shared_at
from obelisk_daemon.ids import ExecutionId, ExecutorId, RunId
from obelisk_daemon.storage.records import StateChange
from obelisk_daemon.storage.sql import rows, suspects, writes
from obelisk_daemon.storage.sql.transaction import Transaction
from obelisk_daemon.storage.upkeep import FORGOTTEN_AFTER, LostEnding, LostRun, NewExecutor


def register_executor(tx: Transaction, executor: NewExecutor, at: Instant, until: Instant) -> None:
    """Make an executor known, and forget those that are long gone."""
    tx.execute("forget_executors", (after(at, -FORGOTTEN_AFTER),))
    values = (executor.executor_id, executor.host, executor.name, ",".join(sorted(executor.labels)))
    tx.execute("register_executor", (*values, executor.max_running, at, at, until))


def dead_executors(tx: Transaction, at: Instant) -> list[ExecutorId]:
    """Declare those dead whose lease has ended, and read which dead ones hold anything."""
    tx.execute("declare_dead", (at,))
    return [ExecutorId(row["executor_id"]) for row in tx.execute("dead_holders").fetchall()]


def release_hot(tx: Transaction, dead: Collection[ExecutorId]) -> None:
    """Forget what dead executors kept in memory."""
    for row in tx.execute("release_hot", (json.dumps(list(dead)),)).fetchall():
        if row["status"] == "pending_at":
            state = (row["status"], row["lifecycle"], row["due_at"])
            tx.changes.append(StateChange(ExecutionId(row["execution_id"]), *state, is_held=False))


def lost_runs(tx: Transaction, dead: Collection[ExecutorId], limit: int) -> list[LostRun]:
    """Read the runs of dead executors."""
    found = []
    for row in tx.execute("lost_runs", (json.dumps(list(dead)), limit)).fetchall():
        execution_id = ExecutionId(row["execution_id"])
        _, created = rows.read_created(tx, execution_id)
        body = tx.execute("event_body", (execution_id, row["locked_version"])).fetchone()["body"]
        locked = codec.decode_event(body)
        assert isinstance(locked, Locked)
        found.append(LostRun(execution_id, RunId(row["run_id"]), locked, rows.state_of(row), created))
    return found


def end_lost_run(tx: Transaction, lost: LostRun, ending: LostEnding, at: Instant) -> bool:
    """Append how a lost run ends: an event after which it is tried again, or the failure it finishes with.

    What is tried again is a suspect from then on, or quarantined: then the answer is True.
    """
    if isinstance(ending, FailureRecord):
        writes.finish_from_outside(tx, lost.execution_id, lost.state, ending, at)
        tx.execute("acquit", (lost.execution_id,))
        return False
    suspicion = suspects.after_death(tx, lost)
    ended = writes.add_event(tx, lost.execution_id, lost.state, ending, at)
    writes.record(tx, lost.execution_id, lost.state, ended, ending)
    if suspicion.is_enough:
        writes.add_event(tx, lost.execution_id, ended, quarantine(suspicion), at)
        tx.execute("acquit", (lost.execution_id,))
    else:
        times = (ending.due_at, shared_at(ending.due_at, at))
        values = (ended.version, *times, suspicion.turns, suspicion.deaths)
        tx.execute("suspect", (lost.execution_id, *values))
    return suspicion.is_enough
