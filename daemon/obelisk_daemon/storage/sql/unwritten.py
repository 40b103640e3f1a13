"""What the transactions of a group add to rows, kept until it must be written: then it is few statements for all.

A step of a workflow makes a child, ends it, answers the parent and goes on, each in a transaction of its own. Where
they are committed together, the child's row is inserted once, as it is in the end, and the parent's is updated once. It
comes to the same: all are committed or none, and of a group in which one is refused, each runs again on its own.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from functools import partial
from typing import Final, Protocol

import msgspec

from obelisk_daemon.clock import Instant, after
from obelisk_daemon.execution import codec
from obelisk_daemon.execution.events import DelayRequest, Entry, Response
from obelisk_daemon.execution.outcome import FailureRecord
from obelisk_daemon.execution.state import State
from obelisk_daemon.ids import ExecutionId, RunId
from obelisk_daemon.storage.records import (
    Change,
    DelayEnded,
    LogLine,
    NewExecution,
    NewResponse,
    Recorded,
    ResponseChange,
    StateChange,
    VersionConflictError,
)
from obelisk_daemon.storage.sql import rows
from obelisk_daemon.storage.sql.connection import Connection, Cursor

HOT_GRACE: Final = timedelta(seconds=5)
"""How long a workflow kept in memory has, after its response, before others may take it (DESIGN.md section 6)."""
_FOR_MANY: Final = (
    "insert_tag",
    "insert_event",
    "insert_response_before",
    "insert_failure",
    "insert_log_line",
    "insert_delay",
    "delete_delays_of",
)
"""What is added to other tables, in this order: who ends has no delays."""


class Teller(Protocol):
    """The transaction that adds something, as far as it tells what came of it."""

    changes: list[Change]
    recorded: list[Recorded | DelayEnded]

    def look(self, look: Callable[[], None]) -> None:
        """Look at an answer, now or before the commit."""
        ...


class _Row:
    """What is to become of a row: of a `new` one, or of one that a run found at the version `before`.

    Without a `state` it is only answered, and what that leads to is for the database to say.
    """

    __slots__ = ("answers", "before", "missing", "new", "rank", "run_id", "state", "teller")

    def __init__(self, teller: Teller) -> None:
        self.teller = teller
        self.new: NewExecution | None = None
        self.rank: int | None = None
        self.before = 0
        self.run_id: RunId | None = None
        self.state: State | None = None
        self.missing = 0
        self.answers: list[tuple[Teller, NewResponse]] = []

    def answer(self, teller: Teller, new: NewResponse) -> None:
        """Do what `deliver_response` does."""
        self.answers.append((teller, new))
        if self.state is None or self.state.status != "blocked" or self.state.join_set != new.join_set:
            return
        self.missing -= 1
        if self.missing <= 0:
            due_at = new.created_at if self.state.executor_id is None else after(new.created_at, HOT_GRACE)
            self.state = msgspec.structs.replace(self.state, status="pending_at", due_at=due_at)
            teller.changes.append(rows.change_of(new.execution_id, self.state))

    def tell(self, execution_id: ExecutionId, count: int) -> None:
        """Tell of the answers, which make `count` with those that were there."""
        assert self.state is not None
        for seq, (teller, new) in enumerate(self.answers, count - len(self.answers) + 1):
            response = Response(seq, new.created_at, new.join_set, new.item)
            teller.changes.append(ResponseChange(execution_id, response, self.state.executor_id))


class Unwritten:
    """Of one group, on one connection. `write` comes before anything else is asked of the database."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._rows: dict[ExecutionId, _Row] = {}
        self._many: dict[str, list[tuple[object, ...]]] = {}

    def has(self, execution_id: ExecutionId) -> bool:
        """Tell if something is to become of an execution."""
        return execution_id in self._rows

    def insert(self, teller: Teller, new: NewExecution, rank: int | None = None) -> None:
        """Make an execution with its first events; its rank is looked up where it isn't known."""
        if new.execution_id in self._rows:
            self.write()
        row = self._rows[new.execution_id] = _Row(teller)
        row.new, row.rank, row.state, row.run_id = new, rank, new.state, new.state.run_id
        at = new.entries[0].created_at
        if new.created.tags:
            self._add("insert_tag", [(*tag, at, new.execution_id) for tag in new.created.tags.items()])
        self.events(new.execution_id, new.entries)
        if new.failure is not None:
            self.failure(new.execution_id, new.failure)
        teller.changes.append(rows.change_of(new.execution_id, new.state, is_new=True))
        teller.recorded.append(Recorded(new.execution_id, new.created, at, new.entries, new.state))

    def update(
        self,
        teller: Teller,
        held: tuple[ExecutionId, RunId],
        entries: tuple[Entry, ...],
        state: State,
        missing: int,
    ) -> None:
        """Append to the log of an execution that a run holds, and give its row the state that follows.

        That the run still holds it, at the version before these entries, is found out at the latest when it is written.
        """
        execution_id, run_id = held
        before = state.version - len(entries)
        row = self._rows.get(execution_id)
        if row is not None and row.state is not None and (row.state.version, row.state.run_id) != (before, run_id):
            self.write()
            row = None
        if row is None:
            row = self._rows[execution_id] = _Row(teller)
        if row.state is None:
            row.before, row.run_id = before, run_id
        row.teller, row.state, row.missing = teller, state, missing
        self.events(execution_id, entries)

    def answer(self, teller: Teller, new: NewResponse) -> None:
        """Append a response and wake the execution if it waits for it. One that has finished needs it no more."""
        row = self._rows.get(new.execution_id)
        if row is None:
            row = self._rows[new.execution_id] = _Row(teller)
        if row.state is None or row.state.status != "finished":
            row.answer(teller, new)

    def events(self, execution_id: ExecutionId, entries: Iterable[Entry]) -> None:
        """Insert events; a version that is there already is an error of ours."""
        made = [(execution_id, e.version, e.created_at, codec.encode(e.event)) for e in entries]
        self._add("insert_event", made)

    def lines(self, execution_id: ExecutionId, run_id: RunId, lines: Iterable[LogLine]) -> None:
        """Keep lines of a log."""
        made = [(execution_id, run_id, one.created_at, one.level, one.message) for one in lines]
        self._add("insert_log_line", made)

    def failure(self, execution_id: ExecutionId, failure: FailureRecord) -> None:
        """Keep a failure in full."""
        self._add("insert_failure", [rows.of_failure(execution_id, failure)])

    def delay(self, execution_id: ExecutionId, join_set: str, delay: DelayRequest, at: Instant) -> None:
        """Keep a delay until it ends."""
        self._add("insert_delay", [(delay.delay_id, execution_id, join_set, delay.due_at, at)])

    def no_delays(self, execution_id: ExecutionId) -> None:
        """Forget the delays of an execution."""
        self._add("delete_delays_of", [(execution_id,)])

    def _add(self, statement: str, values: Iterable[tuple[object, ...]]) -> None:
        self._many.setdefault(statement, []).extend(values)

    def write(self) -> None:
        """Write all that was added."""
        if not self._rows and not self._many:
            return
        pending, self._rows = self._rows, {}
        for execution_id, row in pending.items():
            if row.new is not None:
                row.tell(execution_id, len(row.answers))
            elif row.state is not None:
                self._change(execution_id, row, row.state)
            else:
                self._deliver(row.answers)
            if row.state is not None:
                self._keep_answers(row.answers)
        # after the changes: a run that holds its execution no more is to hear that, and not that its children are there
        self._insert([row for row in pending.values() if row.new is not None])
        many, self._many = self._many, {}
        for statement in _FOR_MANY:
            if statement in many:
                self._connection.executemany(statement, many[statement])

    def _insert(self, made: Sequence[_Row]) -> None:
        if not made:
            return
        self._connection.executemany("insert_execution", [_values_of(row) for row in made])
        queued = Counter(
            row.new.created.component for row in made if row.new and row.state and rows.is_queued(row.state)
        )
        if queued:
            self._connection.executemany("count_queued", list(queued.items()))

    def _change(self, execution_id: ExecutionId, row: _Row, state: State) -> None:
        answered = len(row.answers)
        values = (*rows.projection(state), row.missing, answered, execution_id, row.before, row.run_id)
        updated = self._connection.execute("update_by_run", values)
        row.teller.look(partial(_require_one, execution_id, updated))
        if answered:
            counted = self._connection.execute("response_count", (execution_id,))
            row.teller.look(lambda: row.tell(execution_id, counted.fetchone()[0]))

    def _keep_answers(self, answers: Sequence[tuple[Teller, NewResponse]]) -> None:
        for later, (_, new) in enumerate(reversed(answers)):
            values = (later, new.created_at, new.join_set, codec.encode(new.item), new.execution_id)
            self._add("insert_response_before", [values])

    def _deliver(self, answers: Sequence[tuple[Teller, NewResponse]]) -> None:
        for teller, new in answers:
            values = {
                "execution_id": new.execution_id,
                "join_set": new.join_set,
                "at": new.created_at,
                "hot_until": after(new.created_at, HOT_GRACE),
            }
            delivered = self._connection.execute("deliver_response", values)
            body = codec.encode(new.item)
            self._connection.execute("insert_response", (new.created_at, new.join_set, body, new.execution_id))
            teller.look(partial(_tell_delivered, teller, new, delivered))


def _values_of(row: _Row) -> tuple[object, ...]:
    assert row.new is not None
    assert row.state is not None
    return rows.of_execution(row.new, row.state, row.rank, row.missing, len(row.answers))


def _require_one(execution_id: ExecutionId, updated: Cursor) -> None:
    if updated.rowcount != 1:
        raise VersionConflictError(execution_id)


def _tell_delivered(teller: Teller, new: NewResponse, delivered: Cursor) -> None:
    row = delivered.fetchone()
    if row is None:
        return
    response = Response(row["response_count"], new.created_at, new.join_set, new.item)
    teller.changes.append(ResponseChange(new.execution_id, response, row["executor_id"]))
    state = (row["status"], row["lifecycle"], row["due_at"])
    teller.changes.append(StateChange(new.execution_id, *state, row["run_id"] is not None))
