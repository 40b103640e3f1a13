"""Values as PostgreSQL takes and gives them: parameters as text, but for bytes; rows in PostgreSQL's binary form."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, TypeAlias

import msgspec
from psycopg.pq.abc import PGresult
from psycopg.types.numeric import NumericBinaryLoader

_INT8: Final = 20
_BYTEA: Final = 17
_TEXT_FORM: Final = 0
_BINARY_FORM: Final = 1
_Read: TypeAlias = Callable[[bytes], Any]


class Sent(msgspec.Struct, frozen=True, gc=False):
    """The parameters of a statement as libpq takes them. A type of 0 is left for PostgreSQL to find out."""

    values: list[bytes | None]
    types: tuple[int, ...]
    forms: list[int]


def sent(values: Sequence[object]) -> Sent:
    """Write parameters. Flags are whole numbers, as on SQLite."""
    written: list[bytes | None] = []
    types: list[int] = []
    forms: list[int] = []
    for value in values:
        kind, form = 0, _TEXT_FORM
        match value:
            case None:
                written.append(None)
            case str():
                # PostgreSQL has no NUL in its texts: it is kept with the sign for it
                written.append((value.replace("\0", "\u2400") if "\0" in value else value).encode())
            case int():
                kind = _INT8
                written.append(b"%d" % value)
            case bytes():
                kind, form = _BYTEA, _BINARY_FORM
                written.append(value)
            case _:
                raise TypeError(f"{type(value)} is no value of a database")
        types.append(kind)
        forms.append(form)
    return Sent(written, tuple(types), forms)


class PostgresRow(tuple[Any, ...]):
    """A row, by the names of its columns or by their places."""

    places: Mapping[str, int]
    __slots__ = ()

    def __getitem__(self, column: Any) -> Any:
        return tuple.__getitem__(self, self.places[column] if isinstance(column, str) else column)

    def keys(self) -> Iterable[str]:
        """Give the names of the columns."""
        return self.places.keys()


class RowReader:
    """Reads the rows of one statement: their columns are looked up once, not for every answer."""

    def __init__(self, answer: PGresult) -> None:
        columns = range(answer.nfields)
        names = [(answer.fname(column) or b"").decode() for column in columns]
        places = {name: place for place, name in enumerate(names)}
        self._kind = type("Row", (PostgresRow,), {"places": places, "__slots__": ()})
        self._reads = [_READS[answer.ftype(column)] for column in columns]

    def read(self, answer: PGresult, row: int) -> PostgresRow:
        """Read a row of an answer to that statement."""
        values = []
        for column, read in enumerate(self._reads):
            data = answer.get_value(row, column)
            values.append(None if data is None else read(data))
        made: PostgresRow = self._kind(values)
        return made


def _whole(data: bytes) -> int:
    return int.from_bytes(data, "big", signed=True)


def _numeric(data: bytes) -> int:
    """Read the sum of whole numbers, which is one."""
    return int(NumericBinaryLoader(0).load(data))


_READS: Final[Mapping[int, _Read]] = {
    16: _whole,  # bool: a flag is a whole number, as on SQLite
    17: bytes,  # bytea
    19: bytes.decode,  # name
    20: _whole,  # int8
    21: _whole,  # int2
    23: _whole,  # int4
    25: bytes.decode,  # text
    705: bytes.decode,  # unknown: a text that stands in the statement
    1043: bytes.decode,  # varchar
    1700: _numeric,
    2278: bytes.decode,  # void
}
"""How the values of a column are read, by the number of its type in `pg_type`, which never changes."""
