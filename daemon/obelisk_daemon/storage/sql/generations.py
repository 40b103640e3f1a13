"""Logical transactions on generations: what is active, what it allows, and its code."""

from collections.abc import Mapping, Sequence

from obelisk_daemon.errors import ConflictError
from obelisk_daemon.execution.divergence import HOST_ABI
from obelisk_daemon.ids import ExecutionId
from obelisk_daemon.storage.generations import AllowedFunction, Generation, Proposal, QueueLimit, StoredComponent
from obelisk_daemon.storage.sql import rows, steering
from obelisk_daemon.storage.sql.connection import Row
from obelisk_daemon.storage.sql.transaction import Transaction
from obelisk_daemon.storage.sql.writer import GENERATION


def activate(
    tx: Transaction,
    generation: Generation,
    codes: Sequence[StoredComponent],
    proposed: tuple[str, str] | None,
    *,
    strands: bool,
) -> int:
    """Store the code, then make the generation the active one: compare and set on the one before."""
    tx.connection.guard(GENERATION)
    tx.connection.ranks.clear()
    row = tx.execute("active_generation").fetchone()
    newest = row["number"] if row is not None else 0
    if generation.number != newest + 1:
        raise ConflictError("generation_conflict", f"generation {newest} is active, {generation.number} can't follow")
    if not strands:
        _keep_work(tx, generation)
    for code in codes:
        tx.execute("insert_component", (code.digest, code.code))
    tx.execute(
        "insert_generation",
        (
            generation.number,
            generation.activated_at,
            generation.content_hash,
            generation.cause,
            generation.restored,
            generation.manifest,
        ),
    )
    members = [(generation.number, name, digest) for name, digest in generation.components.items()]
    tx.executemany("insert_generation_component", members)
    before = _allowed(tx)
    _allow(tx, generation, before)
    if proposed is not None:
        tx.execute("set_proposal", (*proposed, generation.number))
    is_new = any(_upgrade(before.get(ffqn)) != _upgrade(one) for ffqn, one in generation.allowed.items())
    return _lift_pauses(tx, generation) if is_new else 0


def _keep_work(tx: Transaction, generation: Generation) -> None:
    """Refuse to remove functions of which executions are unfinished: they may have come since it was checked."""
    for ffqn in _allowed(tx).keys() - generation.allowed.keys():
        if tx.execute("unfinished_of", (ffqn, "", 1)).fetchone():
            raise ConflictError("strands_work", f"{ffqn} goes, and executions of it are unfinished")


def _upgrade(one: AllowedFunction | None) -> tuple[str, str] | None:
    """Give what decides if a paused execution may go on."""
    return None if one is None else (one.digest, one.on_upgrade)


def _lift_pauses(tx: Transaction, generation: Generation) -> int:
    """Let go on what was paused because its code could not, where other code is active now."""
    found = tx.execute("liftable", (HOST_ABI,)).fetchall()
    reason = f"generation {generation.number} has other code"
    return sum(steering.unpause(tx, ExecutionId(row["execution_id"]), generation.activated_at, reason) for row in found)


def _allow(tx: Transaction, generation: Generation, before: Mapping[str, AllowedFunction]) -> None:
    """Replace who may run what; what is unfinished follows its function to other priorities and components."""
    since = {row["ffqn"]: row["since"] for row in tx.execute("read_allowed").fetchall()}
    tx.execute("clear_allowed")
    for ffqn, one in generation.allowed.items():
        first = since[ffqn] if _terms(before.get(ffqn)) == _terms(one) else generation.number
        values = (ffqn, one.digest, one.component, one.on_upgrade, ",".join(one.labels), one.priority, one.settings)
        tx.execute("insert_allowed", (*values, first))
    if any(_rank(before.get(ffqn)) != _rank(one) for ffqn, one in generation.allowed.items()):
        tx.execute("follow_functions")
        tx.execute("forget_queue_lengths")
        tx.execute("count_queues_again")
    tx.execute("clear_queue_limits")
    limits = [(name, one.max_running, one.max_pending, one.when_full) for name, one in generation.limits.items()]
    tx.executemany("insert_queue_limit", limits)


def _rank(one: AllowedFunction | None) -> tuple[str, int] | None:
    """Give what the rows of its executions repeat."""
    return None if one is None else (one.component, one.priority)


def _terms(one: AllowedFunction | None) -> tuple[str, str] | None:
    """Give what whoever runs it has to know."""
    return None if one is None else (one.digest, one.settings)


def _allowed(tx: Transaction) -> dict[str, AllowedFunction]:
    return {
        one["ffqn"]: AllowedFunction(
            one["digest"],
            one["component"],
            one["on_upgrade"],
            rows.labels_of(one["labels"]),
            one["priority"],
            one["settings"],
        )
        for one in tx.execute("read_allowed").fetchall()
    }


def read_active(tx: Transaction) -> Generation | None:
    """Read the active generation."""
    row = tx.execute("active_generation").fetchone()
    if row is None:
        return None
    limits = {
        one["component"]: QueueLimit(one["max_running"], one["max_pending"], one["when_full"])
        for one in tx.execute("read_queue_limits").fetchall()
    }
    return _generation(tx, row, _allowed(tx), limits)


def read(tx: Transaction, number: int) -> Generation | None:
    """Read a generation, without what it allowed when it was active."""
    row = tx.execute("generation", (number,)).fetchone()
    return None if row is None else _generation(tx, row, {}, {})


def proposal(tx: Transaction, host: str) -> Proposal | None:
    """Read the last file of a host that became a generation, or was one already."""
    row = tx.execute("proposal", (host,)).fetchone()
    return None if row is None else Proposal(row["content_hash"], row["generation"])


def _generation(
    tx: Transaction, row: Row, allowed: dict[str, AllowedFunction], limits: dict[str, QueueLimit]
) -> Generation:
    members = tx.execute("generation_components", (row["number"],)).fetchall()
    return Generation(
        number=row["number"],
        activated_at=row["activated_at"],
        manifest=row["manifest"],
        content_hash=row["content_hash"],
        allowed=allowed,
        components={one["name"]: one["digest"] for one in members},
        limits=limits,
        cause=row["cause"],
        restored=row["restored"],
    )
