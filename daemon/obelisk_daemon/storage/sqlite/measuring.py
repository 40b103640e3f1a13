"""How much space a database takes, and for what."""

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Final

from obelisk_daemon.storage.database import DatabaseStats
from obelisk_daemon.storage.sql.queries import COUNTED
from obelisk_daemon.storage.sqlite.queries import SQL
from obelisk_daemon.storage.sqlite.schema import open_for_reading

_COUNTING_SECONDS: Final = 0.25
"""For one table. SQLite counts some ten million rows a second."""
_STEPS: Final = 10_000
"""Of SQLite's machine, between two looks at the clock."""


def measure(file: Path, cache: Path, monotonic: Callable[[], float]) -> DatabaseStats:
    """Measure the database in `file`, and the directory of compiled code; `monotonic` is a clock in seconds."""
    connection = open_for_reading(file)
    try:
        counted = {table: _rows(connection, table, monotonic) for table in COUNTED}
        page, free = _pragma(connection, "page_size"), _pragma(connection, "freelist_count")
        (generations,) = connection.execute(SQL["count_generations"]).fetchone()
        (component_bytes,) = connection.execute(SQL["component_bytes"]).fetchone()
    finally:
        connection.close()
    space = os.statvfs(file.parent)
    return DatabaseStats(
        file_bytes=_size(file),
        wal_bytes=_size(Path(f"{file}-wal")),
        cache_bytes=sum(_size(one) for one in cache.glob("*")),
        free_bytes=page * free,
        disk_free_bytes=space.f_bavail * space.f_frsize,
        rows={table: number for table, number in counted.items() if number is not None},
        not_counted=[table for table, number in counted.items() if number is None],
        generations=generations,
        component_bytes=component_bytes,
    )


def _rows(connection: sqlite3.Connection, table: str, monotonic: Callable[[], float]) -> int | None:
    """Count rows, unless that takes too long."""
    give_up = monotonic() + _COUNTING_SECONDS
    connection.set_progress_handler(lambda: monotonic() > give_up, _STEPS)
    try:
        (number,) = connection.execute(SQL[f"rows_of_{table}"]).fetchone()
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_INTERRUPT:
            raise
        return None
    finally:
        connection.set_progress_handler(None, 0)
    return int(number)


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    (value,) = connection.execute(f"PRAGMA {name}").fetchone()
    return int(value)


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except FileNotFoundError:  # it is removed at any time
        return 0
