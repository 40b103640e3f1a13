"""Looking for damage in a database: what breaks the invariants of DESIGN.md section 4, whatever the database is."""

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Final

import msgspec

from obelisk_daemon.execution.consistency import contradictions
from obelisk_daemon.execution.events import ChildFinished, Created, Entry
from obelisk_daemon.storage.database import CheckReport, Damage
from obelisk_daemon.storage.sql import rows
from obelisk_daemon.storage.sql.connection import Connection, Row
from obelisk_daemon.storage.sql.queries import OWNED

MOST_DAMAGE: Final = 100
SAMPLE: Final = 2_000
"""How many executions, the newest ones and the unfinished ones each, a check that isn't full compares."""
_ALL: Final = 2**62
_Check = Callable[[Connection], Iterator[Damage]]


def check_rows(connection: Connection, *, full: bool) -> CheckReport:
    """Check what is in the tables, within a snapshot; a full check reads all of it."""
    (total,) = connection.execute("count_executions").fetchone()
    compared = 0

    def found() -> Iterator[Damage]:
        nonlocal compared
        for check in _ALWAYS + (_ORPHANS if full else ()):
            yield from check(connection)
        going = set(_column(connection, "half_removed"))
        for execution_id in _chosen(connection, full=full):
            if execution_id.partition(".")[0] in going:  # retention has taken the end of its log
                continue
            compared += 1
            yield from check_execution(connection, execution_id, deep=full)

    damage = list(islice(found(), MOST_DAMAGE))
    return CheckReport(ok=not damage, full=full, executions=compared, total=total, damage=damage)


def _chosen(connection: Connection, *, full: bool) -> Iterator[str]:
    if full:
        yield from _column(connection, "all_executions")
        return
    seen = dict.fromkeys(_column(connection, "some_unfinished", SAMPLE))
    seen |= dict.fromkeys(_column(connection, "newest_executions", SAMPLE))
    yield from seen


def check_execution(connection: Connection, execution_id: str, *, deep: bool) -> Iterator[Damage]:
    """Compare what is stored of an execution with its log; `deep` also with what its children told it."""
    row = connection.execute("execution_row", (execution_id,)).fetchone()
    try:
        entries = [rows.entry_of(r) for r in connection.execute("events_from", (execution_id, 0, _ALL))]
        responses = [rows.response_of(r) for r in connection.execute("responses_from", (execution_id, 0, _ALL))]
        state = rows.state_of(row)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        yield Damage("event", execution_id, f"an event, a response or the outcome can't be read: {error}")
        return
    for message in contradictions(state, entries, responses):
        yield Damage("execution", execution_id, message)
    if entries and isinstance(entries[0].event, Created):
        yield from _not_as_created(row, entries[0])
    if row["status"] != "finished" and row["response_count"] != len(responses):
        yield Damage("execution", execution_id, f"it counts {row['response_count']} responses of {len(responses)}")
    if deep and row["status"] != "finished":
        told = {response.item.execution_id for response in responses if isinstance(response.item, ChildFinished)}
        for child_id in _column(connection, "finished_children", execution_id):
            if child_id not in told:
                yield Damage("response", execution_id, f"the outcome of its child {child_id} was never delivered")


def _not_as_created(row: Row, entry: Entry) -> Iterator[Damage]:
    created = entry.event
    assert isinstance(created, Created)
    parent_id, join_set = created.parent or (None, None)
    wanted = {
        "created_at": entry.created_at,
        "ffqn": created.ffqn,
        "parent_id": parent_id,
        "parent_join_set": join_set,
        "labels": ",".join(created.labels),
        "priority": created.priority,
    }
    for name, value in wanted.items():
        if row[name] != value:
            yield Damage("execution", row["execution_id"], f"{name} is {row[name]!r}, and its log says {value!r}")


def _column(connection: Connection, name: str, *values: object) -> Iterator[str]:
    for row in connection.execute(name, values):
        yield row[0]


def _rule(name: str, table: str, message: str) -> _Check:
    """Make a check of a query that gives the subjects that break a rule."""

    def check(connection: Connection) -> Iterator[Damage]:
        return (Damage(table, subject, message) for subject in _column(connection, name))

    return check


def _orphans(table: str) -> _Check:
    def check(connection: Connection) -> Iterator[Damage]:
        return (Damage(table, id_, "belongs to no execution") for id_ in _column(connection, f"orphans_{table}"))

    return check


def _queue_lengths(connection: Connection) -> Iterator[Damage]:
    for component, kept, counted in connection.execute("wrong_queue_lengths"):
        yield Damage("queue_length", component, f"{kept} are said to wait and were never started, {counted} do")


_ALWAYS: Final[tuple[_Check, ...]] = (
    _rule("parentless", "execution", "its parent is not there"),
    _rule("outliving", "execution", "it is unfinished, and its parent has finished"),
    _rule("never_woken", "execution", "it is blocked, though nothing is missing in its join set"),
    _rule("codeless", "component", "code that a generation or an unfinished execution needs is not there"),
    _rule("late_delays", "delay", "it is still to end, and its execution is not there or has finished"),
    _queue_lengths,
)
_ORPHANS: Final = tuple(_orphans(table) for table in OWNED)
