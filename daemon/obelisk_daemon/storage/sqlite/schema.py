"""Opening the database file: exclusive, durable, at the schema this daemon knows."""

import logging
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from obelisk_daemon.errors import OperatorError, StorageUnavailableError
from obelisk_daemon.storage.sqlite.copying import copy_database
from obelisk_daemon.storage.sqlite.queries import migrations

_APPLICATION_ID: Final = 0x0BE115C
_LOG: Final = logging.getLogger(__name__)
_PRAGMAS: Final = (
    "PRAGMA auto_vacuum = INCREMENTAL",  # of a new file: without, only a rewrite of all of it gives space back
    "PRAGMA journal_mode = WAL",
    "PRAGMA wal_autocheckpoint = 4000",  # 16 MiB: pages that every step changes are written to the file once in that
    "PRAGMA synchronous = FULL",  # NORMAL lost acknowledged commits in 273 of 400 simulated power cuts
    "PRAGMA journal_size_limit = 67108864",  # after a long read held up checkpoints, the WAL gives its space back
    "PRAGMA foreign_keys = OFF",
    "PRAGMA temp_store = MEMORY",
    "PRAGMA cache_size = -65536",
)

_WRITE_AGAIN: Final = "PRAGMA wal_checkpoint(TRUNCATE)"
"""Writes what is in the WAL to the database file, and syncs that.

After a sync has failed, the kernel may show pages that never get to the disk, and the next sync of them passes. So what
a daemon read from a WAL in which one failed would be built on sand: it is written again first.
"""


def open_for_writing(file: Path, scripts: Sequence[str] | None = None) -> sqlite3.Connection:
    """Open or make the database and bring its schema up to date by `scripts`: ours, unless a test has others.

    Before a migration the database is copied to a file beside it, `obelisk.db.schema-<its number before>`.

    Raises:
        OperatorError: `database_unusable` (not a database, or one of something else), `database_newer` (made by a
            later version of the daemon), or `migration_refused`: it can't be copied before its migration.
    """
    scripts = migrations() if scripts is None else scripts
    _require_whole(file)
    try:
        connection = sqlite3.connect(file, isolation_level=None, check_same_thread=False, cached_statements=256)
    except sqlite3.Error as error:
        raise _unusable(file, error) from error
    with _closed_unless_usable(connection, file):
        connection.row_factory = sqlite3.Row
        version = _check(connection, file, len(scripts))
        for pragma in _PRAGMAS:
            connection.execute(pragma)
        _migrate(connection, version, scripts, file)
        connection.execute(_WRITE_AGAIN)
        connection.execute("PRAGMA busy_timeout = 0")  # who commits waits as it suits them
    return connection


def _require_whole(file: Path) -> None:
    """Refuse a file that has lost all of its content: SQLite would delete its WAL, where something of it may be."""
    wal = Path(f"{file}-wal")
    if file.exists() and file.stat().st_size == 0 and wal.exists() and wal.stat().st_size:
        raise OperatorError(
            "database_unusable", f"{file} is empty, and {wal} is not: restore a backup, or move both away"
        )


@contextmanager
def _closed_unless_usable(connection: sqlite3.Connection, file: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        connection.close()
        raise _unusable(file, error) from error
    except BaseException:
        connection.close()
        raise


def _unusable(file: Path, error: sqlite3.Error) -> OperatorError:
    return OperatorError("database_unusable", f"{file} can't be used as a database: {error}")


def open_for_reading(file: Path) -> sqlite3.Connection:
    """Open a connection that can't write.

    Raises:
        OperatorError: `database_unusable`.
    """
    try:
        connection = sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)
    except sqlite3.Error as error:
        raise _unusable(file, error) from error
    with _closed_unless_usable(connection, file):
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA query_only = ON")
        connection.execute("PRAGMA cache_size = -16384")
    return connection


def open_for_checkpoints(file: Path) -> sqlite3.Connection:
    """Open a connection that moves what is committed from the WAL to the file, and does nothing else.

    Raises:
        OperatorError: `database_unusable`.
    """
    try:
        connection = sqlite3.connect(file, isolation_level=None, timeout=0)
    except sqlite3.Error as error:
        raise _unusable(file, error) from error
    with _closed_unless_usable(connection, file):
        connection.execute("PRAGMA synchronous = FULL")  # what is moved is forgotten by the WAL
        connection.execute("PRAGMA cache_size = -64")
    return connection


def open_for_check(file: Path) -> sqlite3.Connection:
    """Open a database of this schema, which a daemon may be using, to look at all of it.

    Raises:
        OperatorError: as for `open_for_writing`; also `database_older`: only the daemon brings it up to date.
    """
    if not file.is_file():
        raise OperatorError("database_unusable", f"{file} is no file")
    connection = open_for_reading(file)
    with _closed_unless_usable(connection, file):
        version = _check(connection, file, known := len(migrations()))
        if version < known:
            raise OperatorError("database_older", f"{file} has schema {version}, and this obeliskd checks {known}")
    return connection


def _check(connection: sqlite3.Connection, file: Path, known: int) -> int:
    """Give the schema's version, before anything in the file is changed."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    if application != _APPLICATION_ID and (application or version or _has_tables(connection)):
        raise OperatorError("database_unusable", f"{file} is the database of another program")
    if version > known:
        raise OperatorError(
            "database_newer", f"{file} has schema {version}; this obeliskd knows up to {known}: run the newer one"
        )
    return int(version)


def _migrate(connection: sqlite3.Connection, version: int, scripts: Sequence[str], file: Path) -> None:
    if 0 < version < len(scripts):
        _copy_before(file, version, len(scripts))
    for number, script in enumerate(scripts[version:], start=version + 1):
        connection.executescript(
            f"BEGIN IMMEDIATE;\n{script}\nPRAGMA application_id = {_APPLICATION_ID};\n"
            f"PRAGMA user_version = {number};\nCOMMIT;"
        )


def _copy_before(file: Path, version: int, wanted: int) -> None:
    """Keep the database as it is: there is no way back from a migration. A start that was cut off copies it again."""
    target = file.with_name(f"{file.name}.schema-{version}")
    try:
        copy_database(file, target)
    except StorageUnavailableError as error:
        raise OperatorError(
            "migration_refused", f"{file} is not migrated to schema {wanted}, since it can't be copied before: {error}"
        ) from error
    _LOG.info("%s is a copy of the database before its migration; delete it when all is well", target)


def _has_tables(connection: sqlite3.Connection) -> bool:
    return connection.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchone() is not None
