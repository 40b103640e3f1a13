"""A database whose statements fail when the test says so, as a disk does."""

import sqlite3
from collections.abc import Callable
from functools import partial


def sqlite_error(message: str, code: int) -> sqlite3.OperationalError:
    """Make an error as SQLite raises it."""
    error = sqlite3.OperationalError(message)
    error.sqlite_errorcode = code
    return error


class Faults:
    """What fails: the beginning of a statement and the error it raises, until `clear`."""

    def __init__(self) -> None:
        self._armed: dict[str, sqlite3.Error] = {}

    def arm(self, statement: str, error: sqlite3.Error) -> None:
        self._armed[statement] = error

    def clear(self) -> None:
        self._armed.clear()

    def check(self, sql: str) -> None:
        for statement, error in self._armed.items():
            if sql.startswith(statement):
                raise error

    def connect(self) -> Callable[..., sqlite3.Connection]:
        """Give a `sqlite3.connect` whose connections have these faults."""

        class Connection(sqlite3.Connection):
            def execute(connection, sql: str, *arguments: object) -> sqlite3.Cursor:  # noqa: N805
                self.check(sql)
                return super().execute(sql, *arguments)  # type: ignore[arg-type]

            def executemany(connection, sql: str, *arguments: object) -> sqlite3.Cursor:  # noqa: N805
                self.check(sql)
                return super().executemany(sql, *arguments)  # type: ignore[arg-type]

        return partial(sqlite3.connect, factory=Connection)
