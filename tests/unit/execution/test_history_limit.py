"""How much a workflow may ask of the host: a warning at half, a failure at the limit, and no limit for closing."""

import pytest

from obelisk_daemon.clock import Instant
from obelisk_daemon.execution.events import Entry, Schedule
from obelisk_daemon.execution.journal import HistoryLimitError, Journal
from obelisk_daemon.execution.written import written
from tests.building import ACTIVITY, WORKFLOW, created, execution_id, history, log
from tests.fakes.clock import ManualClock

ID = execution_id()


def limited(limit: int, *entries: Entry) -> tuple[Journal, list[str]]:
    """Give a journal, and the list of what it warns of."""
    warned: list[str] = []
    journal = Journal(ID, written([*log(created(WORKFLOW)), *entries], ()), ManualClock().now, limit)
    journal.warn = warned.append
    return journal, warned


def draw(journal: Journal, times: int) -> None:
    for _ in range(times):
        journal.random_u64(0, 9)


@pytest.mark.parametrize(("limit", "half"), [(10, 5), (11, 5), (2, 1), (1_000, 500)])
def test_the_event_that_reaches_half_of_the_limit_warns_and_no_other(limit: int, half: int) -> None:
    journal, warned = limited(limit)
    draw(journal, half - 1)
    assert warned == []
    draw(journal, 1)
    assert warned == [f"{half} history events: half of max_history_events ({limit}), at which this execution fails"]
    draw(journal, limit - half)
    assert len(warned) == 1


def test_a_replay_does_not_warn_again() -> None:
    live, _ = limited(10)
    draw(live, 6)
    again, warned = limited(10, *[Entry(n, at, event) for n, (at, i) in enumerate(live.new, 1) for event in history(i)])
    draw(again, 8)
    assert warned == []


def test_what_is_beyond_the_limit_fails_and_is_not_recorded() -> None:
    journal, _ = limited(10)
    draw(journal, 10)
    with pytest.raises(HistoryLimitError, match=r"more than 10 history events \(max_history_events\)"):
        draw(journal, 1)
    assert len(journal.new) == 10


def test_a_record_that_is_longer_than_the_limit_of_today_replays() -> None:
    live, _ = limited(10)
    draw(live, 10)
    again, _ = limited(5, *[Entry(n, at, event) for n, (at, i) in enumerate(live.new, 1) for event in history(i)])
    draw(again, 10)
    with pytest.raises(HistoryLimitError):
        draw(again, 1)


def test_join_sets_are_closed_beyond_the_limit() -> None:
    journal, _ = limited(2)
    join_set = journal.create_set("g")
    journal.submit(join_set, ACTIVITY, [1])
    assert not journal.begin_close(join_set).all_taken
    assert len(journal.new) == 3


# ids of executions of nobody


def make_and_use_an_id(journal: Journal) -> None:
    made = journal.new_execution_id()
    assert journal.is_unused(made)
    journal.schedule(Schedule(made, ACTIVITY, [1], ("now", 0), Instant(0)))
    assert not journal.is_unused(made)
    assert not journal.is_unused(ID)


def test_an_id_that_was_made_is_unused_until_it_is_asked_for_and_also_in_replay() -> None:
    live, _ = limited(10)
    make_and_use_an_id(live)
    again, _ = limited(10, *[Entry(n, at, event) for n, (at, i) in enumerate(live.new, 1) for event in history(i)])
    make_and_use_an_id(again)
    assert again.new == []
