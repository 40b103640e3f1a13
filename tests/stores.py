"""The databases that a store may be in, so that a test can hold on each: places where stores are opened."""

import secrets
import sqlite3
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager, contextmanager
from functools import cache
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import psycopg
from psycopg.conninfo import conninfo_to_dict
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
from tests.postgres import new_database, url_of

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
    """Databases of a test's own on one server, copied from one that has the schema."""

    def __init__(self, server: str) -> None:
        self._server = server

    @contextmanager
    def new(self) -> Iterator[PostgresPlace]:
        with new_database(self._server, _template(self._server)) as url:
            yield PostgresPlace(url)


@cache
def _template(server: str) -> str:
    """Make the database that those of this process are copied from; it goes with the server."""
    name = f"obelisk_template_{secrets.token_hex(6)}"
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute(f'CREATE DATABASE "{name}" TEMPLATE template0 STRATEGY file_copy')
    prepare(Target(url_of(conninfo_to_dict(server) | {"dbname": name})))
    return name
