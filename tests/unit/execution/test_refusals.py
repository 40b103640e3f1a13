"""A call by name that was refused is refused in a replay too, though it would be taken by now."""

from obelisk_daemon.clock import Instant
from obelisk_daemon.execution.events import Created, Entry, HistoryEvent, JsonCallError, Schedule
from obelisk_daemon.execution.journal import Journal
from obelisk_daemon.execution.written import written
from obelisk_daemon.ids import ExecutionId

ID = ExecutionId("E_01BX5ZZKBKACTAV9WEVGEMMVRZ")
GONE = JsonCallError("function_not_found")
CREATED = Entry(0, Instant(1), Created(ffqn="a:b/c.f", params=[], component="c", digest="d", due_at=Instant(1)))


def replay_of(live: Journal) -> Journal:
    entries = [Entry(n, at, HistoryEvent(item)) for n, (at, item) in enumerate(live.new, 1)]
    return Journal(ID, written([CREATED, *entries], ()), lambda: Instant(2))


def fresh() -> Journal:
    return Journal(ID, written([CREATED], ()), lambda: Instant(2))


def test_a_refused_child_is_refused_again() -> None:
    live = fresh()
    live.refuse(live.create_set("o"), "no:such/thing.f", "[]", GONE)
    replay = replay_of(live)
    replay.create_set("o")
    assert replay.refused_next("no:such/thing.f", "[]") == GONE
    assert replay.refused_next("no:such/thing.f", "[1]") is None
    assert replay.refuse("o:1", "no:such/thing.f", "[]", GONE) == GONE
    assert not replay.is_replaying


def test_a_refused_schedule_is_refused_again() -> None:
    live = fresh()
    asked = Schedule(ID, "no:such/thing.f", "[]", ("now", 0), Instant(0), GONE)
    live.schedule(asked)
    replay = replay_of(live)
    assert replay.refused_next("no:such/thing.f", "[]") == GONE
    assert replay.schedule(asked).error == GONE


def test_nothing_is_refused_that_was_not() -> None:
    live = fresh()
    live.call("a:b/c.g", [])
    replay = replay_of(live)
    replay.create_set("o")
    assert replay.refused_next("a:b/c.g", "[]") is None
