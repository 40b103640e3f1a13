"""The driver of SQLite: connections on threads of their own, and statements by name."""

import asyncio
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import aiosqlite

from obelisk_daemon.errors import StorageUnavailableError
from obelisk_daemon.storage.sql.connection import Values
from obelisk_daemon.storage.sql.transaction import Transaction
from obelisk_daemon.storage.sqlite.queries import SQL

T = TypeVar("T")


class SqliteConnection:
    """`Connection` over one of SQLite's. `raw` is for what only SQLite has."""

    def __init__(self, raw: sqlite3.Connection) -> None:
        self.raw = raw
        self.ranks: dict[tuple[str, str, int], int] = {}

    def execute(self, name: str, values: Values = (), /) -> sqlite3.Cursor:
        """Run the statement of a name."""
        return self.raw.execute(SQL[name], values)

    def tuples(self, name: str, values: Values = (), /) -> list[Any]:
        """Run the statement of a name, and give its rows as plain tuples."""
        cursor = self.execute(name, values)
        cursor.row_factory = None
        return cursor.fetchall()

    def executemany(self, name: str, values: Iterable[Values], /) -> None:
        """Run it once for each."""
        self.raw.executemany(SQL[name], values)

    def guard(self, _: str, /) -> bool:
        """Do nothing: nobody else writes."""
        return False

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Read from one committed state."""
        self.raw.execute("BEGIN")
        try:
            yield
        finally:
            if self.raw.in_transaction:  # some errors have ended it
                self.raw.execute("ROLLBACK")


def raw_of(tx: Transaction) -> sqlite3.Connection:
    """Give the connection of a transaction, for what only SQLite has."""
    assert isinstance(tx.connection, SqliteConnection)
    return tx.connection.raw


class SqliteThread(aiosqlite.Connection):
    """A connection whose thread runs whole functions: one hop for a group instead of one for every statement."""

    def __init__(self, connect: Callable[[], sqlite3.Connection]) -> None:
        super().__init__(connect, 64)
        self._named: SqliteConnection | None = None

    async def open(self) -> None:
        """Connect; when that fails, the thread has ended, which would tell a loop of it that may be closed by then."""
        try:
            await self
        except BaseException:
            await asyncio.to_thread(self._thread.join)
            raise

    async def call(self, function: Callable[[SqliteConnection], T], /) -> T:
        """Run a function on it."""
        return await self._execute(function, self._connected())  # type: ignore[no-any-return,no-untyped-call]

    def here(self, function: Callable[[SqliteConnection], bool], /) -> bool:
        """Run a function on it, but on the caller's thread, while its own has nothing to do."""
        return function(self._connected())

    def _connected(self) -> SqliteConnection:
        if self._named is None:
            self._named = SqliteConnection(self._conn)
        return self._named


class SqliteReader(SqliteThread):
    """A connection of those that read: what it can't read is an error of the storage, as on every database."""

    async def call(self, function: Callable[[SqliteConnection], T], /) -> T:
        """Run a function on it.

        Raises:
            StorageUnavailableError: `storage_failed`.
        """
        try:
            return await super().call(function)
        except sqlite3.Error as error:
            raise StorageUnavailableError("storage_failed", f"the database can't be read: {error}") from error
