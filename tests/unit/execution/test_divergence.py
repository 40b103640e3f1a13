"""How the two sides of a divergence are named, and what counts as the same request."""

import pytest

from obelisk_daemon.clock import Instant
from obelisk_daemon.execution.divergence import describe, same_key
from obelisk_daemon.execution.events import (
    ChildRequest,
    DelayRequest,
    HistoryItem,
    JoinNext,
    JoinNextTooMany,
    JoinNextTry,
    JoinSetCreate,
    JoinSetRequest,
    JsonCallError,
    Persist,
    RefusedRequest,
    Schedule,
    Stub,
)
from obelisk_daemon.execution.joinsets import name_problem
from obelisk_daemon.execution.journal import MisuseError
from obelisk_daemon.ids import DelayId, child_id
from tests.building import OK, execution_id
from tests.unit.execution.test_journal import fresh

ID = execution_id(7)
CHILD = ChildRequest(child_id(ID, "n:a", 1), "a:b/c.d", [1, "x"])
DELAY = DelayRequest(DelayId("Delay_1"), ("in", 5), Instant(9))
REFUSED = RefusedRequest("a:b/c.d", "[1]", JsonCallError("function_not_found"))
ITEMS: dict[str, HistoryItem] = {
    "a new join set n:a": JoinSetCreate("n:a"),
    "a call of a:b/c.d with [1, 'x'] in join set n:a": JoinSetRequest("n:a", CHILD),
    "a delay in 5 us in join set n:a": JoinSetRequest("n:a", DELAY),
    "a call of a:b/c.d with '[1]' in join set n:a": JoinSetRequest("n:a", REFUSED),
    "join-next on n:a": JoinNext("n:a"),
    "join-next-try on n:a": JoinNextTry("n:a", "found"),
    "join-next on n:a for a:b/c.d": JoinNext("n:a", "a:b/c.d"),
    "the closing of n:a": JoinNext("n:a", closing=True, outcome=OK),
    "random-u64 from 1 to 9": Persist("random_u64", (1, 9), 5),
    "execution-id": Persist("execution_id", (0, 0), "E_1"),
    f"the schedule of a:b/c.d with [1] as {ID}": Schedule(ID, "a:b/c.d", [1], ("now", 0), Instant(0)),
    f"the result {{'ok': 1}} for the stub {ID}": Stub(ID, {"ok": 1}, "ok"),
}


@pytest.mark.parametrize("text", ITEMS)
def test_each_request_is_told_by_what_makes_it_this_one(text: str) -> None:
    assert describe(ITEMS[text]) == text


def test_only_a_request_of_the_same_kind_and_content_is_the_same() -> None:
    others = [
        JoinNextTooMany("n:a", None),
        JoinSetRequest("n:b", REFUSED),
        JoinNextTry("n:b", "found"),
        Stub(ID, {"ok": 2}, "ok"),
        *ITEMS.values(),
    ]
    for number, item in enumerate(others):
        assert [same_key(item, other) for other in others] == [place == number for place in range(len(others))]


def test_what_came_of_a_request_is_no_part_of_it() -> None:
    assert same_key(JoinNextTry("n:a", "found"), JoinNextTry("n:a", "pending"))
    assert same_key(Persist("random_u64", (1, 9), 5), Persist("random_u64", (1, 9), 6))
    assert same_key(Stub(ID, {"ok": 1}, "ok"), Stub(ID, {"ok": 1}, "conflict"))


def test_what_is_long_is_cut_off_after_200_characters() -> None:
    quoted = 198  # with its quotes it has 200
    assert describe(Stub(ID, "a" * quoted, "ok")) == f"the result '{'a' * quoted}' for the stub {ID}"
    assert describe(Stub(ID, "a" * (quoted + 1), "ok")) == f"the result '{'a' * 199}... for the stub {ID}"


def test_a_name_may_have_64_characters_of_every_kind_that_is_allowed() -> None:
    every = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"
    assert len(every) == 64
    assert name_problem(every) is None
    assert name_problem("a" * 65) == f"'{'a' * 65}' is no name: 1 to 64 ASCII letters, digits, - and _ are"
    assert str(name_problem("b" * 100)).startswith(f"'{'b' * 80}' is no name")


def test_the_last_one_off_is_the_delay_of_a_sleep() -> None:
    journal = fresh()
    journal.sleep(("in", 5), None)
    assert str(journal.last_one_off).startswith("Delay_")
    assert journal.last_direct_call is None


def test_a_string_of_no_length_is_the_guests_mistake() -> None:
    with pytest.raises(MisuseError, match=r"the range of lengths|from 3 to 3"):
        fresh().random_string(3, 3)
