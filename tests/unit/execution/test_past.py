import random
from collections.abc import Iterable

import pytest

from obelisk_daemon.clock import Instant
from obelisk_daemon.execution import codec
from obelisk_daemon.execution import past as past_module
from obelisk_daemon.execution.events import (
    ChildFinished,
    ChildRequest,
    DelayFinished,
    Entry,
    Event,
    Finished,
    HistoryEvent,
    HistoryItem,
    JoinNext,
    JoinNextTry,
    JoinSetCreate,
    JoinSetRequest,
    Paused,
    Response,
    Unlocked,
    Unpaused,
)
from obelisk_daemon.execution.journal import Journal
from obelisk_daemon.execution.outcome import Outcome, Returned
from obelisk_daemon.execution.past import LEFT_OUT, LONGEST_VALUE, Past, PastSet, most_telling
from obelisk_daemon.execution.state import fold
from obelisk_daemon.execution.written import written
from obelisk_daemon.ids import DelayId, ExecutionId, child_id
from tests.building import (
    ACTIVITY,
    OK,
    WORKFLOW,
    call_items,
    created,
    delay_items,
    execution_id,
    failed,
    history,
    locked,
    log,
    one_delay,
)
from tests.fakes.clock import START

ID = execution_id()
CREATED = created(WORKFLOW, params=(10, 3))


def past(entries: Iterable[Entry], responses: Iterable[Response] = (), until: int | None = None) -> Past:
    first, *rest = entries
    made = Past(first)
    for response in responses:
        made.deliver(response, None if until is None else Instant(until))
    for entry in rest:
        made.step(entry)
    return made


def answer(number: int, at: int = START, outcome: Outcome = OK, join_set: str | None = None) -> Response:
    name = join_set or f"o:{number}"
    return Response(number, Instant(at), name, ChildFinished(child_id(ID, name, 1), outcome))


def calls(*numbers: int) -> list[Event]:
    return [event for number in numbers for event in history(*call_items(ID, number))]


def test_an_execution_that_was_just_made_waits_for_its_lock() -> None:
    made = past(log(CREATED))
    assert (made.state.status, made.state.lifecycle, made.state.version) == ("pending_at", "active", 1)
    assert (made.sets(), made.waits_for) == ([], None)


@pytest.mark.parametrize("length", range(1, 6))
def test_the_state_is_that_of_the_fold_of_a_log_that_does_not_wait(length: int) -> None:
    entries = log(CREATED, locked(), Unlocked("stopping", Instant(START)), Paused("operator"), Unpaused("operator"))
    assert past(entries[:length]).state == fold(entries[:length])


def test_a_workflow_waits_until_its_response_comes() -> None:
    entries = log(CREATED, locked(), *calls(1))
    waiting = past(entries)
    assert waiting.state.status == "blocked"
    assert waiting.waits_for is not None
    assert (waiting.waits_for.join_set, waiting.waits_for.version, waiting.waits_for.closing) == ("o:1", 4, False)
    answered = past(entries, [answer(1)])
    assert (answered.state.status, answered.waits_for) == ("locked", None)


def test_members_have_their_request_and_their_response() -> None:
    entries = log(CREATED, locked(), *calls(1), *history(*delay_items(ID, 2, START + 9)))
    made = past(entries, [answer(1, outcome=failed(3))])
    first, second = made.sets()
    assert (first.name, first.version, first.members, first.answered, first.taken) == ("o:1", 2, 1, 1, 1)
    (child,) = made.members("o:1")
    assert (child.member, child.ffqn, child.asked.version, child.is_taken) == (
        child_id(ID, "o:1", 1),
        ACTIVITY,
        3,
        True,
    )
    assert child.response == answer(1, outcome=failed(3))
    (delay,) = made.members("o:2")
    assert (delay.member, delay.ffqn, delay.asked.version) == (one_delay(ID, 2), None, 6)
    assert (delay.asked.due_at, delay.response, delay.is_taken) == (START + 9, None, False)
    assert (second.answered, second.taken) == (0, 0)


def test_a_response_that_is_not_asked_for_yet_has_come_and_is_not_taken() -> None:
    entries = log(CREATED, locked(), *calls(1)[:2])
    made = past(entries, [answer(1)])
    (member,) = made.members("o:1")
    assert member.response is not None
    assert not member.is_taken
    assert made.responses == 1


def test_responses_of_a_later_time_have_not_come() -> None:
    entries = log(CREATED, locked(), *calls(1))
    until = entries[-1].created_at
    assert past(entries, [answer(1, until + 1)], until).state.status == "blocked"
    assert past(entries, [answer(1, until)], until).state.status == "locked"


def test_in_a_join_set_no_response_comes_before_an_earlier_one() -> None:
    late, early = answer(1, START + 10, join_set="n:a"), answer(2, START + 5, join_set="n:a")
    made = past(log(CREATED), [late, early], START + 7)
    assert made.responses == 0
    other = past(log(CREATED), [late, answer(2, START + 5, join_set="n:b")], START + 7)
    assert other.responses == 1


def test_it_does_not_matter_whether_a_response_is_delivered_before_or_after_the_events() -> None:
    entries = log(CREATED, locked(), *calls(1, 2))
    before = past(entries, [answer(1), answer(2)])
    after = past(entries)
    for response in (answer(1), answer(2)):
        after.deliver(response)
    assert (after.sets(), after.state, after.waits_for) == (before.sets(), before.state, before.waits_for)


def test_closing_waits_for_all_that_is_left() -> None:
    items = [JoinSetCreate("n:a"), *[_child("n:a", number) for number in (1, 2)], JoinNext("n:a", closing=True)]
    entries = log(CREATED, locked(), *history(*items))
    for answers, closed in ((0, False), (1, False), (2, True)):
        responses = [
            Response(number, Instant(START), "n:a", ChildFinished(child_id(ID, "n:a", number), OK))
            for number in range(1, answers + 1)
        ]
        made = past(entries, responses)
        (one,) = made.sets()
        assert (one.is_closing, one.is_closed, one.taken) == (True, closed, answers)
        assert (made.waits_for is None) == closed
        assert made.state.status == ("locked" if closed else "blocked")


def _child(join_set: str, number: int) -> JoinSetRequest:
    return JoinSetRequest(join_set, ChildRequest(child_id(ID, join_set, number), ACTIVITY, [10]))


def test_after_the_end_nothing_is_waited_for() -> None:
    entries = log(CREATED, locked(), *calls(1), Finished(failed()))
    made = past(entries)
    assert (made.state.status, made.waits_for, made.state.outcome) == ("finished", None, failed())


def test_a_long_value_is_left_out_and_a_short_one_is_not() -> None:
    entries = log(CREATED, locked(), *calls(1, 2))
    long, short = Returned({"err": "x" * 1_000}), Returned({"ok": "x"})
    made = past(entries, [answer(1, outcome=long), answer(2, outcome=short)])
    values = []
    for name in ("o:1", "o:2"):
        (member,) = made.members(name)
        assert member.response is not None
        assert isinstance(member.response.item, ChildFinished)
        assert isinstance(member.response.item.outcome, Returned)
        values.append(member.response.item.outcome.value)
    assert values == [{"err": LEFT_OUT}, {"ok": "x"}]


def test_where_there_are_many_join_sets_those_that_owe_something_are_shown_and_then_the_newest() -> None:
    sets = [PastSet(f"o:{n}", n, n, 1, 0 if n == 2 else 1, 1, False, False) for n in range(1, 8)]
    assert [one.name for one in most_telling(sets, 3)] == ["o:2", "o:6", "o:7"]
    assert most_telling(sets, 10) == sets


def test_of_many_calls_that_are_over_only_the_newest_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(past_module, "MOST_OVER", 2)
    entries = log(CREATED, locked(), *calls(1, 2, 3, 4, 5))
    made = past(entries, [answer(number) for number in (1, 3, 4, 5)])
    assert [one.name for one in made.sets()] == ["o:2", "o:4", "o:5"]
    assert (made.forgotten, made.responses) == (2, 4)
    (owing,) = made.members("o:2")
    assert owing.response is None


def test_five_hundred_calls_that_are_over_are_kept() -> None:
    numbers = range(1, 503)
    made = past(log(CREATED, locked(), *calls(*numbers)), map(answer, numbers))
    assert [one.name for one in made.sets()] == [f"o:{number}" for number in numbers[2:]]
    assert (made.forgotten, made.responses) == (2, 502)


def test_a_join_set_that_the_guest_can_name_is_kept_however_often_nothing_is_owed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(past_module, "MOST_OVER", 0)
    asks = [JoinSetCreate("n:a"), *[item for number in (1, 2) for item in (_child("n:a", number), JoinNext("n:a"))]]
    made = past(log(CREATED, locked(), *history(*asks)), _answers(2))
    (one,) = made.sets()
    assert (one.name, one.version, one.used, one.members, one.taken, made.forgotten) == ("n:a", 2, 6, 2, 2, 0)


def test_who_found_a_response_waits_for_nothing_while_that_has_still_to_be_delivered() -> None:
    asks = [JoinSetCreate("n:a"), _child("n:a", 1), _child("n:a", 2), JoinNext("n:a"), JoinNextTry("n:a", "found")]
    made = past(log(CREATED, locked(), *history(*asks)), _answers(1))
    assert (made.waits_for, made.state.status) == (None, "locked")
    assert [member.is_taken for member in made.members("n:a")] == [True, False]
    made.deliver(_answers(2)[1])
    assert [member.is_taken for member in made.members("n:a")] == [True, True]


@pytest.mark.parametrize("last", [JoinNext("n:a"), JoinNextTry("n:a", "found"), JoinNext("n:a", closing=True)])
def test_all_that_a_log_took_is_taken_when_its_responses_come_after_its_events(last: HistoryItem) -> None:
    asks = [JoinSetCreate("n:a"), _child("n:a", 1), _child("n:a", 2), JoinNext("n:a"), last]
    made = past(log(CREATED, locked(), *history(*asks)))
    for response, taken in zip(_answers(2), (1, 2), strict=True):
        made.deliver(response)
        assert [one.taken for one in made.sets()] == [taken]
    assert (made.waits_for, made.state.status) == (None, "locked")


def _answers(number: int) -> list[Response]:
    """Give the responses of the first children in the join set `a`."""
    ids = [(seq, child_id(ID, "n:a", seq)) for seq in range(1, number + 1)]
    return [Response(seq, Instant(START), "n:a", ChildFinished(child, OK)) for seq, child in ids]


def test_a_value_is_long_from_513_bytes_in_the_database_on() -> None:
    short = Returned({"ok": "x" * 400})
    short = Returned({"ok": "x" * (400 + LONGEST_VALUE - len(codec.encode(short)))})
    assert len(codec.encode(short)) == LONGEST_VALUE == 512
    longer, failure = Returned({"ok": f"{short.value['ok']}x"}), failed(message="x" * 1_000)
    outcomes: list[Outcome] = [short, longer, failure]
    made = past(
        log(CREATED, locked(), *calls(1, 2, 3)),
        [answer(number, outcome=one) for number, one in enumerate(outcomes, 1)],
    )
    shown = [member.response for name in ("o:1", "o:2", "o:3") for member in made.members(name)]
    assert shown == [
        answer(1, outcome=short),
        answer(2, outcome=Returned({"ok": LEFT_OUT})),
        answer(3, outcome=failure),
    ]


class Workflow:
    """Asks at random, as guests do, and is answered at random; keeps its log and what its journal holds after each."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._now = START + 10_000
        self.entries = log(CREATED, locked())
        self.responses: list[Response] = []
        self._owed: list[tuple[str, ExecutionId | DelayId]] = []
        self._sets: list[str] = []
        self.journal = Journal(ID, written(self.entries, ()), self._clock)
        for _ in range(60):
            self._act()
            self._write()

    def _clock(self) -> Instant:
        self._now += 1
        return Instant(self._now)

    def _write(self) -> None:
        for at, item in self.journal.new:
            self.entries.append(Entry(len(self.entries), at, HistoryEvent(item)))
        self.journal.new.clear()

    def _act(self) -> None:
        journal, choice = self.journal, self._random.randrange(7)
        if choice == 0 or not self._sets:
            self._sets.append(journal.create_set("g"))
            return
        name = self._random.choice(self._sets)
        match choice:
            case 1 | 2:
                self._owed.append((name, journal.submit(name, ACTIVITY, [1])))
            case 3:
                self._owed.append((name, journal.submit_delay(name, ("in", 5))))
            case 4 if self._owed:
                self._answer(self._owed.pop(self._random.randrange(len(self._owed))))
            case 5:
                if journal.try_next(name) == "found":
                    journal.take(name)
            case 6:
                if journal.ask_next(name):
                    while not journal.sets[name].has_next:
                        waits = [one for one in self._owed if one[0] == name]
                        self._owed.remove(waits[0])
                        self._answer(waits[0])
                    journal.take(name)

    def _answer(self, owed: tuple[str, ExecutionId | DelayId]) -> None:
        name, member = owed
        item = ChildFinished(ExecutionId(member), OK) if member.startswith("E_") else DelayFinished(DelayId(member))
        response = Response(len(self.responses) + 1, self._clock(), name, item)
        self.responses.append(response)
        self.journal.deliver(response)


@pytest.mark.parametrize("seed", range(30))
def test_a_past_holds_what_the_journal_of_the_workflow_holds(seed: int) -> None:
    workflow = Workflow(seed)
    made = past(workflow.entries, workflow.responses)
    for one in made.sets():
        known = workflow.journal.sets[one.name]
        assert (one.members, one.answered, one.taken) == (len(known.members), len(known.delivered), known.taken)
        assert [member.member for member in made.members(one.name)] == list(known.members)


@pytest.mark.parametrize("seed", range(30))
def test_at_every_version_what_was_taken_had_come(seed: int) -> None:
    workflow = Workflow(seed)
    for length in range(1, len(workflow.entries) + 1):
        entries = workflow.entries[:length]
        made = past(entries, workflow.responses, entries[-1].created_at)
        asked = sum(_takes(entry) for entry in entries)
        assert asked - sum(one.taken for one in made.sets()) == (made.waits_for is not None)
        assert made.waits_for is None or entries[-1].version == made.waits_for.version


def _takes(entry: Entry) -> bool:
    match entry.event:
        case HistoryEvent(event=JoinNext()):
            return True
        case HistoryEvent(event=item):
            return getattr(item, "found", None) == "found"
    return False
