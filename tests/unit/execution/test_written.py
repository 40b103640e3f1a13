"""A journal replays bytes as they were written, and looks into them only where it must."""

import gc
from collections.abc import Callable

import msgspec
import pytest

from obelisk_daemon.clock import Instant
from obelisk_daemon.execution.events import (
    CancellationRequested,
    ChildFinished,
    ComponentUpgraded,
    DelayFinished,
    Entry,
    Event,
    Finished,
    HistoryEvent,
    HistoryItem,
    JoinNext,
    JoinNextTooMany,
    JoinNextTry,
    Paused,
    Persist,
    Response,
    Schedule,
    Stub,
    Unlocked,
    Unpaused,
)
from obelisk_daemon.execution.journal import Journal, NondeterminismError
from obelisk_daemon.execution.written import (
    EventRow,
    ResponseRow,
    WrittenLog,
    asked_in,
    entry_of,
    item_of,
    response_of,
    written,
)
from obelisk_daemon.ids import child_id, delay_id
from tests.building import ACTIVITY, DIGEST, OK, WORKFLOW, call_items, created, delay_items, execution_id, locked
from tests.fakes.clock import START, ManualClock

ID = execution_id()
ITEMS: list[HistoryItem] = [
    *call_items(ID, 1),
    *delay_items(ID, 2, START),
    JoinNext("n:a", ACTIVITY, closing=True, outcome=OK),
    JoinNextTry("n:a", "found"),
    JoinNextTooMany("n:a"),
    Persist("random_u64", (1, 5), 3),
    Schedule(execution_id(2), ACTIVITY, [1], ("now", 0), Instant(START)),
    Stub(execution_id(3), {"ok": 1}, "ok"),
]
OTHERS: list[Event] = [
    created(WORKFLOW),
    locked(),
    Unlocked("shutdown", Instant(0)),
    Finished(OK),
    Paused("operator"),
    Unpaused("operator"),
    ComponentUpgraded(True, DIGEST, 1),
    CancellationRequested(),
]


def journal_of(log: WrittenLog) -> Journal:
    return Journal(ID, log, ManualClock().now)


def log_of(*items: HistoryItem, responses: tuple[Response, ...] = ()) -> WrittenLog:
    events = [created(WORKFLOW), locked(), *map(HistoryEvent, items)]
    return written([Entry(version, Instant(START), event) for version, event in enumerate(events)], responses)


def answers(join_set: str, seq: int = 1, number: int = 1) -> Response:
    return Response(seq, Instant(START + seq), join_set, ChildFinished(child_id(ID, join_set, number), OK))


def rewritten(log: WrittenLog, version: int, change: Callable[[bytes], bytes]) -> WrittenLog:
    def one(row: EventRow) -> EventRow:
        return (row[0], row[1], change(row[2])) if row[0] == version else row

    return log._replace(events=[one(row) for row in log.events])


def test_what_a_workflow_asked_for_is_told_from_the_other_events_by_how_its_bytes_begin() -> None:
    events = [*OTHERS, *map(HistoryEvent, ITEMS), *OTHERS]
    log = written([Entry(version, Instant(START), event) for version, event in enumerate(events)], ())
    assert [item_of(body) for _, _, body in asked_in(log.events)] == ITEMS


def test_what_is_written_is_read_again() -> None:
    entries = [Entry(n, Instant(START + n), event) for n, event in enumerate([*OTHERS, *map(HistoryEvent, ITEMS)])]
    delay = Response(2, Instant(START), "o:2", DelayFinished(delay_id(ID, "o:2", 1)))
    log = written(entries, (answers("o:1"), delay))
    assert [entry_of(row) for row in log.events] == entries
    assert [response_of(row) for row in log.responses] == [answers("o:1"), delay]
    assert log.created == created(WORKFLOW)


def test_a_log_of_other_bytes_that_mean_the_same_replays() -> None:
    """Such as one of a version that wrote its fields in another order, or those that have their default."""

    def longer(body: bytes) -> bytes:
        event = msgspec.msgpack.decode(body)
        event["event"] |= {"closing": False, "function": None}
        return msgspec.msgpack.encode(event)

    journal = journal_of(rewritten(log_of(*call_items(ID, 1)), 4, longer))
    journal.call(ACTIVITY, [10])
    assert not journal.is_replaying


def test_other_bytes_that_mean_something_else_are_a_divergence() -> None:
    journal = journal_of(
        rewritten(log_of(*call_items(ID, 1)), 3, lambda body: body.replace(b"fibo.fibo", b"fibo.fibe"))
    )
    with pytest.raises(NondeterminismError) as diverged:
        journal.call(ACTIVITY, [10])
    assert diverged.value.version == 3


def test_responses_are_read_when_their_join_set_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[ResponseRow] = []
    monkeypatch.setattr(
        "obelisk_daemon.execution.joinsets.response_of", lambda row: (read.append(row), response_of(row))[1]
    )
    log = log_of(*call_items(ID, 1), *call_items(ID, 2), responses=(answers("o:2", 1), answers("o:1", 2)))
    journal = journal_of(log)
    assert (read, journal.heard) == ([], 2)
    journal.call(ACTIVITY, [10])
    assert [row[0] for row in read] == [2]
    assert journal.take("o:1") == ChildFinished(child_id(ID, "o:1", 1), OK)


def test_a_response_that_the_log_has_and_that_is_told_again_counts_once() -> None:
    """A parent that is being opened is told of what it then reads, too."""
    again = answers("n:a")
    log = log_of(responses=(again,))
    before, after = journal_of(log), journal_of(log)
    before.deliver(again)
    for journal in (before, after):
        journal.create_named_set("a")
    after.deliver(again)
    assert [len(journal.sets["n:a"].delivered) for journal in (before, after)] == [1, 1]
    assert [journal.heard for journal in (before, after)] == [1, 1]


def test_what_is_told_beside_the_log_comes_after_what_the_log_has() -> None:
    log = log_of(responses=(answers("n:a", 1, 1), answers("n:a", 2, 2)))
    journal = journal_of(log)
    journal.deliver(answers("n:a", 3, 3))
    journal.create_named_set("a")
    assert [one.seq for one in journal.sets["n:a"].delivered] == [1, 2, 3]


def test_a_one_off_join_set_is_kept_no_longer_than_until_the_next_one_and_its_result_for_ever() -> None:
    log = log_of(*call_items(ID, 1), *call_items(ID, 2), responses=(answers("o:1"),))
    journal = journal_of(log)
    journal.call(ACTIVITY, [10])
    journal.take("o:1")
    assert list(journal.sets) == ["o:1"]
    journal.call(ACTIVITY, [10])
    assert list(journal.sets) == ["o:2"]
    assert journal.sets.results == {child_id(ID, "o:1", 1): (ACTIVITY, OK)}
    journal.deliver(answers("o:1"))  # told again, when it is committed
    journal.deliver(answers("o:2", 2))
    assert journal.take("o:2") == ChildFinished(child_id(ID, "o:2", 1), OK)


def test_a_one_off_join_set_that_is_owed_a_response_is_kept() -> None:
    journal = journal_of(log_of())
    journal.call(ACTIVITY, [10])
    journal.sleep(("in", 5), None)
    assert [one.name for one in journal.sets.open()] == ["o:1", "o:2"]


def test_a_record_that_was_gone_through_is_dropped_and_still_counts() -> None:
    journal = journal_of(log_of(*call_items(ID, 1), responses=(answers("o:1"),)))
    journal.call(ACTIVITY, [10])
    assert (journal.is_replaying, journal.asked, journal.next_recorded) == (False, 3, None)
    journal.take("o:1")
    journal.call(ACTIVITY, [10])
    assert [item for _, item in journal.new] == call_items(ID, 2)
    assert journal.asked == 6


def test_events_leave_the_garbage_collector_nothing_to_do() -> None:
    made = [*map(HistoryEvent, ITEMS), *ITEMS, answers("o:1"), answers("o:1").item, OK]
    assert not any(map(gc.is_tracked, made))
