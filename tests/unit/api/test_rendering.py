import math

import msgspec

from obelisk_daemon.api.rendering import entry_json, response_json, result_json
from obelisk_daemon.clock import Instant
from obelisk_daemon.execution.events import (
    ChildFinished,
    ChildRequest,
    ComponentUpgraded,
    Created,
    DelayRequest,
    Entry,
    Finished,
    HistoryEvent,
    JoinSetCreate,
    JoinSetRequest,
    Locked,
    Response,
    RetryPolicy,
    TemporarilyFailed,
)
from obelisk_daemon.execution.outcome import Failed, Returned
from obelisk_daemon.ids import DelayId, ExecutionId, ExecutorId, FailureId, RunId
from tests.fakes.api import START, execution_id

AT = Instant(START)
TIME = "2026-01-02T03:04:05.000000Z"


def test_a_history_event_stands_inside_its_event() -> None:
    shown = entry_json(Entry(2, AT, HistoryEvent(JoinSetCreate("g:1"))))
    assert shown == {
        "version": 2,
        "created_at": TIME,
        "type": "history_event",
        "event": {"type": "join_set_create", "join_set": "g:1"},
    }


def test_instants_inside_events_are_rfc_3339_and_bytes_are_numbers() -> None:
    event = Created("a:b/c.d", [b"\x01\xff", math.nan], "c", "sha256:00", AT, parent=(execution_id(), "o:1"))
    shown = entry_json(Entry(0, AT, event))
    assert shown["due_at"] == TIME
    assert shown["params"] == [[1, 255], "NaN"]
    assert shown["parent"] == [execution_id(), "o:1"]


def test_a_field_of_a_users_record_is_left_alone_even_when_its_name_ends_in_at() -> None:
    event = Created("a:b/c.d", [{"created_at": 5, "outcome": {"t": 1}}], "c", "sha256:00", AT)
    assert entry_json(Entry(0, AT, event))["params"] == [{"created_at": 5, "outcome": {"t": 1}}]


def test_requests_of_children_and_delays_name_their_type() -> None:
    child = JoinSetRequest("o:1", ChildRequest(ExecutionId("E_x.o:1_1"), "a:b/c.d", [1]))
    delay = JoinSetRequest("o:2", DelayRequest(DelayId("Delay_x.o:2_1"), ("in", 5), AT))
    assert entry_json(Entry(3, AT, HistoryEvent(child)))["event"]["request"]["type"] == "child"
    assert entry_json(Entry(4, AT, HistoryEvent(delay)))["event"]["request"] == {
        "type": "delay",
        "delay_id": "Delay_x.o:2_1",
        "intent": ["in", 5],
        "due_at": TIME,
    }


def test_the_retry_policy_of_a_lock_is_an_object() -> None:
    retry = RetryPolicy(5, 0.1, 2.0, 60.0, 0.1, ("error", "trap"))
    shown = entry_json(Entry(1, AT, Locked(ExecutorId("Exr_x"), RunId("Run_x"), 1, "sha256:00", 3, 30_000_000, retry)))
    assert shown["retry"] == {
        "max_retries": 5,
        "initial": 0.1,
        "factor": 2.0,
        "max": 60.0,
        "jitter": 0.1,
        "retry_on": ["error", "trap"],
    }


def test_results_have_the_three_shapes_of_the_api() -> None:
    failed = Failed("timed_out", FailureId("Err_x"), "too slow")
    assert result_json(Returned({"ok": b"\x00"})) == {"ok": [0]}
    assert result_json(Returned({"err": None})) == {"err": None}
    assert result_json(failed) == {
        "execution_failure": {"kind": "timed_out", "failure_id": "Err_x", "reason": "too slow"}
    }


def test_finished_events_and_child_responses_show_the_result() -> None:
    assert entry_json(Entry(1, AT, Finished(Returned({"ok": 1}))))["result"] == {"ok": 1}
    shown = response_json(Response(4, AT, "o:1", ChildFinished(execution_id(), Returned({"ok": 55}))))
    assert shown == {
        "seq": 4,
        "created_at": TIME,
        "join_set": "o:1",
        "type": "child_finished",
        "execution_id": execution_id(),
        "result": {"ok": 55},
    }


def test_fields_without_a_value_are_left_out() -> None:
    shown = entry_json(Entry(2, AT, TemporarilyFailed(1, "boom", AT, "trap")))
    assert "failure_id" not in shown
    assert "error" not in shown


def test_the_largest_integers_survive_the_encoding() -> None:
    shown = result_json(Returned({"ok": 2**64 - 1}))
    assert msgspec.json.encode(shown) == b'{"ok":18446744073709551615}'


def test_where_other_code_diverges_is_told_apart_from_the_place_in_the_log() -> None:
    failed = ComponentUpgraded(False, "sha256:00", 1, 12, "at version 12: expected a, got b")
    shown = entry_json(Entry(20, AT, failed))
    assert (shown["version"], shown["diverges_at"]) == (20, 12)
    moved = entry_json(Entry(21, AT, ComponentUpgraded(True, "sha256:00", 1)))
    assert (moved["version"], "diverges_at" in moved) == (21, False)
