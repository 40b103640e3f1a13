"""The databases that a store may be in, so that a test can hold on each: places where stores are opened."""

import sqlite3
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final, Protocol, TypeAlias

import psycopg
from psycopg.rows import dict_row

from obelisk_daemon.errors import OutcomeUnknownError
from obelisk_daemon.storage.database import Damage
from obelisk_daemon.storage.postgres.connecting import Target
from obelisk_daemon.storage.postgres.connection import PostgresConnection
from obelisk_daemon.storage.postgres.schema import prepare
from obelisk_daemon.storage.postgres.store import open_store as open_postgres
from obelisk_daemon.storage.sql.checking import check_rows
from obelisk_daemon.storage.sql.store import SqlStore
from obelisk_daemon.storage.sqlite.checking import check_database
from obelisk_daemon.storage.sqlite.schema import open_for_writing
from obelisk_daemon.storage.sqlite.store import open_store
from tests.postgres import new_database

OnBroken: TypeAlias = Callable[[OutcomeUnknownError], None]
Execute: TypeAlias = Callable[..., list[dict[str, Any]]]
"""Run SQL with `?` for its values, and give the rows."""


def not_expected(error: OutcomeUnknownError) -> None:
    raise error


class Place(Protocol):
    """Where one database is."""

    def open(self, on_broken: OnBroken = not_expected) -> AbstractAsyncContextManager[SqlStore]:
        """Open a store; the first one finds it empty."""
        ...

    def rows(self) -> AbstractContextManager[Execute]:
        """Give access to the tables beside the store, in one transaction."""
        ...

    def damage(self) -> list[Damage]:
        """Look at all of it while no store is open, or beside one."""
        ...


class Places(Protocol):
    """A kind of database. What is made here is gone when the test ends."""

    def new(self) -> AbstractContextManager[Place]:
        """Give an empty one; there may be several at once."""
        ...


class SqlitePlace:
    """A file `obelisk.db` in a directory."""

    def __init__(self, directory: Path) -> None:
        self.file = directory / "obelisk.db"

    def open(self, on_broken: OnBroken = not_expected) -> AbstractAsyncContextManager[SqlStore]:
        return open_store(self.file, on_broken)

    @contextmanager
    def rows(self) -> Iterator[Execute]:
        connection = open_for_writing(self.file)
        try:
            with _transaction(connection):
                yield lambda sql, values=(): [dict(row) for row in connection.execute(sql, values)]
        finally:
            connection.close()

    def damage(self) -> list[Damage]:
        return check_database(self.file, full=True).damage


class SqlitePlaces:
    """Files in new directories of a test's own."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    @contextmanager
    def new(self) -> Iterator[SqlitePlace]:
        with tempfile.TemporaryDirectory(dir=self._directory) as directory:
            place = SqlitePlace(Path(directory))
            yield place
            with place.rows() as execute:
                assert execute("PRAGMA integrity_check") == [{"integrity_check": "ok"}]


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN")
    yield
    connection.execute("COMMIT")


class PostgresPlace:
    """A database of its own on a PostgreSQL."""

    def __init__(self, url: str) -> None:
        self.target = Target(url)
        self._opened = 0

    def open(self, on_broken: OnBroken = not_expected) -> AbstractAsyncContextManager[SqlStore]:
        self._opened += 1
        return open_postgres(self.target, f"test {self._opened}", on_broken)

    @contextmanager
    def rows(self) -> Iterator[Execute]:
        prepare(self.target)
        with self._connected() as connection, connection.raw.transaction():

            def execute(sql: str, values: Sequence[object] = ()) -> list[dict[str, Any]]:
                numbered = sql
                for place in range(len(values)):
                    numbered = numbered.replace("?", f"${place + 1}", 1)
                cursor = psycopg.RawCursor(connection.raw, row_factory=dict_row)
                cursor.execute(numbered, values)
                return cursor.fetchall() if cursor.description else []

            yield execute

    def damage(self) -> list[Damage]:
        with self._connected() as connection, connection.snapshot():
            return check_rows(connection, full=True).damage

    @contextmanager
    def _connected(self) -> Iterator[PostgresConnection]:
        connection = self.target.connect()
        try:
            yield connection
        finally:
            connection.raw.close()


class PostgresPlaces:
    """Databases of a server, used again and again: a copy of one for each test would take ten times as long."""

    def __init__(self, server: str) -> None:
        self._server = server
        self._unused: list[str] = []
        self._made = ExitStack()

    @contextmanager
    def new(self) -> Iterator[PostgresPlace]:
        url = self._unused.pop() if self._unused else self._make()
        try:
            yield PostgresPlace(url)
        finally:
            _empty(url)
            self._unused.append(url)

    def close(self) -> None:
        """Drop all of them."""
        self._made.close()

    def _make(self) -> str:
        url = self._made.enter_context(new_database(self._server))
        prepare(Target(url))
        return url


def _empty(url: str) -> None:
    """Delete all rows, and end what is still connected. TRUNCATE would take 2 ms for each table."""
    with psycopg.connect(url, autocommit=True, options="-c search_path=obelisk") as connection:
        connection.execute(_END_OTHERS)
        tables = connection.execute(_TABLES).fetchall()
        statements = [f"TRUNCATE {name}" if size > _LARGE else f"DELETE FROM {name}" for name, size in tables if size]
        sequences = connection.execute("SELECT relname FROM pg_class WHERE relkind = 'S'").fetchall()
        statements += [f"ALTER SEQUENCE {name} RESTART" for (name,) in sequences]
        connection.execute("; ".join(statements).encode())


_LARGE: Final = 256 * 1_024
_END_OTHERS: Final = """
    SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'
"""
_TABLES: Final = """
    SELECT relname, pg_relation_size(oid) FROM pg_class
    WHERE relnamespace = 'obelisk'::regnamespace AND relkind = 'r' AND relname <> 'schema_version'
"""
