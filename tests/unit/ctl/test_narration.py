import pytest

from obelisk_daemon.api.rendering import entry_json, response_json
from obelisk_daemon.clock import Instant
from obelisk_daemon.ctl.narration import details, told
from obelisk_daemon.execution.events import (
    CancellationRequested,
    ChildFinished,
    ChildRequest,
    ComponentUpgraded,
    Created,
    DelayFinished,
    DelayRequest,
    Entry,
    Event,
    Finished,
    HistoryEvent,
    JoinNext,
    JoinNextTooMany,
    JoinNextTry,
    JoinSetCreate,
    JoinSetRequest,
    JsonCallError,
    Locked,
    Paused,
    Persist,
    RefusedRequest,
    Response,
    RetryPolicy,
    Schedule,
    Stub,
    TemporarilyFailed,
    TemporarilyTimedOut,
    Unlocked,
    Unpaused,
)
from obelisk_daemon.execution.outcome import Failed, Returned
from obelisk_daemon.ids import DelayId, ExecutionId, ExecutorId, FailureId, RunId
from tests.fakes.api import DIGEST, START

AT = Instant(START)
RETRY = RetryPolicy(5, 0.1, 2.0, 60.0, 0.1, ("error",))
CHILD = ExecutionId("E_x.o:1_1")
TYPE_CHECK = JsonCallError("type_check_error", "no JSON")


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (Created("a:b/c.d", [1, "x"], "c", "sha256:0", AT), 'created                a:b/c.d(1, "x")'),
        (
            Locked(ExecutorId("Exr_x"), RunId("Run_x"), 2, "sha256:0", 3, 5, RETRY),
            "locked                 attempt 2 on Exr_x",
        ),
        (
            Locked(ExecutorId("Exr_x"), RunId("Run_x"), 1, DIGEST, 3, 5, RETRY, upgrade_from="sha256:0"),
            "locked                 attempt 1 on Exr_x, trying sha256:abababababab",
        ),
        (
            ComponentUpgraded(True, DIGEST, 1),
            "component_upgraded     goes on with sha256:abababababab",
        ),
        (
            ComponentUpgraded(True, DIGEST, 1, forced=True),
            "component_upgraded     goes on with sha256:abababababab, by force",
        ),
        (
            ComponentUpgraded(False, DIGEST, 1, 12, "at version 12: expected a, got b"),
            "component_upgraded     not on sha256:abababababab, diverges at version 12: expected a, got b",
        ),
        (
            ComponentUpgraded(False, DIGEST, 1, None, "it computed too long"),
            "component_upgraded     not on sha256:abababababab: it computed too long",
        ),
        (Unlocked("stopping", AT), "unlocked               stopping; due 2026-01-02T03:04:05.000000Z"),
        (
            TemporarilyFailed(1, "boom", AT, "trap"),
            "temporarily_failed     attempt 1: boom; again at 2026-01-02T03:04:05.000000Z",
        ),
        (
            TemporarilyTimedOut(1, "lost", AT),
            "temporarily_timed_out  attempt 1: lost; again at 2026-01-02T03:04:05.000000Z",
        ),
        (HistoryEvent(JoinSetCreate("g:1")), "asked                  join set g:1"),
        (
            HistoryEvent(JoinSetRequest("o:1", ChildRequest(CHILD, "a:b/c.d", [5]))),
            "asked                  a:b/c.d(5) as E_x.o:1_1 in o:1",
        ),
        (
            HistoryEvent(JoinSetRequest("o:2", DelayRequest(DelayId("Delay_x"), ("in", 5), AT))),
            "asked                  a delay until 2026-01-02T03:04:05.000000Z in o:2",
        ),
        (HistoryEvent(JoinNext("o:1")), "waits                  for o:1"),
        (HistoryEvent(Persist("random_u64", (0, 9), 7)), "drew                   random_u64 7"),
        (
            Paused("nondeterminism", FailureId("Err_x"), "sha256:0", "expected a"),
            "paused                 nondeterminism: expected a (Err_x)",
        ),
        (Paused("operator"), "paused                 operator"),
        (Unpaused("a new digest"), "unpaused               a new digest"),
        (CancellationRequested(), "cancellation_requested"),
        (CancellationRequested(force=True), "cancellation_requested by force"),
        (
            Created("a:b/c.d", [], "c", "sha256:0", AT, intent=("in", 5), retried_from=CHILD),
            "created                a:b/c.d(), due 2026-01-02T03:04:05.000000Z, repeats E_x.o:1_1",
        ),
        (
            TemporarilyFailed(1, "boom", AT, "trap", FailureId("Err_x")),
            "temporarily_failed     attempt 1: boom; again at 2026-01-02T03:04:05.000000Z (Err_x)",
        ),
        (
            TemporarilyTimedOut(1, "timeout", AT, FailureId("Err_x")),
            "temporarily_timed_out  attempt 1: timeout; again at 2026-01-02T03:04:05.000000Z (Err_x)",
        ),
        (Finished(Returned({"err": "no"}), FailureId("Err_x")), 'finished               {"err": "no"} (Err_x)'),
        (HistoryEvent(JoinNext("g:1", "a:b/c.d")), "waits                  for g:1, a:b/c.d"),
        (HistoryEvent(JoinNext("g:1", closing=True)), "closes                 g:1"),
        (
            HistoryEvent(JoinNext("g:1", closing=True, outcome=Returned({"ok": 1}))),
            'closes                 g:1 at its end: {"ok": 1}',
        ),
        (HistoryEvent(JoinNextTooMany("g:1")), "waits                  for g:1: all processed"),
        (
            HistoryEvent(JoinNextTooMany("g:1", "a:b/c.d")),
            "waits                  for g:1, a:b/c.d: all processed",
        ),
        (HistoryEvent(JoinNextTry("g:1", "pending")), "looks                  into g:1: pending"),
        (HistoryEvent(JoinNextTry("g:1", "all_processed")), "looks                  into g:1: all processed"),
        (
            HistoryEvent(JoinSetRequest("g:1", RefusedRequest("a:b/c.d", "[", TYPE_CHECK))),
            "asked                  a:b/c.d in g:1, refused: type check error: no JSON",
        ),
        (
            HistoryEvent(Schedule(CHILD, "a:b/c.d", [5], ("in", 5), AT)),
            "scheduled              a:b/c.d(5) as E_x.o:1_1, due 2026-01-02T03:04:05.000000Z",
        ),
        (
            HistoryEvent(Schedule(CHILD, "a:b/c.d", "[", ("in", 5), AT, TYPE_CHECK)),
            "scheduled              a:b/c.d([), refused: type check error: no JSON",
        ),
        (HistoryEvent(Stub(CHILD, {"ok": True}, "ok")), 'stubbed                E_x.o:1_1 -> {"ok": true}: ok'),
        (
            HistoryEvent(Stub(CHILD, "5", "type_check_error", "no")),
            "stubbed                E_x.o:1_1 -> 5: type check error: no",
        ),
        (Finished(Returned({"ok": 55})), 'finished               {"ok": 55}'),
        (
            Finished(Failed("trap", FailureId("Err_x"), "boom")),
            'finished               {"execution_failure": {"kind": "trap", "failure_id": "Err_x", "reason": "boom"}}',
        ),
    ],
)
def test_every_event_is_told_in_a_line(event: Event, line: str) -> None:
    assert told(entry_json(Entry(1, AT, event))) == f"03:04:05.000  {line}"


def test_responses_are_told_in_a_line() -> None:
    child = Response(1, AT, "o:1", ChildFinished(CHILD, Returned({"ok": 55})))
    delay = Response(2, AT, "o:2", DelayFinished(DelayId("Delay_x")))
    cancelled = Response(3, AT, "o:2", DelayFinished(DelayId("Delay_x"), cancelled=True))
    assert told(response_json(child)) == '03:04:05.000  child_finished         E_x.o:1_1 -> {"ok": 55}'
    assert told(response_json(delay)) == "03:04:05.000  delay_finished         Delay_x"
    assert told(response_json(cancelled)) == "03:04:05.000  delay_finished         Delay_x cancelled"


def test_an_event_of_a_later_version_is_told_by_its_fields() -> None:
    event = {"version": 3, "created_at": "2026-01-02T03:04:05Z", "type": "evicted", "by": "limit", "n": 2}
    assert details(event) == "by limit, n 2"


def test_long_parameters_are_cut() -> None:
    event = entry_json(Entry(0, AT, Created("a:b/c.d", ["x" * 1000], "c", "sha256:0", AT)))
    assert len(told(event)) < 250
