"""Looking for damage in what PostgreSQL holds for us: its own pages are its own care."""

from contextlib import closing

import psycopg

from obelisk_daemon.errors import OperatorError
from obelisk_daemon.storage.database import CheckReport
from obelisk_daemon.storage.postgres.connecting import Target
from obelisk_daemon.storage.postgres.connection import PostgresConnection
from obelisk_daemon.storage.sql.checking import check_rows


def check_database(target: Target, *, full: bool) -> CheckReport:
    """Check the rows against the logs, in one snapshot; a full check reads all.

    Raises:
        OperatorError: `database_unusable`: it can't be read, or has no tables of ours.
    """
    try:
        with closing(target.connect().raw) as raw:
            raw.execute("SET statement_timeout = 0")
            connection = PostgresConnection(raw)
            with connection.snapshot():
                return check_rows(connection, full=full)
    except psycopg.Error as error:
        raise OperatorError("database_unusable", f"{target.name} can't be checked: {error}") from error
