"""Connecting to PostgreSQL, and the threads that own the connections: one that is lost is made again."""

import asyncio
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, Final, TypeVar

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from obelisk_daemon.errors import OperatorError, StorageUnavailableError
from obelisk_daemon.storage.postgres.connection import PostgresConnection
from obelisk_daemon.storage.postgres.queries import SQL, Statement

T = TypeVar("T")
PATIENCE: Final = 20.0
"""Seconds for which a lost connection is made again before whoever waits for it is told."""
_FIRST_WAIT: Final = 0.05
_LONGEST_WAIT: Final = 1.0
_DEFAULTS: Final = {
    "connect_timeout": "5",
    "keepalives_idle": "5",
    "keepalives_interval": "2",
    "keepalives_count": "3",
    "tcp_user_timeout": "10000",
    # of several servers, the one that takes writes; a standby alone is refused
    "target_session_attrs": "read-write",
    "application_name": "obeliskd",
}
_OPTIONS: Final = (
    "-c search_path=obelisk -c timezone=UTC -c synchronous_commit=on -c jit=off"
    # a host that is stopped in a transaction must not hold up the others
    " -c idle_in_transaction_session_timeout=10s -c lock_timeout=10s -c statement_timeout=60s"
)
_BOUNDS_TRANSACTIONS: Final = 170_000
"""The first version of PostgreSQL that bounds the time of a transaction; only what writes needs it."""


class Target:
    """Where the database is. `url` is libpq's; what it says of timeouts and options comes after ours."""

    def __init__(self, url: str, password: Callable[[], str | None] = lambda: None) -> None:
        self._given: Mapping[str, Any] = {k: v for k, v in conninfo_to_dict(url).items() if v is not None}
        self._password = password

    @property
    def name(self) -> str:
        """Name it for people, without its password."""
        shown = ("host", "port", "dbname")
        return "postgresql " + " ".join(f"{key}={self._given[key]}" for key in shown if key in self._given)

    @property
    def conninfo(self) -> str:
        """Give what libpq connects by, with the password as it is now."""
        options = f"{_OPTIONS} {self._given.get('options', '')}".strip()
        known = {**_DEFAULTS, **self._given, "options": options}
        password = self._password()
        return make_conninfo("", **known if password is None else {**known, "password": password})

    def connect(self, statements: Mapping[str, Statement] = SQL) -> PostgresConnection:
        """Connect.

        Raises:
            psycopg.OperationalError: it isn't there, or refuses us.
        """
        raw = psycopg.connect(self.conninfo, autocommit=True)
        if statements is not SQL and raw.info.server_version >= _BOUNDS_TRANSACTIONS:
            # in a pipeline, a host that is stopped is not idle: without this its locks are held until it wakes up
            raw.execute("SET transaction_timeout = '10s'")
        return PostgresConnection(raw, statements)


class PostgresThread:
    """A thread that owns a connection."""

    def __init__(self, target: Target, statements: Mapping[str, Statement] = SQL) -> None:
        self._target = target
        self._statements = statements
        self._thread = ThreadPoolExecutor(1, "postgres")
        self._connection: PostgresConnection | None = None
        self._closed = threading.Event()

    async def start(self) -> None:
        """Connect for the first time.

        Raises:
            OperatorError: `database_unusable`.
        """
        try:
            await self._run(self._connect)
        except psycopg.OperationalError as error:
            raise OperatorError("database_unusable", f"{self._target.name} can't be used: {error}") from error

    async def call(self, function: Callable[[PostgresConnection], T], /) -> T:
        """Run a function that only reads; again, when the connection was lost meanwhile.

        Raises:
            StorageUnavailableError: `storage_unreachable`, or what PostgreSQL refused.
        """
        return await self._run(self._read, function)

    async def own(self, work: Callable[["PostgresThread"], T]) -> T:
        """Run a function on the thread that cares for lost connections itself."""
        return await self._run(work, self)

    async def close(self) -> None:
        """End the connection, and the thread."""
        self._closed.set()
        await self._run(self.drop)
        self._thread.shutdown()

    async def _run(self, function: Callable[..., T], *values: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, function, *values)

    def _connect(self) -> PostgresConnection:
        if self._connection is None or self._connection.raw.closed:
            self.drop()
            self._connection = self._target.connect(self._statements)
        return self._connection

    def drop(self) -> None:
        """Let go of a connection that is of no use any more."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(psycopg.Error):
                connection.raw.close()

    def connected(self) -> PostgresConnection:
        """Give a connection that seems to work, trying for a while.

        Raises:
            StorageUnavailableError: `storage_unreachable`.
        """
        wait, end = _FIRST_WAIT, time.monotonic() + PATIENCE
        while True:
            try:
                return self._connect()
            except psycopg.OperationalError as error:
                if time.monotonic() + wait > end or self._closed.wait(wait):
                    message = f"{self._target.name} can't be reached: {error}"
                    raise StorageUnavailableError("storage_unreachable", message) from error
                wait = min(wait * 2, _LONGEST_WAIT)

    def _read(self, function: Callable[[PostgresConnection], T]) -> T:
        end = time.monotonic() + PATIENCE
        while True:
            connection = self.connected()
            try:
                return function(connection)
            except psycopg.Error as error:
                if not connection.raw.closed:
                    raise StorageUnavailableError("storage_failed", f"PostgreSQL refused to read: {error}") from error
                if time.monotonic() > end:
                    raise StorageUnavailableError("storage_unreachable", f"the connection was lost: {error}") from error
                self.drop()
