"""The journal's join sets: named ones, their closing, what is answered without a guest, and ids that it makes."""

import pytest

from obelisk_daemon.clock import Instant
from obelisk_daemon.errors import CallerError
from obelisk_daemon.execution.divergence import NondeterminismError
from obelisk_daemon.execution.events import (
    ChildFinished,
    DelayFinished,
    Entry,
    HistoryEvent,
    JoinNext,
    JoinNextTooMany,
    JoinNextTry,
    JoinSetRequest,
    JsonCallError,
    Persist,
    RefusedRequest,
    Response,
    Stub,
)
from obelisk_daemon.execution.journal import Journal, MisuseError
from obelisk_daemon.execution.wit_json import params_from_json
from obelisk_daemon.execution.wit_types import FunctionType, Primitive
from obelisk_daemon.execution.written import written
from obelisk_daemon.ids import ExecutionId, child_id, delay_id, parse_execution_id
from tests.building import ACTIVITY, OK, WORKFLOW, created, execution_id, failed
from tests.fakes.clock import START, ManualClock

ID = execution_id()
REFUSAL = JsonCallError("function_not_found")


def fresh(*record: Entry, responses: tuple[Response, ...] = ()) -> Journal:
    return Journal(ID, written([Entry(0, START, created(WORKFLOW)), *record], responses), ManualClock().now)


def record_of(journal: Journal) -> list[Entry]:
    return [Entry(n, at, HistoryEvent(item)) for n, (at, item) in enumerate(journal.new, 1)]


def child_answers(number: int, seq: int, join_set: str = "n:a") -> Response:
    return Response(seq, Instant(START + seq), join_set, ChildFinished(child_id(ID, join_set, number), OK))


def delay_ends(number: int, seq: int, join_set: str = "n:a") -> Response:
    return Response(seq, Instant(START + seq), join_set, DelayFinished(delay_id(ID, join_set, number)))


def with_members() -> Journal:
    """Give a workflow that has asked for two children and a delay in the join set `a`."""
    journal = fresh()
    assert journal.create_named_set("a") == "n:a"
    journal.submit("n:a", ACTIVITY, [1])
    journal.submit("n:a", ACTIVITY, [2])
    journal.submit_delay("n:a", ("in", 5))
    return journal


def test_a_name_is_given_once_and_asking_again_records_nothing() -> None:
    journal = fresh()
    assert (journal.create_named_set("a"), journal.create_named_set("a"), journal.create_named_set("b")) == (
        "n:a", None, "n:b",
    )  # fmt: skip
    assert len(journal.new) == 2


def test_who_has_not_answered_is_known_in_the_order_of_the_requests() -> None:
    journal = with_members()
    owed = journal.sets["n:a"]
    first, second, delay = child_id(ID, "n:a", 1), child_id(ID, "n:a", 2), delay_id(ID, "n:a", 3)
    assert owed.children_unanswered() == [(first, ACTIVITY), (second, ACTIVITY)]
    assert owed.delays_unanswered() == [delay]
    journal.deliver(child_answers(1, 1))
    assert owed.children_unanswered() == [(second, ACTIVITY)]
    journal.deliver(delay_ends(3, 2))
    assert owed.delays_unanswered() == []
    assert (owed.all_delivered, owed.has_next, owed.all_taken) == (False, True, False)


def test_closing_asks_once_for_all_that_is_owed_and_takes_no_more_requests() -> None:
    journal = with_members()
    closed = journal.begin_close("n:a", failed())
    assert closed.is_closed is True
    assert journal.new[-1][1] == JoinNext("n:a", closing=True, outcome=failed())
    assert [one.name for one in journal.sets.open()] == []
    for ask in (lambda: journal.submit("n:a", ACTIVITY, [3]), lambda: journal.ask_next("n:a")):
        with pytest.raises(MisuseError, match="the join set n:a is closed"):
            ask()
    for response in (child_answers(1, 1), child_answers(2, 2), delay_ends(3, 3)):
        journal.deliver(response)
    journal.end_close("n:a")
    assert closed.all_taken
    assert set(journal.sets.results) == {child_id(ID, "n:a", 1), child_id(ID, "n:a", 2)}


def test_closing_what_owes_nothing_is_no_request() -> None:
    journal = fresh()
    journal.create_named_set("a")
    assert journal.begin_close("n:a").is_closed is True
    assert len(journal.new) == 1


def test_a_join_set_that_was_never_closed_is_open_and_the_oldest_comes_first() -> None:
    journal = fresh()
    for name in ("b", "a", "c"):
        journal.create_named_set(name)
    journal.begin_close("n:a")
    assert [one.name for one in journal.sets.open()] == ["n:b", "n:c"]
    assert [one.name for one in journal.sets.values()] == ["n:b", "n:a", "n:c"]


def test_a_function_that_had_ended_is_not_run_again_and_its_outcome_is_in_the_record() -> None:
    live = with_members()
    assert live.recorded_outcome is None
    live.begin_close("n:a", OK)
    assert fresh(*record_of(live)).recorded_outcome == OK


def test_an_outcome_is_not_taken_from_a_closing_that_other_requests_follow() -> None:
    live = with_members()
    live.begin_close("n:a")
    live.create_named_set("b")
    assert fresh(*record_of(live)).recorded_outcome is None


def test_the_record_is_gone_through_without_a_guest_up_to_where_the_function_had_ended() -> None:
    live = with_members()
    live.deliver(child_answers(1, 1))
    live.ask_next("n:a")
    live.take("n:a")
    live.create_named_set("b")
    live.begin_close("n:a", OK)
    again = fresh(*record_of(live), responses=(child_answers(1, 1),))
    again.skip_guest()
    assert again.asked == len(record_of(live)) - 1
    assert isinstance(again.next_recorded, JoinNext)
    assert again.next_recorded.outcome == OK
    owed = again.sets["n:a"]
    assert (owed.taken, owed.is_closed, len(owed.members)) == (1, False, 3)
    assert again.sets.results == {child_id(ID, "n:a", 1): (ACTIVITY, OK)}


def test_a_join_set_that_was_closed_for_good_is_closed_again_without_a_guest() -> None:
    live = with_members()
    live.begin_close("n:a")
    live.create_named_set("b")
    answered = (child_answers(1, 1), child_answers(2, 2), delay_ends(3, 3))
    for responses, is_closed in ((answered, True), (answered[:2], False)):
        again = fresh(*record_of(live), responses=responses)
        again.skip_guest()
        assert again.sets["n:a"].is_closed is is_closed
        assert again.sets["n:a"].taken == len(responses)


def test_a_refused_child_is_recorded_in_its_join_set_and_refused_again() -> None:
    live = fresh()
    live.create_named_set("a")
    assert live.refused_next(ACTIVITY, "[1]") is None
    assert live.refuse("n:a", ACTIVITY, "[1]", REFUSAL) == REFUSAL
    assert live.new[-1][1] == JoinSetRequest("n:a", RefusedRequest(ACTIVITY, "[1]", REFUSAL))
    again = fresh(*record_of(live))
    again.create_named_set("a")
    assert again.refused_next(ACTIVITY, "[2]") is None
    assert again.refused_next(ACTIVITY, "[1]") == REFUSAL
    assert again.refuse("n:a", ACTIVITY, "[1]", JsonCallError("type_check_error")) == REFUSAL


def test_an_id_that_is_made_is_recorded_and_the_same_in_a_replay() -> None:
    live = fresh()
    made = live.new_execution_id()
    assert parse_execution_id(made) == made
    assert live.new[-1][1] == Persist("execution_id", (0, 0), made)
    assert live.new_execution_id() != made
    again = fresh(*record_of(live))
    assert again.new_execution_id() == made
    assert again.is_unused(made)
    assert not again.is_unused(ExecutionId(f"E_{9:026d}"))


def test_the_time_of_an_id_is_the_one_that_the_guest_knows() -> None:
    journal = fresh()
    same = execution_time(journal.new_execution_id())
    assert same == execution_time(journal.new_execution_id()) == journal.now // 1_000


def execution_time(made: ExecutionId) -> int:
    alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
    number = 0
    for character in made.removeprefix("E_")[:10]:
        number = number * 32 + alphabet.index(character)
    return number


def test_what_a_stub_was_given_is_recorded_and_compared() -> None:
    live = fresh()
    event = Stub(execution_id(5), {"ok": 1}, "ok")
    assert live.stub(event) == event
    again = fresh(*record_of(live))
    assert again.stub(event) == event
    with pytest.raises(NondeterminismError):
        fresh(*record_of(live)).stub(Stub(execution_id(6), {"ok": 1}, "ok"))


@pytest.mark.parametrize(("given", "said"), [(7, "got 7"), ({}, "got {}"), ([1, 2], "got 2"), ([], "got 0")])
def test_parameters_that_are_no_array_of_the_right_length_are_refused_with_their_code(given: object, said: str) -> None:
    with pytest.raises(CallerError) as refused:
        params_from_json(FunctionType((("n", Primitive("u8")),)), given)
    assert refused.value.code == "type_check_failed"
    assert said in str(refused.value)


def test_a_join_set_that_is_forgotten_takes_its_answers_and_results_with_it() -> None:
    journal = with_members()
    for response in (child_answers(1, 1), child_answers(2, 2)):
        journal.deliver(response)
        journal.ask_next("n:a")
        journal.take("n:a")
    sets = journal.sets
    kept = {child_id(ID, "n:b", 1): (ACTIVITY, OK)}
    sets.results.update(kept)
    sets.forget("n:a")
    assert "n:a" not in sets
    assert sets.results == kept
    sets.create("n:a")
    journal.deliver(child_answers(1, 1))  # as one that was never heard of
    assert len(sets["n:a"].delivered) == 1


def test_asking_for_more_than_there_are_members_is_recorded_with_what_was_asked_for() -> None:
    journal = fresh()
    journal.create_named_set("a")
    assert journal.ask_next("n:a", ACTIVITY) is False
    assert journal.new[-1][1] == JoinNextTooMany("n:a", ACTIVITY)
    journal.submit("n:a", ACTIVITY, [1])
    assert journal.ask_next("n:a", ACTIVITY) is True
    assert journal.new[-1][1] == JoinNext("n:a", ACTIVITY)


def test_a_try_finds_what_is_there_waits_for_nothing_and_says_when_all_is_taken() -> None:
    live = fresh()
    live.create_named_set("a")
    live.submit("n:a", ACTIVITY, [1])
    found = [live.try_next("n:a")]
    live.deliver(child_answers(1, 1))
    found.append(live.try_next("n:a"))
    live.take("n:a")
    found.append(live.try_next("n:a"))
    assert found == ["pending", "found", "all_processed"]
    assert [item for _, item in live.new[2:]] == [
        JoinNextTry("n:a", "pending"), JoinNextTry("n:a", "found"), JoinNextTry("n:a", "all_processed"),
    ]  # fmt: skip


def test_responses_are_heard_in_their_order_and_kept_for_a_join_set_that_comes_later() -> None:
    journal = fresh()
    journal.deliver(child_answers(1, 1))
    journal.deliver(child_answers(1, 1))
    assert journal.heard == 1
    journal.deliver(child_answers(2, 3))
    assert journal.heard == 1
    journal.create_named_set("a")
    assert [one.seq for one in journal.sets["n:a"].delivered] == [1, 3]
