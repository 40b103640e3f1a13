"""Join sets on their own: their names, who answered, what is kept, and what a recorded request does to them."""

import pytest

from obelisk_daemon.clock import Instant
from obelisk_daemon.execution.events import (
    ChildFinished,
    DelayFinished,
    HistoryItem,
    JoinNext,
    JoinNextTooMany,
    JoinNextTry,
    JoinSetCreate,
    Persist,
    Response,
)
from obelisk_daemon.execution.joinsets import JoinSets, name_problem
from obelisk_daemon.execution.written import ResponseRow, written
from obelisk_daemon.ids import child_id
from tests.building import ACTIVITY, OK, call_items, delay_items, execution_id, one_delay
from tests.fakes.clock import START

ID = execution_id()


def child_answers(number: int, seq: int = 1) -> Response:
    name = f"o:{number}"
    return Response(seq, Instant(START + seq), name, ChildFinished(child_id(ID, name, 1), OK))


def delay_ends(number: int, seq: int = 1) -> Response:
    return Response(seq, Instant(START + seq), f"o:{number}", DelayFinished(one_delay(ID, number)))


def rows(*responses: Response) -> list[ResponseRow]:
    return [*written((), responses).responses]


def after(*items: HistoryItem) -> JoinSets:
    sets = JoinSets()
    for item in items:
        sets.repeat(item)
    return sets


def test_one_off_and_generated_join_sets_are_counted_each_on_their_own_and_a_label_comes_last() -> None:
    sets = JoinSets()
    assert [sets.next_name(kind) for kind in ("o", "g", "g", "o", "o")] == ["o:1", "g:1", "g:2", "o:2", "o:3"]
    assert (sets.next_name("g", "mail"), sets.next_name("o", "")) == ("g:3-mail", "o:4-")


@pytest.mark.parametrize("name", ["", "a b", "a:b", "é", "a\n", "a.b", "a" * 65])
def test_a_name_that_is_empty_too_long_or_of_other_characters_is_none(name: str) -> None:
    assert name_problem(name) is not None


def test_the_members_of_a_join_set_are_numbered_from_1() -> None:
    sets = after(JoinSetCreate("o:1"))
    assert sets["o:1"].next_number == 1
    sets = after(*call_items(ID, 1))
    assert sets["o:1"].next_number == 2


def test_a_recorded_request_is_repeated_and_says_how_many_responses_it_takes() -> None:
    create, child, ask = call_items(ID, 1)
    _, delay, _ = delay_items(ID, 1, START)
    sets = JoinSets()
    repeated = [sets.repeat(item) for item in (create, child, delay, ask, JoinNextTry("o:1", "found"))]
    assert repeated == [("o:1", 0), ("o:1", 0), ("o:1", 0), ("o:1", 1), ("o:1", 1)]
    assert sets["o:1"].members == {child_id(ID, "o:1", 1): ACTIVITY, one_delay(ID, 1): None}
    assert sets["o:1"].taken == 0


@pytest.mark.parametrize(
    "item",
    [
        JoinNextTry("o:1", "pending"),
        JoinNextTry("o:1", "all_processed"),
        JoinNextTooMany("o:1"),
        Persist("random_u64", (1, 9), 5),
    ],
)
def test_what_takes_no_response_is_of_no_join_set(item: HistoryItem) -> None:
    assert after(*call_items(ID, 1)).repeat(item) == ("", 0)


def test_closing_takes_all_that_was_not_taken_yet() -> None:
    closing = JoinNext("o:1", closing=True)
    sets = after(*call_items(ID, 1), *delay_items(ID, 1, START)[1:])
    assert sets.repeat(closing) == ("o:1", 2)
    sets.deliver(child_answers(1))
    sets.take(sets["o:1"])
    assert sets.repeat(closing) == ("o:1", 1)


def test_what_was_taken_last_is_kept_and_of_a_child_how_it_ended_too() -> None:
    sets = after(*call_items(ID, 1), *delay_items(ID, 1, START)[1:])
    one = sets["o:1"]
    assert one.last is None
    answers = [delay_ends(1), child_answers(1, 2)]
    for taken, response in enumerate(answers, 1):
        sets.deliver(response)
        assert (one.has_next, one.all_taken) == (True, False)
        assert sets.take(one) == response
        assert (one.taken, one.last, one.has_next) == (taken, response.item, False)
    assert sets.results == {child_id(ID, "o:1", 1): (ACTIVITY, OK)}
    assert (one.all_taken, one.all_delivered) == (True, True)


def test_a_join_set_that_nobody_can_name_is_dropped_when_it_owes_nothing_more() -> None:
    sets = after(*call_items(ID, 1))
    sets.deliver(child_answers(1))
    sets.leave("o:1")
    assert list(sets) == ["o:1"]
    sets.take(sets["o:1"])
    sets.leave("o:1")
    sets.leave("o:1")
    assert (list(sets), list(sets.results)) == ([], [child_id(ID, "o:1", 1)])


def test_all_is_heard_up_to_the_first_response_that_is_missing() -> None:
    sets = JoinSets()
    assert sets.heard == 0
    sets.expect(rows(child_answers(1, 1), child_answers(2, 2), child_answers(4, 4)))
    assert sets.heard == 2
    sets.deliver(child_answers(5, 5))
    assert sets.heard == 2
    sets.deliver(child_answers(3, 3))
    assert sets.heard == 3


def test_the_responses_of_a_log_come_to_their_join_set_in_their_order_and_once() -> None:
    responses = [delay_ends(1, 1), child_answers(2, 2), child_answers(1, 3)]
    sets = JoinSets()
    sets.expect(rows(*responses))
    sets.deliver(responses[0])
    assert sets.create("o:1").delivered == [responses[0], responses[2]]
    assert sets.create("o:2").delivered == [responses[1]]


def test_what_is_forgotten_may_be_asked_for_and_answered_again() -> None:
    sets = after(*call_items(ID, 1), *call_items(ID, 2))
    for number in (1, 2):
        sets.deliver(child_answers(number, number))
        sets.take(sets[f"o:{number}"])
    sets.forget("o:1")
    assert (list(sets), list(sets.results)) == (["o:2"], [child_id(ID, "o:2", 1)])
    sets.create("o:1")
    for number in (1, 2):
        sets.deliver(child_answers(number, number))
    assert [len(one.delivered) for one in (sets["o:1"], sets["o:2"])] == [1, 1]
