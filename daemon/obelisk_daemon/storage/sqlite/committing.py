"""Group commit on SQLite: one transaction, in it a savepoint for each logical one, on the thread of the connection."""

import sqlite3
from collections.abc import Sequence
from traceback import clear_frames
from typing import Any

from obelisk_daemon.errors import ObeliskError, OutcomeUnknownError, StorageUnavailableError
from obelisk_daemon.ids import ExecutionId
from obelisk_daemon.storage.records import VersionConflictError
from obelisk_daemon.storage.sql.writer import GroupLostError, Transaction, WriteTicket
from obelisk_daemon.storage.sqlite.connection import SqliteConnection, SqliteThread
from obelisk_daemon.storage.sqlite.presence import OpenFiles


class SqliteGroupCommit:
    """`GroupCommit` on the one connection that writes."""

    def __init__(self, thread: SqliteThread, files: OpenFiles | None = None) -> None:
        self._thread = thread
        self._files = files

    async def commit(self, group: Sequence[WriteTicket[Any]]) -> None:
        """Run every transaction of the group and commit once."""
        await self._thread.call(lambda connection: self._commit(connection, group))

    def _commit(self, connection: SqliteConnection, group: Sequence[WriteTicket[Any]]) -> None:
        _commit_group(connection, group)
        if self._files is not None and (missing := self._files.missing()):
            raise OutcomeUnknownError("database_moved", f"{missing} was deleted or replaced while it was in use")


def _unavailable(cause: sqlite3.Error) -> ObeliskError:
    code = "storage_full" if _is_full(cause) else "storage_failed"
    return StorageUnavailableError(code, f"the database refused the write: {cause}")


def _is_full(error: sqlite3.Error) -> bool:
    return getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL  # an error of Python's module has no code


def _commit_group(connection: SqliteConnection, group: Sequence[WriteTicket[Any]]) -> None:
    """Run every transaction of the group and commit once. On the writer's thread.

    Hardly any is refused, so they run without savepoints first; where one is, all run again, each in its own.
    """
    raw = connection.raw
    try:
        raw.execute("BEGIN IMMEDIATE")
        if not _run_all(connection, group):
            raw.execute("ROLLBACK")
            raw.execute("BEGIN IMMEDIATE")
            for ticket in group:
                _run_in_savepoint(connection, ticket)
    except sqlite3.Error as error:
        # SQLITE_FULL and an interrupt roll everything back, other errors leave it: from here all end the same way
        raise _rolled_back(raw, error) from error
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


def _run_all(connection: SqliteConnection, group: Sequence[WriteTicket[Any]]) -> bool:
    """Run every transaction of the group; tell if none was refused."""
    return all(_run(connection, ticket) for ticket in group)


def _run_in_savepoint(connection: SqliteConnection, ticket: WriteTicket[Any]) -> None:
    connection.raw.execute("SAVEPOINT one")
    if not _run(connection, ticket):
        connection.raw.execute("ROLLBACK TO one")
    connection.raw.execute("RELEASE one")


def _run(connection: SqliteConnection, ticket: WriteTicket[Any]) -> bool:
    """Run a transaction; False, and its ticket has the error, where it was refused.

    An error keeps the frames it came through, and they the statements that were not read to their end: as long as one
    of those is there that writes, SQLite refuses every savepoint. So frames are cleared before it goes on.
    """
    ticket.error = ticket.result = None
    if ticket.after is not None and ticket.after.error is not None:
        ticket.error = VersionConflictError(ticket.subject or ExecutionId("?"))
        return True  # nothing of it was written
    transaction = Transaction(connection)
    try:
        ticket.result = ticket.work(transaction)
    except sqlite3.Error as error:
        if not isinstance(error, sqlite3.IntegrityError):
            raise
        ticket.error = error
    except Exception as error:  # noqa: BLE001 - handed to the waiter, who is the owner of this transaction
        ticket.error = error
    else:
        ticket.changes, ticket.recorded = transaction.changes, transaction.recorded
        return True
    clear_frames(ticket.error.__traceback__)
    return False
