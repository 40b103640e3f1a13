"""Group commit on SQLite: one transaction for all, and a savepoint for each logical one where one was refused.

What a short group asks of SQLite is computed within microseconds, and Python computes on one thread at a time: so it
runs on the loop, since handing the interpreter to another thread at each statement would take longer. What waits for
the disk, as a commit does, runs on the connection's own thread.
"""

import sqlite3
import time
from collections.abc import Callable, Sequence
from traceback import clear_frames
from typing import Any, Final

from obelisk_daemon.errors import ObeliskError, OutcomeUnknownError, StorageUnavailableError
from obelisk_daemon.ids import ExecutionId
from obelisk_daemon.storage.records import VersionConflictError
from obelisk_daemon.storage.sql.transaction import Transaction
from obelisk_daemon.storage.sql.unwritten import Unwritten
from obelisk_daemon.storage.sql.writer import GroupLostError, WriteTicket
from obelisk_daemon.storage.sqlite.checkpoints import Checkpoints
from obelisk_daemon.storage.sqlite.connection import SqliteConnection, SqliteThread
from obelisk_daemon.storage.sqlite.presence import OpenFiles

_PATIENCE: Final = 5.0
"""Seconds to wait for another process that holds the database."""
_BETWEEN_TRIES: Final = 0.01


class SqliteGroupCommit:
    """`GroupCommit` on the one connection that writes."""

    short = 500
    """Rows of a group that is run on the loop: 5 ms."""

    def __init__(
        self, thread: SqliteThread, files: OpenFiles | None = None, checkpoints: Checkpoints | None = None
    ) -> None:
        self._thread = thread
        self._files = files
        self._checkpoints = checkpoints

    async def commit(self, group: Sequence[WriteTicket[Any]]) -> None:
        """Run every transaction of the group and commit once."""
        if self._checkpoints is not None:
            await self._checkpoints.finish(self._thread)
        is_short = sum(ticket.rows for ticket in group) <= self.short
        if is_short and self._thread.here(lambda connection: _run_at_once(connection, group)):
            await self._thread.call(self._commit)
        else:
            await self._thread.call(lambda connection: self._run_and_commit(connection, group))
        if self._checkpoints is not None:
            self._checkpoints.note(self._thread.total_changes)

    def _run_and_commit(self, connection: SqliteConnection, group: Sequence[WriteTicket[Any]]) -> None:
        _begin(connection.raw)
        _run_group(connection, group)
        self._commit(connection)

    def _commit(self, connection: SqliteConnection) -> None:
        _commit(connection.raw)
        if self._files is not None and (missing := self._files.missing()):
            raise OutcomeUnknownError("database_moved", f"{missing} was deleted or replaced while it was in use")


def _unavailable(cause: sqlite3.Error) -> ObeliskError:
    code = "storage_full" if _is_full(cause) else "storage_failed"
    return StorageUnavailableError(code, f"the database refused the write: {cause}")


def _is_full(error: sqlite3.Error) -> bool:
    return getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL  # an error of Python's module has no code


def _begin(raw: sqlite3.Connection) -> None:
    """Begin a transaction; wait while another process has one."""
    end = time.monotonic() + _PATIENCE
    while not _has_begun(raw, waits=time.monotonic() < end):
        time.sleep(_BETWEEN_TRIES)


def _has_begun(raw: sqlite3.Connection, *, waits: bool = True) -> bool:
    try:
        raw.execute("BEGIN IMMEDIATE")
    except sqlite3.Error as error:
        if waits and getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_BUSY:
            return False
        raise _rolled_back(raw, error) from error
    return True


def _run_at_once(connection: SqliteConnection, group: Sequence[WriteTicket[Any]]) -> bool:
    """Run a group if nobody else has the database now."""
    if not _has_begun(connection.raw):
        return False
    _run_group(connection, group)
    return True


def _run_group(connection: SqliteConnection, group: Sequence[WriteTicket[Any]]) -> None:
    """Run every transaction of the group.

    Hardly any is refused, so they run without savepoints first; where one is, all run again, each in its own.
    """
    raw = connection.raw
    try:
        if not _run_together(connection, group):
            raw.execute("ROLLBACK")
            raw.execute("BEGIN IMMEDIATE")
            for ticket in group:
                _run_in_savepoint(connection, ticket)
    except sqlite3.Error as error:
        # SQLITE_FULL and an interrupt roll everything back, other errors leave it: from here all end the same way
        raise _rolled_back(raw, error) from error


def _commit(raw: sqlite3.Connection) -> None:
    try:
        raw.execute("COMMIT")
    except sqlite3.Error as error:
        if _is_full(error):  # a write to the WAL failed, before the record that makes the commit
            raise _rolled_back(raw, error) from error
        raise OutcomeUnknownError("commit_failed", f"a commit failed, its outcome is unknown: {error}") from error


def _rolled_back(connection: sqlite3.Connection, cause: sqlite3.Error) -> GroupLostError:
    clear_frames(cause.__traceback__)
    try:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
    except sqlite3.Error as error:
        raise OutcomeUnknownError("rollback_failed", f"{cause}; and the rollback failed: {error}") from error
    return GroupLostError(_unavailable(cause))


def _run_together(connection: SqliteConnection, group: Sequence[WriteTicket[Any]]) -> bool:
    unwritten = Unwritten(connection)
    return all(_run(connection, ticket, unwritten) for ticket in group) and _is_taken(group[-1], unwritten.write)


def _run_in_savepoint(connection: SqliteConnection, ticket: WriteTicket[Any]) -> None:
    connection.raw.execute("SAVEPOINT one")
    unwritten = Unwritten(connection)
    if not (_run(connection, ticket, unwritten) and _is_taken(ticket, unwritten.write)):
        connection.raw.execute("ROLLBACK TO one")
    connection.raw.execute("RELEASE one")


def _run(connection: SqliteConnection, ticket: WriteTicket[Any], unwritten: Unwritten) -> bool:
    """Run a transaction; False, and its ticket has the error, where it was refused."""
    ticket.error = ticket.result = None
    if ticket.after is not None and ticket.after.error is not None:
        ticket.error = VersionConflictError(ticket.subject or ExecutionId("?"))
        return True  # nothing of it was written
    transaction = Transaction(connection, unwritten)
    ticket.takes(transaction)

    def run() -> None:
        ticket.result = ticket.work(transaction)

    return _is_taken(ticket, run)


def _is_taken(ticket: WriteTicket[Any], work: Callable[[], None]) -> bool:
    """Work for a transaction; False, and its ticket has the error, where that was refused.

    An error keeps the frames it came through, and they the statements that were not read to their end: as long as one
    of those is there that writes, SQLite refuses every savepoint. So frames are cleared before it goes on.
    """
    try:
        work()
    except sqlite3.Error as error:
        if not isinstance(error, sqlite3.IntegrityError):
            raise
        ticket.error = error
    except Exception as error:  # noqa: BLE001 - handed to the waiter, who is the owner of this transaction
        ticket.error = error
    else:
        return True
    clear_frames(ticket.error.__traceback__)
    return False
