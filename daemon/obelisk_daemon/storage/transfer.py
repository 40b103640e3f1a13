"""Moving all that an SQLite database holds to an empty PostgreSQL database: in one transaction, and checked.

Rows go in PostgreSQL's own binary form, and are read back in it: the same bytes have the same digest on both sides.
"""

import hashlib
import sqlite3
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import msgspec
import psycopg

from obelisk_daemon.errors import OperatorError
from obelisk_daemon.storage.database import Damage
from obelisk_daemon.storage.postgres.connecting import Target
from obelisk_daemon.storage.postgres.connection import PostgresConnection
from obelisk_daemon.storage.postgres.schema import prepare
from obelisk_daemon.storage.sql.checking import check_rows
from obelisk_daemon.storage.sqlite.checking import check_database
from obelisk_daemon.storage.sqlite.moved import forget_move, note_move
from obelisk_daemon.storage.sqlite.schema import open_for_check

_HEADER: Final = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_TRAILER: Final = b"\xff\xff"
_COLUMNS: Final = struct.Struct("!h")
_LENGTH: Final = struct.Struct("!i")
_INTEGER: Final = struct.Struct("!iq")
_NULL: Final = _LENGTH.pack(-1)
_CHUNK: Final = 1 << 20
_NO_NUL: Final = "\u2400"
"""What the store for PostgreSQL writes in place of a NUL, which its texts can't have."""
_TYPES: Final = frozenset(("bigint", "text", "bytea"))
_LEFT_OUT: Final = frozenset(("host",))
"""Daemons that run; none does."""
_OTHERWISE: Final[Mapping[str, Mapping[str, str]]] = {
    "queue_length": {"share": "0"},
    # they are gone, as nobody else holds the state directory: what they ran is taken over at once
    "executor": {"lease_until": "0"},
    "proposal": {"host": "CASE host WHEN 'local' THEN :host ELSE host END"},
}
"""What a column is there, where it isn't as it is here."""


class Transfer(msgspec.Struct, frozen=True):
    """What to move, and where to. `told` hears which table is copied, after how many rows of how many."""

    source: Path
    target: Target
    host: str
    """The name of the daemon's host, which is only `local` on SQLite."""
    told: Callable[[str, int, int], None]


class TableReport(msgspec.Struct, frozen=True):
    """A table that is the same on both sides. `sha256` is of its rows as PostgreSQL gives them in COPY BINARY."""

    table: str
    rows: int
    sha256: str


class TransferReport(msgspec.Struct, frozen=True):
    """What was moved."""

    source: str
    target: str
    executions: int
    """All of them follow from their logs."""
    unfinished: int
    tables: list[TableReport]

    @property
    def summary(self) -> str:
        """Tell it in one line."""
        rows = sum(table.rows for table in self.tables)
        counted = f"{self.executions:,} executions ({self.unfinished:,} unfinished), {rows:,} rows"
        return f"copied and verified: {counted}, from {self.source} to {self.target}"


class _Table(msgspec.Struct, frozen=True):
    name: str
    columns: tuple[str, ...]
    expressions: tuple[str, ...]
    order: str
    rows: int

    @property
    def in_source(self) -> str:
        """Give the query for its rows as they are to be in the target."""
        return f"SELECT {', '.join(self.expressions)} FROM {self.name} ORDER BY {self.order}"  # noqa: S608 - our names

    @property
    def in_target(self) -> str:
        """Give the query for its rows there, in the same order."""
        return f"SELECT {', '.join(self.columns)} FROM {self.name} ORDER BY {self.order}"  # noqa: S608 - our names


def transfer(wanted: Transfer) -> TransferReport:
    """Move everything; nobody may have the source open. Without success, the target has nothing, or what it had.

    Raises:
        OperatorError: the source or the target can't be used; `source_damaged`, `target_not_empty`, `copy_failed`.
    """
    checked = check_database(wanted.source, full=True)
    if not checked.ok:
        cure = f"nothing was copied; obeliskd check-db --full {wanted.source} tells all of it"
        raise OperatorError("source_damaged", f"{wanted.source} is damaged: {_first(checked.damage)}; {cure}")
    prepare(wanted.target)
    with closing(open_for_check(wanted.source)) as source, closing(wanted.target.connect().raw) as target:
        try:
            tables = _moved(wanted, source, target)
        except (psycopg.Error, sqlite3.Error, OSError) as error:
            message = f"{wanted.source} could not be copied to {wanted.target.name}: {error}"
            raise OperatorError("copy_failed", f"{message}; try again, which tells if anything is there") from error
        (unfinished,) = source.execute("SELECT count(*) FROM execution WHERE status <> 'finished'").fetchone()
    return TransferReport(str(wanted.source), wanted.target.name, checked.executions, unfinished, tables)


def _moved(wanted: Transfer, source: sqlite3.Connection, target: psycopg.Connection[Any]) -> list[TableReport]:
    tables = list(_tables(source, target))
    total, done = sum(table.rows for table in tables), 0
    noted = False
    try:
        with target.transaction():
            _alone(target, tables, wanted.target.name)
            reports = []
            for table in tables:
                wanted.told(table.name, done, total)
                reports.append(_copied(table, source, target, wanted))
                done += table.rows
            wanted.told("verifying", done, total)
            _finish(target, tables)
            note_move(wanted.source, wanted.target.name)
            noted = True
    except BaseException:
        if noted:
            forget_move(wanted.source)
        raise
    return reports


def _tables(source: sqlite3.Connection, target: psycopg.Connection[Any]) -> Iterator[_Table]:
    """Read the tables of the source, with the columns that they have in the target."""
    types = target.execute(
        "SELECT table_name, column_name, data_type FROM information_schema.columns"
        " WHERE table_schema = 'obelisk' ORDER BY table_name, ordinal_position"
    ).fetchall()
    for (name,) in source.execute("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY rowid").fetchall():
        if name in _LEFT_OUT or name.startswith("sqlite_"):
            continue
        here = {row["name"]: row["pk"] for row in source.execute(f"PRAGMA table_info({name})")}
        columns = tuple(column for table, column, _ in types if table == name)
        otherwise = _OTHERWISE.get(name, {})
        assert {*here, *otherwise} == {*columns}, f"the schemas differ in {name}"
        assert {kind for table, _, kind in types if table == name} <= _TYPES, f"{name} has columns of another type"
        keys = sorted((place, column) for column, place in here.items() if place)
        (rows,) = source.execute(f"SELECT count(*) FROM {name}").fetchone()  # noqa: S608 - our names
        expressions = tuple(otherwise.get(column, column) for column in columns)
        yield _Table(name, columns, expressions, ", ".join(str(columns.index(key) + 1) for _, key in keys), rows)


def _alone(target: psycopg.Connection[Any], tables: Sequence[_Table], name: str) -> None:
    """Keep daemons off until the end, and make sure that nothing is there.

    Raises:
        OperatorError: `target_not_empty`.
    """
    target.execute("SET LOCAL statement_timeout = 0")
    target.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
    all_of_them = [table.name for table in tables] + sorted(_LEFT_OUT)
    target.execute(f"LOCK TABLE {', '.join(all_of_them)} IN ACCESS EXCLUSIVE MODE")
    for table in all_of_them:
        row = target.execute(f"SELECT EXISTS (SELECT 1 FROM {table})").fetchone()  # noqa: S608 - our names
        if row is not None and row[0]:
            message = f"{name} has rows in its table {table}: copy to an empty database, or make it empty"
            raise OperatorError("target_not_empty", f"{message}, which ends all in it: DROP SCHEMA obelisk CASCADE")


def _copied(
    table: _Table, source: sqlite3.Connection, target: psycopg.Connection[Any], wanted: Transfer
) -> TableReport:
    """Copy a table in chunks, read it back, and compare.

    Raises:
        OperatorError: `copy_failed`: something else is there than was sent.
    """
    sent = hashlib.sha256()
    rows = source.execute(table.in_source, {"host": wanted.host})
    columns = ", ".join(table.columns)
    with target.cursor().copy(f"COPY {table.name} ({columns}) FROM STDIN (FORMAT BINARY)") as copy:
        for chunk in _chunks(rows):
            sent.update(chunk)
            copy.write(chunk)
    found = hashlib.sha256()
    with target.cursor().copy(f"COPY ({table.in_target}) TO STDOUT (FORMAT BINARY)") as copy:
        for block in copy:
            found.update(block)
    row = target.execute(f"SELECT count(*) FROM {table.name}").fetchone()  # noqa: S608 - our names
    assert row is not None
    if (row[0], found.digest()) != (table.rows, sent.digest()):
        message = f"{table.name} is not there as it was sent: {row[0]} of {table.rows} rows, or other values"
        raise OperatorError("copy_failed", f"{message}; nothing was copied; look at the server's log")
    return TableReport(table.name, table.rows, sent.hexdigest())


def _chunks(rows: sqlite3.Cursor) -> Iterator[bytes]:
    """Pack rows into chunks of about a mebibyte."""
    chunk = bytearray(_HEADER)
    for row in rows:
        chunk += _packed(row)
        if len(chunk) >= _CHUNK:
            yield bytes(chunk)
            chunk.clear()
    yield bytes(chunk + _TRAILER)


def _packed(row: Sequence[object]) -> bytes:
    parts = [_COLUMNS.pack(len(row))]
    for value in row:
        match value:
            case None:
                parts.append(_NULL)
            case int():
                parts.append(_INTEGER.pack(8, value))
            case str():
                data = value.replace("\0", _NO_NUL).encode()
                parts += (_LENGTH.pack(len(data)), data)
            case bytes():
                parts += (_LENGTH.pack(len(value)), value)
            case _:
                raise TypeError(f"a {type(value).__name__} in a table")
    return b"".join(parts)


def _finish(target: psycopg.Connection[Any], tables: Sequence[_Table]) -> None:
    """Go on counting where the source was, let the planner know the sizes, and look at the rows as a daemon would.

    Raises:
        OperatorError: `copy_failed`.
    """
    identities = target.execute(
        "SELECT table_name, column_name FROM information_schema.columns"
        " WHERE table_schema = 'obelisk' AND is_identity = 'YES'"
    ).fetchall()
    for name, column in identities:
        target.execute(
            f"SELECT setval(pg_get_serial_sequence('obelisk.{name}', '{column}'), max({column}))"  # noqa: S608
            f" FROM {name} HAVING max({column}) IS NOT NULL"
        )
    target.execute(f"ANALYZE {', '.join(table.name for table in tables)}")
    checked = check_rows(PostgresConnection(target), full=False)
    if not checked.ok:
        message = f"what is in PostgreSQL contradicts itself: {_first(checked.damage)}"
        raise OperatorError("copy_failed", f"{message}; nothing was copied; this is a bug of obeliskd, please tell us")


def _first(damage: Sequence[Damage]) -> str:
    first, more = damage[0], len(damage) - 1
    return f"{first.table} {first.subject}: {first.message}".strip() + (f", and {more} more" if more else "")
