"""The driver of PostgreSQL: connections on threads of their own, statements by name, sent without waiting for each.

In a pipeline a statement's answer is waited for only when it is looked at, so most of a group of transactions costs one
round trip. psycopg's synchronous connection, on a thread, is what lets both databases run the same transactions.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import psycopg
from psycopg.adapt import AdaptersMap
from psycopg.types.bool import BoolBinaryDumper
from psycopg.types.numeric import Int8BinaryDumper, NumericBinaryLoader
from psycopg.types.string import StrDumperUnknown

from obelisk_daemon.storage.postgres.queries import SQL, Statement
from obelisk_daemon.storage.sql.connection import Row, Values


class _Text(StrDumperUnknown):
    """PostgreSQL has no NUL in its texts: what a guest or a caller says with one is kept with the sign for it."""

    def dump(self, obj: str) -> Any:
        return super().dump(obj.replace("\0", "\u2400") if "\0" in obj else obj)


class _Flag(BoolBinaryDumper):
    """Flags are whole numbers, as on SQLite."""

    oid = psycopg.adapters.types["int8"].oid

    def dump(self, obj: bool) -> Any:
        return int(obj).to_bytes(8, "big")


class _Whole(NumericBinaryLoader):
    """The sum of whole numbers is one."""

    def load(self, data: Any) -> Any:
        return int(super().load(data))


def adapters() -> AdaptersMap:
    """Give the forms in which values are sent and read."""
    made = AdaptersMap(psycopg.adapters)
    made.register_dumper(str, _Text)
    made.register_dumper(int, Int8BinaryDumper)
    made.register_dumper(bool, _Flag)
    made.register_loader("numeric", _Whole)
    return made


class PostgresRow(tuple[Any, ...]):
    """A row, by the names of its columns or by their places."""

    places: Mapping[str, int]
    __slots__ = ()

    def __getitem__(self, column: Any) -> Any:
        return tuple.__getitem__(self, self.places[column] if isinstance(column, str) else column)

    def keys(self) -> Iterable[str]:
        """Give the names of the columns."""
        return self.places.keys()


class _RowMaker:
    """Makes the rows of one statement: their columns are looked up once, not for every answer."""

    def __init__(self) -> None:
        self._made: type[PostgresRow] | None = None

    def __call__(self, cursor: psycopg.Cursor[Any]) -> Callable[[Sequence[Any]], PostgresRow]:
        if self._made is None:
            if cursor.description is None:
                return PostgresRow
            places = {column.name: place for place, column in enumerate(cursor.description)}
            self._made = type("Row", (PostgresRow,), {"places": places, "__slots__": ()})
        return self._made


class PostgresCursor:
    """What a statement answers, once it is looked at."""

    def __init__(self, cursor: psycopg.RawCursor[PostgresRow], settle: Callable[[], None]) -> None:
        self._cursor = cursor
        self._settle = settle

    @property
    def rowcount(self) -> int:
        """Wait for the answer, and give how many rows were changed."""
        self._settle()
        return self._cursor.rowcount

    def __iter__(self) -> Iterator[Row]:
        return iter(self._cursor.fetchall())

    def fetchone(self) -> Any:
        """Give the next row; None at the end."""
        return self._cursor.fetchone()

    def fetchall(self) -> list[Row]:
        """Give the rows that are left."""
        return [*self._cursor.fetchall()]

    def close(self) -> None:
        """Read no more of it."""
        self._cursor.close()


class PostgresConnection:
    """`Connection` over one of psycopg's. `raw` is for what only PostgreSQL has."""

    def __init__(self, raw: psycopg.Connection[Any], statements: Mapping[str, Statement] = SQL) -> None:
        self.raw = raw
        self._statements = statements
        self._makers = {name: _RowMaker() for name in statements}
        self._pipeline: psycopg.Pipeline | None = None

    def execute(self, name: str, values: Values = (), /) -> PostgresCursor:
        """Send the statement of a name."""
        statement = self._statements[name]
        cursor = psycopg.RawCursor(self.raw, row_factory=self._makers[name])
        cursor.execute(statement.sql, statement.arrange(values), prepare=True, binary=True)
        return PostgresCursor(cursor, self.settle)

    def executemany(self, name: str, values: Iterable[Values], /) -> None:
        """Send it once for each."""
        for one in values:
            self.execute(name, one)

    def settle(self) -> None:
        """Wait for the answers to all that was sent."""
        if self._pipeline is not None:
            self._pipeline.sync()

    @contextmanager
    def pipelined(self) -> Iterator[None]:
        """Send what follows without waiting for the answers one by one."""
        with self.raw.pipeline() as pipeline:
            self._pipeline = pipeline
            try:
                yield
            finally:
                self._pipeline = None

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Read from one committed state."""
        self.raw.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        try:
            yield
        except BaseException:
            with suppress(psycopg.Error):
                self.raw.execute("ROLLBACK")
            raise
        self.raw.execute("COMMIT")

    def guard(self, subject: str, /) -> bool:
        """Wait until no other transaction guards the same, and guard it until this one ends."""
        self.execute("guard", (subject,))
        return True
