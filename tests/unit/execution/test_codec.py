"""Bytes of events and responses: every value comes back as it was, NaN and -0.0 included."""

from typing import get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from obelisk_daemon.clock import Instant
from obelisk_daemon.execution import codec
from obelisk_daemon.execution.events import (
    CancellationRequested,
    ChildFinished,
    ChildRequest,
    ComponentUpgraded,
    DelayFinished,
    DelayRequest,
    Event,
    Finished,
    HistoryEvent,
    HistoryItem,
    JoinNext,
    JoinSetCreate,
    JoinSetRequest,
    JsonCallError,
    Paused,
    Persist,
    ResponseItem,
    TemporarilyFailed,
    TemporarilyTimedOut,
    Unlocked,
    Unpaused,
)
from obelisk_daemon.execution.outcome import Evidence, Failed, HttpExchange, Outcome, Returned
from obelisk_daemon.ids import DelayId, ExecutionId, FailureId
from tests.building import OK, WORKFLOW, created, execution_id, failed, locked
from tests.fakes.clock import START

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False)
    | TEXT
    | st.binary(max_size=50),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)
INSTANTS = st.integers(0, 2**62).map(Instant)
RESULTS = st.builds(Returned, st.sampled_from(["ok", "err"]).flatmap(lambda k: st.fixed_dictionaries({k: PLAIN})))
FAILURES = st.builds(Failed, st.sampled_from(["timed_out", "trap", "cancelled"]), st.just(FailureId("Err_1")), TEXT)
OUTCOMES: st.SearchStrategy[Outcome] = RESULTS | FAILURES
ITEMS = (
    st.builds(JoinSetCreate, TEXT)
    | st.builds(JoinNext, TEXT)
    | st.builds(JoinSetRequest, TEXT, st.builds(ChildRequest, TEXT.map(ExecutionId), TEXT, st.lists(PLAIN)))
    | st.builds(
        JoinSetRequest,
        TEXT,
        st.builds(
            DelayRequest,
            TEXT.map(DelayId),
            st.tuples(st.sampled_from(["now", "at", "in"]), st.integers(0, 2**63)),
            INSTANTS,
        ),
    )
    | st.builds(Persist, st.just("random_u64"), st.tuples(*[st.integers(0, 2**64 - 1)] * 2), st.integers(0, 2**64 - 1))
    | st.builds(Persist, st.just("random_string"), st.tuples(*[st.integers(0, 2**16)] * 2), TEXT)
)
EVENTS: st.SearchStrategy[Event] = (
    st.builds(lambda params, due_at: created(params=params, due_at=due_at), st.lists(PLAIN), INSTANTS)
    | st.builds(HistoryEvent, ITEMS)
    | st.builds(Finished, OUTCOMES)
    | st.builds(TemporarilyFailed, st.integers(1, 10**6), TEXT, INSTANTS, st.just("error"), st.none(), PLAIN)
    | st.builds(Unlocked, TEXT, INSTANTS)
    | st.builds(ComponentUpgraded, st.booleans(), TEXT, st.integers(1, 9), st.none() | st.integers(0, 2**31), TEXT)
)
EXAMPLES: list[Event] = [
    created(),
    created(WORKFLOW, seed=2**64 - 1, parent=(execution_id(), "o:1")),
    locked(),
    Unlocked("stopping", START),
    ComponentUpgraded(False, "sha256:ab", 1, 12, "at version 12: expected a call, got a delay"),
    TemporarilyFailed(1, "x", START, kind="trap", failure_id=FailureId("Err_1")),
    TemporarilyTimedOut(1, "lost", START),
    Finished(OK),
    Finished(failed()),
    HistoryEvent(JoinSetCreate("o:1")),
    Paused("nondeterminism", FailureId("Err_1"), "sha256:1", "expected"),
    Unpaused("fixed"),
    CancellationRequested(),
]


@given(EVENTS)
def test_an_event_comes_back_equal(event: Event) -> None:
    again = codec.decode_event(codec.encode(event))
    assert again == event
    assert codec.encode(again) == codec.encode(event)  # also where Python's equality is coarser


@pytest.mark.parametrize("event", EXAMPLES, ids=codec.type_of)
def test_every_event_comes_back_equal(event: Event) -> None:
    assert codec.decode_event(codec.encode(event)) == event


def test_the_examples_are_all_the_events_there_are() -> None:
    assert {type(event) for event in EXAMPLES} == set(get_args(Event))


@given(OUTCOMES)
def test_an_outcome_and_the_response_it_makes_come_back_equal(outcome: Outcome) -> None:
    response = ChildFinished(execution_id(), outcome)
    assert codec.decode_outcome(codec.encode(outcome)) == outcome
    assert codec.decode_response(codec.encode(response)) == response


def test_a_delays_response_comes_back_equal() -> None:
    response = DelayFinished(DelayId("Delay_1"))
    assert codec.decode_response(codec.encode(response)) == response


def test_what_an_attempt_left_comes_back_equal_and_so_does_nothing() -> None:
    exchange = HttpExchange("GET", "http://a/b", START, 5, 200, request_bytes=1, response_bytes=2)
    for evidence in (Evidence(), Evidence("boom\n", (exchange, exchange), http_left_out=3)):
        assert codec.decode_evidence(codec.encode(evidence)) == evidence


@given(PLAIN)
def test_a_plain_value_comes_back_equal_and_of_the_same_types(value: object) -> None:
    again = codec.decode_plain(codec.encode(value))
    assert (again, codec.encode(again)) == (value, codec.encode(value))


@pytest.mark.parametrize("number", ["7ff8000000000000", "8000000000000000", "7ff0000000000000", "0000000000000001"])
def test_a_float_keeps_its_bits(number: str) -> None:
    import struct

    (value,) = struct.unpack(">d", bytes.fromhex(number))
    assert struct.pack(">d", codec.decode_plain(codec.encode(value))).hex() == number


def test_bytes_stay_bytes_and_text_stays_text() -> None:
    assert codec.decode_plain(codec.encode([b"a", "a"])) == [b"a", "a"]


def test_a_later_field_with_a_default_may_be_missing() -> None:
    """Logs of an older daemon are read by a newer one."""
    bare = msgspec.msgpack.encode({"type": "paused", "reason": "operator"})
    assert codec.decode_event(bare) == Paused("operator")


def test_the_type_of_an_event_is_what_the_api_shows() -> None:
    assert [codec.type_of(event) for event in (created(), locked(), Finished(OK))] == ["created", "locked", "finished"]


STORED = {
    Event: {
        "Created": "created",
        "Locked": "locked",
        "Unlocked": "unlocked",
        "TemporarilyFailed": "temporarily_failed",
        "TemporarilyTimedOut": "temporarily_timed_out",
        "Finished": "finished",
        "HistoryEvent": "history_event",
        "Paused": "paused",
        "Unpaused": "unpaused",
        "CancellationRequested": "cancellation_requested",
        "ComponentUpgraded": "component_upgraded",
    },
    HistoryItem: {
        "JoinSetCreate": "join_set_create",
        "JoinSetRequest": "join_set_request",
        "JoinNext": "join_next",
        "JoinNextTry": "join_next_try",
        "JoinNextTooMany": "join_next_too_many",
        "Persist": "persist",
        "Schedule": "schedule",
        "Stub": "stub",
    },
    ResponseItem: {"ChildFinished": "child_finished", "DelayFinished": "delay_finished"},
    Outcome: {"Returned": "returned", "Failed": "failed"},
}
"""By what name each is in the logs of daemons that were there before."""
NOT_SAID = {
    "Created.seed": 0,
    "Created.labels": (),
    "CancellationRequested.force": False,
    "ComponentUpgraded.forced": False,
    "JoinNext.closing": False,
    "Stub.reason": "",
    "DelayFinished.cancelled": False,
}
"""What it means that a log says nothing of a field; all others are None then."""


@pytest.mark.parametrize("union", STORED)
def test_logs_of_older_daemons_name_each_event_as_this_one_does(union: object) -> None:
    assert {one.__name__: one.__struct_config__.tag for one in get_args(union)} == STORED[union]


def test_what_a_log_does_not_say_means_what_it_meant() -> None:
    defaults = {
        f"{one.__name__}.{field.name}": field.default
        for union in STORED
        for one in get_args(union)
        for field in msgspec.structs.fields(one)
        if field.default not in (msgspec.NODEFAULT, None)
    }
    assert defaults == NOT_SAID
    assert JsonCallError("function_not_found").reason == ""
