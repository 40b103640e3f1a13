"""Looking for damage in a database file: what SQLite finds in its pages, and what is wrong in the rows.

It is made for a process of its own (`obeliskd check-db`), where it holds nobody up, and works on a database in use.
"""

import sqlite3
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from obelisk_daemon.errors import OperatorError
from obelisk_daemon.storage.database import CheckReport, Damage
from obelisk_daemon.storage.sql.checking import MOST_DAMAGE, check_rows
from obelisk_daemon.storage.sqlite.connection import SqliteConnection
from obelisk_daemon.storage.sqlite.schema import open_for_check


def check_database(file: Path, *, full: bool) -> CheckReport:
    """Check a database file; a full check reads all of it.

    Raises:
        OperatorError: `database_unusable`, `database_newer`, `database_older`: it is not a database of ours, or of
            another schema; `database_unreadable`: the disk does not give it.
    """
    connection = open_for_check(file)
    try:
        named = SqliteConnection(connection)
        with named.snapshot():  # whatever is written meanwhile
            damage = list(islice(_pages(connection, full=full), MOST_DAMAGE))
            if damage:  # what stands on broken pages is not worth a look
                return CheckReport(ok=False, full=full, executions=0, total=0, damage=damage)
            return check_rows(named, full=full)
    except sqlite3.DatabaseError as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF not in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            raise OperatorError("database_unreadable", f"{file} can't be read: {error}") from error
        # so damaged that it can't be read on: that is what was asked
        return CheckReport(ok=False, full=full, executions=0, total=0, damage=[Damage("", str(file), str(error))])
    finally:
        connection.close()


def _pages(connection: sqlite3.Connection, *, full: bool) -> Iterator[Damage]:
    pragma = "integrity_check" if full else "quick_check"
    for (message,) in connection.execute(f"PRAGMA {pragma}({MOST_DAMAGE})"):
        if message != "ok":
            yield Damage("", "", message)
