"""Logical transactions on what ran when its daemon died (`execution.suspicion`)."""

from typing import Final

from obelisk_daemon.clock import Instant
from obelisk_daemon.execution.suspicion import Suspicion
from obelisk_daemon.execution.suspicion import after_death as known_after_death
from obelisk_daemon.ids import RunId
from obelisk_daemon.storage.records import Held, LockRequest
from obelisk_daemon.storage.sql import locking
from obelisk_daemon.storage.sql.transaction import Transaction
from obelisk_daemon.storage.suspects import Alone
from obelisk_daemon.storage.upkeep import LostRun

_LOOKED_AT: Final = 100
"""So many suspects are looked at for one that an executor may run."""


def after_death(tx: Transaction, lost: LostRun) -> Suspicion:
    """Give what is known of an execution with one death more: of those since an attempt of it has ended."""
    row = tx.execute("suspicion", (lost.execution_id,)).fetchone()
    if row is None or row["version"] != lost.state.locked_version:
        return known_after_death(None, was_alone=False)
    return known_after_death(Suspicion(row["turns"], row["deaths"]), was_alone=row["run_id"] == lost.run_id)


def next_due(tx: Transaction, at: Instant) -> Instant | None:
    """Read when the first of those may start that wait for their turn; forget those that have gone on."""
    tx.execute("acquit_who_went_on")
    (due_at,) = tx.execute("next_suspect", (at,)).fetchone()
    return None if due_at is None else Instant(due_at)


def lock(tx: Transaction, request: LockRequest, run_id: RunId) -> Alone | None:
    """Lock the suspect whose turn it is, of those that this executor may run."""
    for suspect in tx.execute("due_suspects", (request.at, _LOOKED_AT)).fetchall():
        row = tx.execute("execution_row", (suspect["execution_id"],)).fetchone()
        if row is None or row["version"] != suspect["version"] or row["status"] != "pending_at":
            continue
        held = locking.lock_one(tx, request, row, run_id)
        if held is not None:
            tx.execute("begin_turn", (held.run_id, held.execution_id))
            return Alone(held, suspect["turns"] + 1)
    return None


def end_turn(tx: Transaction, held: Held, *, acquitted: bool) -> None:
    """Note that a suspect is not alone any more, before others start: it ran through, or goes on among them."""
    tx.execute("acquit_after_turn" if acquitted else "end_turn", (held.execution_id, held.run_id))
