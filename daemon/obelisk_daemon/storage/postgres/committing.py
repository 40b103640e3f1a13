"""Group commit on PostgreSQL: one transaction, sent without waiting for each statement, committed once.

Where one of its logical transactions refuses itself, or PostgreSQL refuses one, the whole group is rolled back, and
the writer runs each in a group of its own. A savepoint for each would be dearer: PostgreSQL wants few of them.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Final, TypeAlias

import psycopg
from psycopg import errors

from obelisk_daemon.errors import OutcomeUnknownError, StorageUnavailableError
from obelisk_daemon.ids import ExecutionId
from obelisk_daemon.storage.postgres.connecting import PATIENCE, PostgresThread
from obelisk_daemon.storage.postgres.connection import PostgresConnection
from obelisk_daemon.storage.records import VersionConflictError
from obelisk_daemon.storage.sql.transaction import Transaction
from obelisk_daemon.storage.sql.unwritten import Unwritten
from obelisk_daemon.storage.sql.writer import GENERATION, MANY, GroupLostError, WriteTicket

_Group: TypeAlias = Sequence[WriteTicket[Any]]
_Begun: TypeAlias = tuple[WriteTicket[Any], Transaction]
_TRIES: Final = 5
"""How often a group is tried that others were in the way of."""
_IN_THE_WAY: Final = (
    errors.DeadlockDetected,
    errors.SerializationFailure,
    errors.UniqueViolation,  # both looked, and none had it
    errors.LockNotAvailable,
)


class PostgresGroupCommit:
    """`GroupCommit` on the one connection of this daemon that writes. `writer` names it among all daemons."""

    short = MANY
    """Each commit is a way to the server and back, so there is as much in it as waits."""

    def __init__(self, thread: PostgresThread, writer: str) -> None:
        self._thread = thread
        self._writer = writer
        self._number = 0

    async def commit(self, group: _Group) -> None:
        """Run every transaction of the group and commit once, however often the connection is lost meanwhile."""
        await self._thread.own(lambda thread: self._commit(thread, group))

    def _commit(self, thread: PostgresThread, group: _Group) -> None:
        end, tries = time.monotonic() + PATIENCE, 0
        while True:
            connection = self._connected(thread)
            self._number += 1
            try:
                return self._attempt(connection, group)
            except psycopg.Error as error:
                was_lost = connection.raw.closed
                # also one that works: its transaction, in which nothing goes on after an error, ends with it
                thread.drop()
                if was_lost:
                    if self._was_committed(thread):
                        return None
                    if time.monotonic() > end:
                        raise _lost(error) from error
                elif isinstance(error, _IN_THE_WAY) and tries < _TRIES:
                    tries += 1
                else:
                    raise _lost(error) from error

    def _connected(self, thread: PostgresThread) -> PostgresConnection:
        try:
            return thread.connected()
        except StorageUnavailableError as error:
            raise GroupLostError(error) from error

    def _attempt(self, connection: PostgresConnection, group: _Group) -> None:
        try:
            with connection.pipelined():
                connection.execute("begin")
                connection.execute("note_commit", (self._writer, self._number))
                connection.execute("guard_shared", (GENERATION,))
                _run_all(connection, group)
                connection.execute("commit")
                connection.settle()
        except _OutdatedError:
            connection.roll_back()
            self._attempt(connection, group)
        except _RefusedError as refused:
            connection.roll_back()
            if len(group) > 1:
                raise GroupLostError(StorageUnavailableError("storage_failed", str(refused))) from refused

    def _was_committed(self, thread: PostgresThread) -> bool:
        """Read what became of a group whose connection was lost: its number is there if, and only if, all of it is."""
        end = time.monotonic() + PATIENCE
        while True:
            try:
                return self._last_committed(thread.connected()) == self._number
            except (psycopg.Error, StorageUnavailableError) as error:
                if isinstance(error, psycopg.OperationalError) and time.monotonic() < end:
                    thread.drop()  # a server that stops may be met more than once before it is gone
                    continue
                message = f"the connection was lost at a commit, and its outcome can't be read: {error}"
                raise OutcomeUnknownError("commit_failed", message) from error

    def _last_committed(self, connection: PostgresConnection) -> int | None:
        connection.execute("begin")
        row = connection.execute("last_commit", (self._writer,)).fetchone()
        connection.execute("commit")
        return None if row is None else int(row["number"])


class _OutdatedError(Exception):
    """Another host has made a generation the active one, and what was remembered of the former was used."""


class _RefusedError(Exception):
    """A transaction of a group refuses itself: its ticket has the error."""


def _run_all(connection: PostgresConnection, group: _Group) -> None:
    """Send all, then look at the answers that nothing depended on: most groups wait once."""
    begun: list[_Begun] = []
    newest, unwritten = connection.execute("generation_in_force"), Unwritten(connection)
    try:
        for ticket in group:
            _run(connection, ticket, unwritten, begun)
        unwritten.write()
        connection.settle()
    except psycopg.Error:
        # what PostgreSQL refuses may follow from what was not there to be changed: then that is what went wrong
        with suppress(psycopg.Error):
            _look(begun)
        raise
    if not connection.ranks_hold(newest.fetchone()["number"]):
        raise _OutdatedError
    _look(begun)


def _run(connection: PostgresConnection, ticket: WriteTicket[Any], unwritten: Unwritten, begun: list[_Begun]) -> None:
    ticket.error = ticket.result = None
    if ticket.after is not None and ticket.after.error is not None:
        ticket.error = VersionConflictError(ticket.subject or ExecutionId("?"))
        return
    transaction = Transaction(connection, unwritten, looks_later=True)
    ticket.takes(transaction)
    begun.append((ticket, transaction))
    with _refusals_of(ticket):
        ticket.result = ticket.work(transaction)


def _look(begun: Sequence[_Begun]) -> None:
    for ticket, transaction in begun:
        with _refusals_of(ticket):
            for look in transaction.looks:
                look()


@contextmanager
def _refusals_of(ticket: WriteTicket[Any]) -> Iterator[None]:
    try:
        yield
    except psycopg.Error:
        raise
    except Exception as error:
        ticket.error = error
        raise _RefusedError(str(error)) from error


def _lost(error: psycopg.Error) -> GroupLostError:
    code = "storage_full" if isinstance(error, errors.DiskFull) else "storage_failed"
    return GroupLostError(StorageUnavailableError(code, f"the database refused the write: {error}"))
