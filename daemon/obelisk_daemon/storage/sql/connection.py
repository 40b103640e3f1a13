"""What logical transactions and reads need of a database's driver. Statements are called by their names.

Everything here is synchronous: it runs on the connection's own thread, a whole function at a time.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol, TypeAlias, TypeVar

T = TypeVar("T")
Values: TypeAlias = Sequence[object] | Mapping[str, object]
"""Of a statement, by place or by name, as the statement has them."""


class Row(Protocol):
    """A row, by the names of its columns or by their places."""

    def __getitem__(self, column: str | int, /) -> Any: ...
    def __iter__(self) -> Iterator[Any]: ...
    def keys(self) -> Iterable[str]:
        """Give the names of the columns."""
        ...


class Cursor(Protocol):
    """What a statement answers."""

    @property
    def rowcount(self) -> int:
        """Give how many rows were changed."""
        ...

    def __iter__(self) -> Iterator[Row]: ...

    def fetchone(self) -> Any:
        """Give the next row; None at the end."""
        ...

    def fetchall(self) -> list[Row]:
        """Give the rows that are left."""
        ...

    def close(self) -> None:
        """Read no more of it."""
        ...


class Asked(Protocol):
    """What runs statements: a connection, or a transaction on it."""

    def execute(self, name: str, values: Values = (), /) -> Cursor:
        """Run the statement of a name."""
        ...


class Connection(Asked, Protocol):
    """A connection to the database, on its thread.

    `ranks` are answers of `rank_of_locked_child`, by its values, as long as they hold.
    """

    ranks: dict[tuple[str, str, int], int]

    def tuples(self, name: str, values: Values = (), /) -> list[Any]:
        """Run the statement of a name, and give its rows as plain tuples: half the work, where there are many."""
        ...

    def executemany(self, name: str, values: Iterable[Values], /) -> object:
        """Run it once for each."""
        ...

    def guard(self, subject: str, /) -> bool:
        """Keep the transactions of other hosts from what they guard by the same name, until this one ends.

        False where there are no other hosts; else what was read before may have changed meanwhile.
        """
        ...

    def snapshot(self) -> AbstractContextManager[object]:
        """Have all that is read in the context read from one committed state."""
        ...


class ConnectionThread(Protocol):
    """The thread that owns a connection."""

    async def call(self, function: Callable[[Connection], T], /) -> T:
        """Run a function on it."""
        ...
