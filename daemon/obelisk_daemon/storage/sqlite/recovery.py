"""Logical transactions on what dead executors left, and on generations."""

from collections.abc import Sequence

from obelisk_daemon.clock import Instant
from obelisk_daemon.errors import ConflictError
from obelisk_daemon.execution import codec
from obelisk_daemon.execution.events import Event, Locked
from obelisk_daemon.execution.outcome import FailureRecord
from obelisk_daemon.ids import ExecutionId, ExecutorId, RunId
from obelisk_daemon.storage.generations import Generation, StoredComponent
from obelisk_daemon.storage.sqlite import rows, writes
from obelisk_daemon.storage.sqlite.queries import SQL
from obelisk_daemon.storage.sqlite.writer import Transaction
from obelisk_daemon.storage.upkeep import LostRun


def lost_runs(tx: Transaction, alive: ExecutorId, limit: int) -> list[LostRun]:
    """Read the runs of dead executors."""
    found = []
    for row in tx.execute(SQL["lost_runs"], (alive, limit)).fetchall():
        execution_id = ExecutionId(row["execution_id"])
        _, created = rows.read_created(tx, execution_id)
        body = tx.execute(SQL["event_body"], (execution_id, row["locked_version"])).fetchone()["body"]
        locked = codec.decode_event(body)
        assert isinstance(locked, Locked)
        found.append(LostRun(execution_id, RunId(row["run_id"]), locked, rows.state_of(row), created))
    return found


def end_lost_run(tx: Transaction, lost: LostRun, ending: Event | FailureRecord, at: Instant) -> None:
    """Append how a lost run ends: an event after which it is tried again, or the failure it finishes with."""
    if isinstance(ending, FailureRecord):
        writes.finish_from_outside(tx, lost.execution_id, lost.state, ending, at)
    else:
        writes.add_event(tx, lost.execution_id, lost.state, ending, at)


def activate(tx: Transaction, generation: Generation, codes: Sequence[StoredComponent]) -> None:
    """Store the code, then make the generation the active one: compare and set on the one before."""
    row = tx.execute(SQL["active_generation"]).fetchone()
    newest = row["number"] if row is not None else 0
    if generation.number != newest + 1:
        raise ConflictError("generation_conflict", f"generation {newest} is active, {generation.number} can't follow")
    for code in codes:
        tx.execute(SQL["insert_component"], (code.digest, code.code))
    values = (generation.number, generation.activated_at, generation.content_hash, generation.manifest)
    tx.execute(SQL["insert_generation"], values)
    members = [(generation.number, digest) for digest in generation.components]
    tx.executemany(SQL["insert_generation_component"], members)
    tx.execute(SQL["clear_allowed"])
    tx.executemany(SQL["insert_allowed"], list(generation.allowed.items()))


def read_generation(tx: Transaction) -> Generation | None:
    """Read the active generation."""
    row = tx.execute(SQL["active_generation"]).fetchone()
    if row is None:
        return None
    members = tx.execute(SQL["generation_components"], (row["number"],)).fetchall()
    return Generation(
        number=row["number"],
        activated_at=row["activated_at"],
        manifest=row["manifest"],
        content_hash=row["content_hash"],
        allowed={r["ffqn"]: r["digest"] for r in tx.execute(SQL["read_allowed"]).fetchall()},
        components=tuple(r["digest"] for r in members),
    )


def paused_automatically(tx: Transaction) -> list[tuple[ExecutionId, str, str]]:
    """Read executions that wait for code that can replay them."""
    return [tuple(row) for row in tx.execute(SQL["paused_automatically"]).fetchall()]
