"""Logical transactions on hosts and their leases."""

from collections.abc import Sequence

from obelisk_daemon.clock import Instant, after
from obelisk_daemon.errors import NotFoundError
from obelisk_daemon.storage.hosts import Beat, Heard, KnownHost, NewHost, Offered
from obelisk_daemon.storage.sql.connection import Connection
from obelisk_daemon.storage.sql.transaction import Transaction
from obelisk_daemon.storage.upkeep import FORGOTTEN_AFTER


def register_host(tx: Transaction, new: NewHost, at: Instant, until: Instant) -> Instant | None:
    """Make a host known, and forget those that are long gone; or give until when another daemon has its name."""
    tx.execute("forget_hosts", (after(at, -FORGOTTEN_AFTER),))
    row = tx.execute("lease_of_host", (new.host, at)).fetchone()
    if row is not None:
        return Instant(row["lease_until"])
    tx.execute("register_host", (new.host, new.version, at, at, until))
    return None


def heartbeat(tx: Transaction, beat: Beat) -> Heard:
    """Renew the leases of a host and of its executors."""
    renewed = [tx.execute("beat_of_executor", (beat.at, beat.until, one)).rowcount for one in beat.executors]
    row = tx.execute("beat_of_host", (beat.at, beat.until, beat.host, beat.started_at)).fetchone()
    dead = frozenset(one for one, rows in zip(beat.executors, renewed, strict=True) if rows == 0)
    return Heard(dead, is_known=row is not None, draining=row is not None and bool(row["draining"]))


def end_lease(tx: Transaction, beat: Beat) -> None:
    """Let go of the leases of a host that stops."""
    for executor_id in beat.executors:
        tx.execute("end_lease_of_executor", (executor_id,))
    tx.execute("end_lease_of_host", (beat.host, beat.started_at))


def end_all_leases(tx: Transaction) -> None:
    """Declare all dead."""
    tx.execute("end_leases_of_executors")
    tx.execute("end_leases_of_hosts")


def note_generation(tx: Transaction, host: str, generation: int, offered: Sequence[Offered]) -> None:
    """Note which generation a host runs now, and what its executors offer."""
    tx.execute("note_generation", (generation, host))
    for one in offered:
        tx.execute("describe_executor", (",".join(sorted(one.labels)), one.max_running, host, one.name))


def set_draining(tx: Transaction, host: str, draining: bool) -> None:
    """Have a host take no more work, or take work again."""
    if tx.execute("set_draining", (int(draining), host)).rowcount == 0:
        raise NotFoundError("host_not_found", f"no host {host!r} works on this database")


def hosts(connection: Connection) -> list[KnownHost]:
    """Read all hosts that are known."""
    rows = connection.execute("hosts").fetchall()
    return [KnownHost(**{**dict(row), "draining": bool(row["draining"])}) for row in rows]
