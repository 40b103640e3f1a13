"""A database as it is after a month: a million finished executions and ten thousand live ones, in about a minute.

    fill(file, Filling(finished=100_000))

The rows go in by SQL and the indexes are made at the end. They are what the daemon would have written: logs fold to
the rows, children are their parents', failures are recorded. What is live waits for a time to come or is paused, so
that a daemon on that database has nothing to do. `python -m tests.bench.filling FILE` makes one by hand.
"""

import sqlite3
import sys
import time
from collections.abc import Iterable, Iterator
from datetime import timedelta
from itertools import islice
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from obelisk_daemon.clock import Instant
from obelisk_daemon.execution import codec
from obelisk_daemon.execution.events import ChildFinished, Entry, Event, Finished, Paused
from obelisk_daemon.execution.outcome import Failed, FailureKind, Outcome, Returned
from obelisk_daemon.execution.state import State, block, fold, unload
from obelisk_daemon.ids import ExecutionId, FailureId, child_id, delay_id, encode_ulid
from obelisk_daemon.storage.sql import rows
from obelisk_daemon.storage.sqlite.queries import SQL
from obelisk_daemon.storage.sqlite.schema import open_for_writing
from tests.building import ACTIVITY, DIGEST, SECOND, WORKFLOW, call_items, created, delay_items, history, locked

CHILDREN: Final = 4
UNIT: Final = 10
"""Finished executions come in units: five activities, and a workflow with four calls."""
KINDS: Final[tuple[FailureKind, ...]] = ("timed_out", "trap", "out_of_memory", "limit_exceeded")
_BATCH: Final = 2_000
_LATER: Final = 365 * 86_400 * SECOND
TEMPLATE_ID: Final = ExecutionId("E_" + "0" * 26)
"""Stands in templates for the id of an execution."""


class Filling(NamedTuple):
    """What to put in. `until` is when the newest execution was made, by default now; `span` how old the oldest is.

    `activity` and `workflow` are (ffqn, component, digest). One activity in 100 failed, one in 50 gave an error, one in
    1,000 was submitted with the label `gpu`, one in 10 logged a line.
    """

    finished: int = 1_000_000
    live: int = 10_000
    until: Instant | None = None
    span: timedelta = timedelta(days=30)
    activity: tuple[str, str, str] = (ACTIVITY, "fibo", DIGEST)
    workflow: tuple[str, str, str] = (WORKFLOW, "fibo-workflow", DIGEST)
    queued: int = 0
    """How many calls of the activity are due and wait, beside what is finished and live."""


class Filled(NamedTuple):
    """What was put in, with examples to look at."""

    seconds: float
    oldest: Instant
    newest: Instant
    workflow: ExecutionId
    """A finished one, with children."""
    failed: ExecutionId
    blocked: ExecutionId | None


def fill(file: Path, wanted: Filling = Filling()) -> Filled:  # noqa: B008
    """Fill a database, which is made if it is not there; no daemon may have it open. Numbers are rounded to units."""
    started = time.perf_counter()
    until = wanted.until or Instant(time.time_ns() // 1_000)
    maker = _Maker(wanted, until)
    connection = open_for_writing(file)
    try:
        connection.execute("PRAGMA synchronous = OFF")
        indexes = _drop_indexes(connection)
        connection.execute("BEGIN IMMEDIATE")
        for batch in _batches(maker.all()):
            insert(connection, batch)
        for sql in (*indexes, SQL["forget_queue_lengths"]):
            connection.execute(sql)
        connection.execute(SQL["count_queues_again"])
        connection.execute("COMMIT")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    finally:
        connection.close()
    return Filled(time.perf_counter() - started, maker.oldest, until, maker.example, maker.failed, maker.blocked)


class Made(NamedTuple):
    """The rows of one execution."""

    row: dict[str, object]
    events: list[tuple[object, ...]]
    responses: list[tuple[object, ...]]
    delays: list[tuple[object, ...]]
    logs: list[tuple[object, ...]]
    failures: list[tuple[object, ...]]


class Template:
    """An execution that many are like: each gets its own id, and its times are moved."""

    def __init__(self, events: Iterable[Event], state: State | None = None, count: int = 1) -> None:
        self.entries = [Entry(version, Instant(version * 1_000), event) for version, event in enumerate(events)]
        self.state = state or fold(self.entries)
        self.bodies = [codec.encode(entry.event) for entry in self.entries]
        self.count = count

    def make(self, execution_id: ExecutionId, at: int, root: str | None = None) -> Made:
        """Make one under an id; `root` takes the place of the template's top-level id."""
        old, new = TEMPLATE_ID[2:].encode(), (root or execution_id)[2:].encode()
        events = [
            (execution_id, e.version, at + e.created_at, body.replace(old, new))
            for e, body in zip(self.entries, self.bodies, strict=True)
        ]
        first = self.entries[0].event
        projection = dict(zip(_PROJECTION, rows.projection(self.state), strict=True))
        row = projection | {
            "execution_id": execution_id,
            "ffqn": first.ffqn,  # type: ignore[union-attr]
            "component": first.component,  # type: ignore[union-attr]
            "parent_id": None if first.parent is None else root,  # type: ignore[union-attr]
            "parent_join_set": None if first.parent is None else first.parent[1],  # type: ignore[union-attr]
            "labels": ",".join(first.labels),  # type: ignore[union-attr]
            "rank": 4,
            "created_at": at,
            "changed_at": at + self.state.changed_at,
            "response_count": self.count,
        }
        if self.state.started_at is not None:
            row["started_at"] = at + self.state.started_at
        return Made(row, events, [], [], [], [])


class _Maker:
    """Makes the executions, oldest first."""

    def __init__(self, wanted: Filling, until: Instant) -> None:
        self._wanted = wanted
        self._until = until
        self.oldest = Instant(until - wanted.span // timedelta(microseconds=1))
        number = wanted.finished // UNIT * (UNIT - CHILDREN) + wanted.live + wanted.queued
        self._step = (until - self.oldest) // max(1, number)
        self._number = 0
        self.example = self.failed = TEMPLATE_ID
        self.blocked: ExecutionId | None = None
        ffqn, component, digest = wanted.activity
        self._call = created(ffqn, due_at=0, component=component, digest=digest, terms=None)
        ffqn, component, digest = wanted.workflow
        self._begin = created(WORKFLOW, params=(10, CHILDREN), due_at=0, component=component, digest=digest)
        self._begin = msgspec.structs.replace(self._begin, ffqn=ffqn)

    def all(self) -> Iterator[Made]:
        """Make all."""
        yield from self._finished(self._wanted.finished // UNIT)
        yield from self._live(self._wanted.live)
        queued = Template([msgspec.structs.replace(self._call, due_at=self._until)], count=0)
        for _ in range(self._wanted.queued):
            yield queued.make(*self._next())

    def _next(self) -> tuple[ExecutionId, int]:
        self._number += 1
        at = self.oldest + self._number * self._step
        return ExecutionId(f"E_{encode_ulid(at // 1_000, self._number)}"), at

    def _finished(self, units: int) -> Iterator[Made]:
        known = self.example
        ok = self._activity(Returned({"ok": 55}))
        labelled = self._activity(Returned({"ok": 55}), labels=("gpu",))
        error = self._activity(Returned({"err": "the upstream said no"}))
        children = [self._activity(Returned({"ok": 55}), parent=(TEMPLATE_ID, f"o:{n + 1}")) for n in range(CHILDREN)]
        workflow = self._workflow()
        for unit in range(units):
            for number in range(UNIT - 1 - CHILDREN):
                known, at = self._next()
                nth = unit * (UNIT - 1 - CHILDREN) + number
                if nth % 100 == 99:
                    yield self._failing(known, at, KINDS[nth // 100 % len(KINDS)])
                    continue
                made = (labelled if nth % 1_000 == 500 else error if nth % 50 == 0 else ok).make(known, at)
                if nth % 10 == 1:
                    made.logs.append((known, None, at + 1_500, "info", f"fetched page {nth} of the catalogue"))
                yield made
            known, at = self._next()
            made = workflow.make(known, at)
            made.responses.extend(responses_of(known, at))
            yield made
            for number, child in enumerate(children, start=1):
                yield child.make(child_id(known, f"o:{number}", 1), at + 3_000 * number, known)
        self.example = known

    def _activity(self, outcome: Outcome, **changes: object) -> Template:
        begin = msgspec.structs.replace(self._call, **changes)
        return Template([begin, locked(digest=begin.digest), Finished(outcome)], count=0)

    def _failing(self, known: ExecutionId, at: int, kind: FailureKind) -> Made:
        failure = FailureId("Err_" + known.removeprefix("E_"))
        made = self._activity(Failed(kind, failure, f"the attempt ended with {kind}")).make(known, at)
        made.failures.append((failure, known, kind, f"the attempt ended with {kind}", "0: fibo!fib\n" * 20, None, None))
        self.failed = known
        return made

    def _workflow(self) -> Template:
        calls = [event for n in range(CHILDREN) for event in history(*call_items(TEMPLATE_ID, n + 1))]
        begin = self._begin
        return Template([begin, locked(digest=begin.digest), *calls, Finished(Returned({"ok": 55}))], count=CHILDREN)

    def _live(self, count: int) -> Iterator[Made]:
        due_at = Instant(self._until + _LATER)
        later = Template([msgspec.structs.replace(self._call, due_at=due_at)], count=0)
        paused = Template([self._call, Paused("operator")], count=0)
        asleep = self._asleep(due_at)
        for number in range(count):
            known, at = self._next()
            match number % 10:
                case 0:
                    yield paused.make(known, at)
                case 1 | 2 | 3 | 4:
                    self.blocked = known
                    made = asleep.make(known, at)
                    made.row["join_missing"] = 1
                    made.delays.append((delay_id(known, "o:1", 1), known, "o:1", due_at, at, 0))
                    yield made
                case _:
                    yield later.make(known, at)

    def _asleep(self, due_at: Instant) -> Template:
        events = [self._begin, locked(digest=self._begin.digest), *history(*delay_items(TEMPLATE_ID, 1, due_at))]
        template = Template(events, count=0)
        template.state = unload(block(template.state, "o:1"))
        return template


def responses_of(known: ExecutionId, at: int) -> Iterator[tuple[object, ...]]:
    for number in range(1, CHILDREN + 1):
        join_set = f"o:{number}"
        body = codec.encode(ChildFinished(child_id(known, join_set, 1), Returned({"ok": 55})))
        yield known, number, at + 3_000 * number + 2_000, join_set, body


def _drop_indexes(connection: sqlite3.Connection) -> list[str]:
    """Drop every index, and give the statements that make them again."""
    made = connection.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL").fetchall()
    for name, _ in made:
        connection.execute(f"DROP INDEX {name}")
    return [sql for _, sql in made]


def _batches(made: Iterator[Made]) -> Iterator[list[Made]]:
    while batch := list(islice(made, _BATCH)):
        yield batch


def insert(connection: sqlite3.Connection, batch: list[Made]) -> None:
    names = list(batch[0].row)
    marks = ", ".join(f":{name}" for name in [*names, "join_missing"])
    execution = f"INSERT INTO execution ({', '.join([*names, 'join_missing'])}) VALUES ({marks})"
    connection.executemany(execution, [{"join_missing": 0} | made.row for made in batch])
    for statement, index in (
        ("insert_event", 1),
        ("insert_response_whole", 2),
        ("insert_delay_whole", 3),
        ("insert_log_line", 4),
        ("insert_failure", 5),
    ):
        values = [row for made in batch for row in made[index]]
        connection.executemany(_STATEMENTS.get(statement) or SQL[statement], values)


_STATEMENTS: Final = {
    "insert_response_whole": "INSERT INTO response VALUES (?, ?, ?, ?, ?)",
    "insert_delay_whole": "INSERT INTO delay VALUES (?, ?, ?, ?, ?, ?)",
}
_PROJECTION: Final = (
    "digest",
    "changed_at",
    "version",
    "status",
    "lifecycle",
    "due_at",
    "executor_id",
    "run_id",
    "locked_version",
    "failed_attempts",
    "join_set",
    "pause_reason",
    "outcome",
    "ending",
    "started_at",
)
"""The columns of `rows.projection`."""


if __name__ == "__main__":
    done = fill(Path(sys.argv[1]))
    print(f"filled in {done.seconds:.1f} s; a workflow {done.workflow}, one that failed {done.failed}")
