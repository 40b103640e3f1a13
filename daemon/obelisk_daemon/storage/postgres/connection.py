"""The driver of PostgreSQL: connections on threads of their own, statements by name, sent without waiting for each.

In a pipeline a statement's answer is waited for only when it is looked at, so most of a group of transactions costs one
round trip. It speaks to libpq itself, through psycopg's binding: psycopg's cursors take twenty times as long (28 us for
a statement with four parameters, against 1.4), and a step of a workflow takes about twenty statements.
"""

import select
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, Final, TypeAlias

import psycopg
from psycopg import errors, pq
from psycopg.pq.abc import PGresult

from obelisk_daemon.storage.postgres.queries import SQL, Statement
from obelisk_daemon.storage.postgres.values import RowReader, sent
from obelisk_daemon.storage.sql.connection import Row, Values

_BINARY: Final = 1
_FAILED: Final = (pq.ExecStatus.FATAL_ERROR, pq.ExecStatus.PIPELINE_ABORTED)
_Form: TypeAlias = tuple[str, tuple[int, ...]]
"""A statement by its name and the types of its parameters: each is prepared once."""


class PostgresCursor:
    """What a statement answers, once it is looked at."""

    def __init__(self, connection: "PostgresConnection", name: str) -> None:
        self._connection = connection
        self.name = name
        self.answer: PGresult | None = None
        self._next = 0

    @property
    def rowcount(self) -> int:
        """Wait for the answer, and give how many rows were changed."""
        return self._answered().command_tuples or 0

    def __iter__(self) -> Iterator[Row]:
        return iter(self.fetchall())

    def fetchone(self) -> Any:
        """Give the next row; None at the end."""
        answer = self._answered()
        if self._next >= answer.ntuples:
            return None
        self._next += 1
        return self._connection.reader(self.name, answer).read(answer, self._next - 1)

    def fetchall(self) -> list[Row]:
        """Give the rows that are left."""
        answer = self._answered()
        reader = self._connection.reader(self.name, answer)
        first, self._next = self._next, answer.ntuples
        return [reader.read(answer, row) for row in range(first, self._next)]

    def close(self) -> None:
        """Read no more of it."""
        self._next = self._answered().ntuples

    def _answered(self) -> PGresult:
        if self.answer is None:
            self._connection.settle()
        if self.answer is None:
            raise psycopg.OperationalError("the connection was lost before the answer")
        if self.answer.status in _FAILED:
            raise _error(self.answer)
        return self.answer


class PostgresConnection:
    """`Connection` over one of psycopg's. `raw` is for what only PostgreSQL has, outside of a pipeline."""

    def __init__(self, raw: psycopg.Connection[Any], statements: Mapping[str, Statement] = SQL) -> None:
        self.raw = raw
        self._libpq = raw.pgconn
        self._statements = statements
        self._readers: dict[str, RowReader] = {}
        self._prepared: dict[_Form, bytes] = {}
        self._sent: deque[PostgresCursor | _Form] = deque()
        """What was sent and is not answered, in order: statements, and before its first use how each was prepared."""
        self._in_pipeline = False
        self.ranks: dict[tuple[str, str, int], int] = {}
        self._ranks_of: int | None = None

    def ranks_hold(self, generation: int | None) -> bool:
        """Tell if `ranks` are those of a generation; if not, forget them."""
        outdated = self.ranks and self._ranks_of not in (None, generation)
        if outdated:
            self.ranks.clear()
        self._ranks_of = generation
        return not outdated

    def execute(self, name: str, values: Values = (), /) -> PostgresCursor:
        """Send the statement of a name."""
        cursor = PostgresCursor(self, name)
        if self._in_pipeline:
            self._send(cursor, values)
        else:
            with self.pipelined():
                self._send(cursor, values)
                self.settle()
        return cursor

    def tuples(self, name: str, values: Values = (), /) -> list[Any]:
        """Run the statement of a name, and give its rows, which are tuples."""
        return self.execute(name, values).fetchall()

    def executemany(self, name: str, values: Iterable[Values], /) -> None:
        """Send it once for each."""
        for one in values:
            self.execute(name, one)

    def _send(self, cursor: PostgresCursor, values: Values) -> None:
        statement = self._statements[cursor.name]
        params = sent(statement.arrange(values))
        form = (cursor.name, params.types)
        name = self._prepared.get(form)
        if name is None:
            name = self._prepared[form] = f"{cursor.name}_{len(self._prepared)}".encode()
            self._libpq.send_prepare(name, statement.sql.encode(), params.types)
            self._sent.append(form)
        self._libpq.send_query_prepared(name, params.values, params.forms, _BINARY)
        self._sent.append(cursor)

    def settle(self) -> None:
        """Wait for the answers to all that was sent.

        Raises:
            psycopg.Error: of the first that failed; what came after it was not done.
        """
        if not self._sent:
            return
        self._libpq.pipeline_sync()
        failed: PGresult | None = None
        while self._sent:
            one = self._sent.popleft()
            answer = self._next_answer()
            if isinstance(one, PostgresCursor):
                one.answer = answer
            elif answer.status in _FAILED:
                del self._prepared[one]
            if answer.status in _FAILED and failed is None:
                failed = answer
        self._next_answer()  # to the sync itself
        if failed is not None:
            raise _error(failed)

    def _next_answer(self) -> PGresult:
        """Wait for it without holding up other threads.

        Raises:
            psycopg.OperationalError: the connection is lost.
        """
        while True:
            while self._libpq.is_busy():
                wants = select.POLLIN | (select.POLLOUT if self._libpq.flush() else 0)
                waiting = select.poll()
                waiting.register(self._libpq.socket, wants)
                waiting.poll()
                self._libpq.consume_input()
            answer = self._libpq.get_result()
            if answer is not None:
                return answer
            if self._libpq.status == pq.ConnStatus.BAD:
                raise psycopg.OperationalError("the connection is lost")

    def reader(self, name: str, answer: PGresult) -> RowReader:
        """Give what reads the rows of a statement."""
        reader = self._readers.get(name)
        if reader is None:
            reader = self._readers[name] = RowReader(answer)
        return reader

    def roll_back(self) -> None:
        """End a transaction without its effects."""
        self.execute("rollback")

    @contextmanager
    def pipelined(self) -> Iterator[None]:
        """Send what follows without waiting for the answers one by one."""
        self._libpq.enter_pipeline_mode()
        self._in_pipeline = True
        try:
            yield
            self.settle()
        finally:
            self._in_pipeline = False
            with suppress(psycopg.Error):  # whoever left early is told why already
                self.settle()
                self._libpq.exit_pipeline_mode()

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


def _error(answer: PGresult) -> psycopg.Error:
    if answer.status == pq.ExecStatus.PIPELINE_ABORTED:
        return errors.PipelineAborted("a statement before it failed")
    return errors.error_from_result(answer)
