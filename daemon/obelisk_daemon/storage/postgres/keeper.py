"""What an operator does with a PostgreSQL database through a daemon; the rest is done with PostgreSQL's own tools."""

import asyncio
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Final

import psycopg

from obelisk_daemon.errors import CallerError, ConflictError, StorageUnavailableError
from obelisk_daemon.storage.check_process import check_in_process
from obelisk_daemon.storage.database import Backup, CheckReport, DatabaseStats, VacuumReport
from obelisk_daemon.storage.postgres.connecting import Target
from obelisk_daemon.storage.sql.queries import COUNTED

_COUNTING: Final = "SET LOCAL statement_timeout = '250ms'"


class PostgresKeeper:
    """`DatabaseKeeper` of a database at `url`, which `target` connects to; `cache` has compiled code."""

    def __init__(self, url: str, target: Target, password: Callable[[], str | None], cache: Path) -> None:
        self._url = url
        self._target = target
        self._password = password
        self._cache = cache
        self._checking = False

    async def stats(self) -> DatabaseStats:
        """Measure it. What its disk has free only the server knows."""
        try:
            return await asyncio.to_thread(self._measure)
        except psycopg.Error as error:
            raise StorageUnavailableError("storage_unreachable", f"it can't be measured: {error}") from error

    def _measure(self) -> DatabaseStats:
        with closing(self._target.connect().raw) as connection:
            rows = {table: _count(connection, table) for table in COUNTED}
            measured = connection.execute(
                "SELECT pg_database_size(current_database()), (SELECT count(*) FROM generation),"
                " (SELECT coalesce(sum(length(code)), 0)::bigint FROM component)"
            ).fetchone()
        assert measured is not None
        return DatabaseStats(
            file_bytes=measured[0],
            wal_bytes=0,
            cache_bytes=sum(one.stat().st_size for one in self._cache.glob("*") if one.is_file()),
            free_bytes=0,
            disk_free_bytes=0,
            rows={table: number for table, number in rows.items() if number is not None},
            not_counted=[table for table, number in rows.items() if number is None],
            generations=measured[1],
            component_bytes=measured[2],
        )

    async def check(self, *, full: bool) -> CheckReport:
        """Compare the rows with the logs, in a process of its own."""
        if self._checking:
            raise ConflictError("check_running", "the database is being checked already")
        self._checking = True
        try:
            password = await asyncio.to_thread(self._password)
            return await check_in_process(self._url, {} if password is None else {"PGPASSWORD": password}, full=full)
        finally:
            self._checking = False

    async def vacuum(self) -> VacuumReport:
        """Refuse it.

        Raises:
            CallerError: `not_with_postgresql`.
        """
        message = "PostgreSQL uses free space again by itself (autovacuum); to give a table's back to the disk,"
        raise CallerError("not_with_postgresql", f"{message} stop the daemons and VACUUM FULL obelisk.event in psql")

    async def back_up(self) -> Backup:
        """Refuse it.

        Raises:
            CallerError: `not_with_postgresql`.
        """
        message = "back it up with PostgreSQL's own tools: pg_dump --schema=obelisk --format=custom --file=FILE"
        raise CallerError("not_with_postgresql", f"{message}, or a base backup with the write-ahead log")


def _count(connection: psycopg.Connection[tuple[object, ...]], table: str) -> int | None:
    """Count rows, unless that takes too long."""
    try:
        with connection.transaction():
            connection.execute(_COUNTING)
            row = connection.execute(f"SELECT count(*) FROM {table}").fetchone()  # noqa: S608 - our names
    except psycopg.errors.QueryCanceled:
        return None
    return int(str(row[0])) if row is not None else None
