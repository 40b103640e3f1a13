"""The journal answers a replay from the log, and notices when the guest asks for something else."""

import math
from collections.abc import Callable
from datetime import timedelta

import pytest

from obelisk_daemon.clock import Instant, to_rfc3339
from obelisk_daemon.execution import codec
from obelisk_daemon.execution.events import (
    ChildFinished,
    ChildRequest,
    DelayFinished,
    DelayRequest,
    Entry,
    HistoryItem,
    JoinNext,
    JoinSetCreate,
    JoinSetRequest,
    Persist,
    Response,
)
from obelisk_daemon.execution.journal import Journal, MisuseError, NondeterminismError
from obelisk_daemon.execution.written import written
from obelisk_daemon.ids import child_id, delay_id
from tests.building import ACTIVITY, OK, WORKFLOW, created, execution_id, history, locked, log
from tests.fakes.clock import START, ManualClock

ID = execution_id()
CHILD = child_id(ID, "o:1", 1)
Ask = Callable[[Journal], object]
CALL: Ask = lambda j: j.call(ACTIVITY, [10])  # noqa: E731
SLEEP: Ask = lambda j: j.sleep(("in", 5_000_000), None)  # noqa: E731
RANDOM: Ask = lambda j: j.random_u64(0, 100)  # noqa: E731
TEXT: Ask = lambda j: j.random_string(3, 9)  # noqa: E731


def fresh(clock: ManualClock | None = None, *entries: Entry, responses: tuple[Response, ...] = ()) -> Journal:
    return Journal(ID, written([*log(created(WORKFLOW)), *entries], responses), (clock or ManualClock()).now)


def recorded(*asks: Ask, responses: tuple[Response, ...] = ()) -> Journal:
    """Give a journal over the log that these requests, made live, left behind."""
    live = fresh()
    for ask in asks:
        ask(live)
    return replay_of(live, responses=responses)


def replay_of(live: Journal, responses: tuple[Response, ...] = (), clock: ManualClock | None = None) -> Journal:
    entries = [Entry(n, at, event) for n, (at, item) in enumerate(live.new, 2) for event in history(item)]
    return fresh(clock, Entry(1, START, locked()), *entries, responses=responses)


def answer(join_set: str = "o:1", at: int = START + 50, seq: int = 1) -> Response:
    return Response(seq, Instant(at), join_set, ChildFinished(child_id(ID, join_set, 1), OK))


def test_a_live_call_is_recorded_as_three_events() -> None:
    journal = fresh()
    assert journal.call(ACTIVITY, [10]) == "o:1"
    assert [item for _, item in journal.new] == [
        JoinSetCreate("o:1"),
        JoinSetRequest("o:1", ChildRequest(CHILD, ACTIVITY, [10])),
        JoinNext("o:1"),
    ]
    assert journal.take("o:1") is None


def test_one_offs_are_numbered_and_their_names_kept() -> None:
    journal = fresh()
    assert [journal.call(ACTIVITY, []), journal.sleep(("now", 0), "tea")[0], journal.call(ACTIVITY, [])] == [
        "o:1", "o:2-tea", "o:3",
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["", "a b", "a.b", "a/b", "ä", "a" * 65])
def test_a_name_that_would_break_an_id_is_refused(name: str) -> None:
    with pytest.raises(MisuseError, match="is no name"):
        fresh().sleep(("now", 0), name)


def test_a_replay_asks_for_nothing_new() -> None:
    asks = (CALL, SLEEP, RANDOM, TEXT)
    journal = recorded(*asks)
    for ask in asks:
        assert journal.is_replaying
        ask(journal)
    assert not journal.is_replaying
    assert journal.new == []
    journal.end()


def test_what_comes_after_the_record_is_live() -> None:
    journal = recorded(CALL, responses=(answer(),))
    CALL(journal)
    assert journal.asked == 3
    SLEEP(journal)
    assert len(journal.new) == 3
    assert journal.asked == 6


def test_locks_and_other_events_of_the_log_are_no_part_of_the_record() -> None:
    assert not fresh(None, Entry(1, START, locked())).is_replaying


@pytest.mark.parametrize(
    ("before", "now", "expected", "got"),
    [
        (CALL, SLEEP, f"a call of {ACTIVITY} with [10] in join set o:1", "a delay in 5000000 us in join set o:1"),
        (CALL, lambda j: j.call(ACTIVITY, [11]), "with [10] in", "with [11] in"),
        (CALL, lambda j: j.call("testing:fibo/fibo.other", [10]), f"call of {ACTIVITY} ", "testing:fibo/fibo.other"),
        (CALL, RANDOM, "a new join set o:1", "random-u64"),
        (RANDOM, CALL, "random-u64", "a new join set o:1"),
        (RANDOM, lambda j: j.random_u64(0, 101), "random-u64", "random-u64"),
        (RANDOM, TEXT, "random-u64 from 0 to 99", "random-string from 3 to 8"),
        (SLEEP, lambda j: j.sleep(("in", 5_000_001), None), "a delay in 5000000 us", "a delay in 5000001 us"),
        (SLEEP, lambda j: j.sleep(("at", 5_000_000), None), "a delay in 5000000 us", "a delay at 5000000 us"),
        (SLEEP, lambda j: j.sleep(("in", 5_000_000), "tea"), "a new join set o:1", "a new join set o:1-tea"),
        (CALL, lambda j: j.end(), "a new join set o:1", "the end of the function"),
    ],
    ids=["kind", "params", "ffqn", "draw", "call", "range", "draw-kind", "duration", "intent", "name", "end"],
)
def test_a_divergence_names_the_version_and_both_sides(before: Ask, now: Ask, expected: str, got: str) -> None:
    with pytest.raises(NondeterminismError) as diverged:
        now(recorded(before))
    text = str(diverged.value)
    assert text.startswith(f"at version {diverged.value.version}: expected ")
    wanted, _, found = text.partition(", got ")
    assert expected in wanted
    assert got in found


@pytest.mark.parametrize(("ask", "version"), [(RANDOM, 2), (SLEEP, 3)])
def test_the_version_is_that_of_the_event_that_differs(ask: Ask, version: int) -> None:
    with pytest.raises(NondeterminismError) as diverged:
        ask(recorded(CALL))
    assert diverged.value.version == version


def test_events_left_over_at_the_end_are_a_divergence() -> None:
    journal = recorded(CALL, RANDOM)
    CALL(journal)
    with pytest.raises(NondeterminismError, match=r"at version 5: expected random-u64.* got the end of the function"):
        journal.end()


def test_a_record_that_the_guest_stops_short_of_says_how_it_stopped() -> None:
    with pytest.raises(NondeterminismError, match="expected a new join set o:1, got a trap: unreachable"):
        recorded(CALL).end("a trap: unreachable")


@pytest.mark.parametrize(
    ("before", "now"),
    [(1, 1.0), (1, True), (0.0, -0.0), (b"a", "a"), ({"a": 1}, {"a": 1.0}), (math.nan, None)],
    ids=["int-float", "int-bool", "zeros", "bytes", "nested", "nan"],
)
def test_parameters_that_python_takes_for_equal_still_differ(before: object, now: object) -> None:
    journal = recorded(lambda j: j.call(ACTIVITY, [before]))
    with pytest.raises(NondeterminismError):
        journal.call(ACTIVITY, [now])


@pytest.mark.parametrize("value", [math.nan, [math.nan], {"ok": math.nan}, math.inf, -0.0, b"\x00\xff", 2**64 - 1])
def test_the_same_parameter_again_is_equal(value: object) -> None:
    journal = recorded(lambda j: j.call(ACTIVITY, [value]))
    journal.call(ACTIVITY, [value])
    assert not journal.is_replaying


def test_long_parameters_are_cut_in_the_message() -> None:
    with pytest.raises(NondeterminismError) as diverged:
        CALL(recorded(lambda j: j.call(ACTIVITY, ["x" * 10_000])))
    assert len(str(diverged.value)) < 500


def test_random_values_are_the_recorded_ones() -> None:
    live = fresh()
    drawn = [live.random_u64(0, 10**9), live.random_string(5, 50), live.random_u64(7, 8)]
    replay = replay_of(live)
    assert [replay.random_u64(0, 10**9), replay.random_string(5, 50), replay.random_u64(7, 8)] == drawn


def test_a_recorded_value_wins_over_what_would_be_drawn_now() -> None:
    live = fresh()
    (at, item) = (live.random_u64(0, 10), live.new[0])[1]
    assert isinstance(item, Persist)
    other = Persist(item.kind, item.args, (int(item.value) + 1) % 10)
    journal = fresh(None, Entry(1, at, history(other)[0]))
    assert journal.random_u64(0, 10) == other.value


def test_random_values_are_in_their_range_and_of_the_alphabet() -> None:
    journal = fresh()
    assert {journal.random_u64(3, 5) for _ in range(50)} == {3, 4}
    texts = [journal.random_string(2, 4) for _ in range(50)]
    assert {len(text) for text in texts} == {2, 3}
    assert all(text.isascii() and text.isalnum() for text in texts)


@pytest.mark.parametrize("top", [2**64, 2**64 - 1])
def test_the_whole_range_of_u64_can_be_drawn_and_written(top: int) -> None:
    journal = fresh()
    assert 0 <= journal.random_u64(0, top) < top
    (event,) = history(journal.new[0][1])
    assert codec.decode_event(codec.encode(event)) == event


@pytest.mark.parametrize("ask", [lambda j: j.random_u64(5, 5), lambda j: j.random_string(4, 2)])
def test_an_empty_range_is_the_guests_mistake(ask: Ask) -> None:
    journal = fresh()
    with pytest.raises(MisuseError, match="is empty"):
        ask(journal)
    assert journal.new == []


def test_a_response_that_comes_before_it_is_asked_for_is_kept() -> None:
    journal = fresh(responses=(answer(),))
    CALL(journal)
    assert journal.take("o:1") == ChildFinished(CHILD, OK)


def test_a_response_is_taken_once() -> None:
    journal = fresh(responses=(answer(),))
    CALL(journal)
    assert journal.sets["o:1"].taken == 0
    assert [journal.take("o:1") is None, journal.take("o:1")] == [False, None]
    assert journal.sets["o:1"].taken == 1


def test_a_response_delivered_twice_counts_once() -> None:
    """A parent is told before the commit, and again by it, then with its place in the order."""
    journal = fresh()
    CALL(journal)
    journal.deliver(answer(seq=0))
    journal.deliver(answer(seq=4))
    journal.take("o:1")
    journal.deliver(answer(seq=4))
    assert journal.take("o:1") is None


def test_a_response_goes_to_its_own_join_set() -> None:
    journal = fresh(responses=(answer("o:2"),))
    CALL(journal)
    CALL(journal)
    assert journal.take("o:1") is None
    assert journal.take("o:2") is not None


def test_responses_of_one_join_set_come_in_their_order() -> None:
    members = [ChildFinished(child_id(ID, "n:x", n), OK) for n in (2, 1, 3)]
    journal = fresh(responses=tuple(Response(n, START, "n:x", item) for n, item in enumerate(members, 1)))
    journal.create_named_set("x")
    for _ in members:
        journal.submit("n:x", ACTIVITY, [10])
    assert [journal.take("n:x") for _ in range(4)] == [*members, None]


def test_a_delay_is_due_by_its_intent() -> None:
    clock = ManualClock()
    journal = fresh(clock)
    assert journal.sleep(("now", 0), None)[1] == START
    assert journal.sleep(("in", 7), None)[1] == START + 7
    assert journal.sleep(("at", START + 99), None)[1] == START + 99


@pytest.mark.parametrize("intent", [("in", 1 << 61), ("at", 1 << 61)])
def test_a_delay_is_due_at_a_time_that_can_be_written(intent: tuple[str, int]) -> None:
    assert to_rfc3339(fresh().sleep(intent, None)[1]).startswith("9999-12-31")


def test_a_replayed_delay_is_due_when_it_was_due() -> None:
    live = fresh(ManualClock(START))
    due = live.sleep(("in", 1_000), None)
    assert replay_of(live, clock=ManualClock(Instant(START + 10**9))).sleep(("in", 1_000), None) == due


def test_the_time_a_guest_knows_is_the_same_live_and_in_replay() -> None:
    clock = ManualClock(Instant(START + 10))
    live, seen = fresh(clock), []
    seen.append(live.now)
    CALL(live)
    seen.append(live.now)
    clock.advance(timedelta(seconds=5))
    seen.append(live.now)  # time goes on only with what the guest asks and gets
    live.deliver(answer(at=START + 6_000_000))
    seen.append(live.now)
    live.take("o:1")
    seen.append(live.now)
    RANDOM(live)
    seen.append(live.now)
    replay = replay_of(live, (answer(at=START + 6_000_000),), ManualClock(Instant(START + 10**12)))
    again = [replay.now]
    CALL(replay)
    again += [replay.now] * 3
    replay.take("o:1")
    again.append(replay.now)
    RANDOM(replay)
    again.append(replay.now)
    assert again == seen
    assert seen == sorted(seen)
    assert len(set(seen)) == 3


def test_taking_a_response_tells_the_guest_its_time() -> None:
    journal = fresh(responses=(answer(at=START + 6_000_000),))
    CALL(journal)
    assert journal.now == START
    journal.take("o:1")
    assert journal.now == START + 6_000_000


def test_time_does_not_go_back_with_the_machines_clock() -> None:
    clock = ManualClock()
    journal = fresh(clock)
    RANDOM(journal)
    clock.advance(timedelta(hours=-1))
    RANDOM(journal)
    assert [at for at, _ in journal.new] == [START, START]
    CALL(journal)
    journal.deliver(answer(at=START - 1))
    journal.take("o:1")
    assert journal.now == START


def test_a_delay_response_is_known_by_its_delay() -> None:
    journal = fresh()
    SLEEP(journal)
    item = DelayFinished(delay_id(ID, "o:1", 1))
    journal.deliver(Response(1, START, "o:1", item))
    journal.deliver(Response(1, START, "o:1", item))
    assert [journal.take("o:1"), journal.take("o:1")] == [item, None]


def test_a_live_delay_is_recorded_with_intent_and_outcome() -> None:
    journal = fresh()
    SLEEP(journal)
    requests: list[HistoryItem] = [item for _, item in journal.new if isinstance(item, JoinSetRequest)]
    wanted = DelayRequest(delay_id(ID, "o:1", 1), ("in", 5_000_000), Instant(START + 5_000_000))
    assert requests == [JoinSetRequest("o:1", wanted)]
