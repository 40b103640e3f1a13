"""Bringing the schema up to date, by whichever host starts first."""

import psycopg
from psycopg import errors

from obelisk_daemon.errors import OperatorError
from obelisk_daemon.storage.postgres.connecting import Target
from obelisk_daemon.storage.postgres.connection import PostgresConnection
from obelisk_daemon.storage.postgres.queries import migrations

_OURS = """
CREATE SCHEMA IF NOT EXISTS obelisk;
CREATE TABLE IF NOT EXISTS obelisk.schema_version (number BIGINT NOT NULL);
"""


def prepare(target: Target) -> None:
    """Make the schema, or bring it up to date; others who start meanwhile wait.

    Raises:
        OperatorError: `database_unusable`: it can't be connected to, takes no writes, or has no UTF-8;
            `database_newer`: a later version of the daemon has made it.
    """
    try:
        connection = target.connect()
    except psycopg.OperationalError as error:
        raise OperatorError("database_unusable", f"{target.name} can't be used: {error}") from error
    try:
        _check(connection, target)
        _migrate(connection, target)
        connection.execute("forget_commits")
    except errors.InsufficientPrivilege as error:
        message = f"{target.name}: {error}; give the role CREATE on the database, or make the schema obelisk for it"
        raise OperatorError("database_unusable", message) from error
    except psycopg.Error as error:
        raise OperatorError("database_unusable", f"{target.name} can't be used: {error}") from error
    finally:
        connection.raw.close()


def _check(connection: PostgresConnection, target: Target) -> None:
    row = connection.execute("server").fetchone()
    if row["read_only"]:
        raise OperatorError("database_unusable", f"{target.name} takes no writes: name the primary, not a standby")
    if row["encoding"] != "UTF8":
        message = f"{target.name} has the encoding {row['encoding']}: make the database with ENCODING 'UTF8'"
        raise OperatorError("database_unusable", message)
    if row["version"] < 140_000:
        raise OperatorError("database_unusable", f"{target.name} is older than PostgreSQL 14")


def _migrate(connection: PostgresConnection, target: Target) -> None:
    scripts = migrations()
    with connection.raw.transaction():
        connection.guard("schema")
        connection.raw.execute(_OURS)
        row = connection.raw.execute("SELECT max(number) FROM obelisk.schema_version").fetchone()
        version = (row[0] if row is not None else None) or 0
        if version > len(scripts):
            message = f"{target.name} has schema {version}; this obeliskd knows up to {len(scripts)}: run the newer one"
            raise OperatorError("database_newer", message)
        for number, script in enumerate(scripts[version:], start=version + 1):
            connection.raw.execute(script)
            connection.raw.execute("INSERT INTO obelisk.schema_version VALUES (%s)", (number,))
