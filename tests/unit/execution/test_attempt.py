"""What follows from the end of an attempt: one table of endings for activities, one for workflows."""

import msgspec
import pytest

from obelisk_daemon.clock import Instant, after
from obelisk_daemon.execution.attempt import (
    Concluding,
    End,
    Overrun,
    Trap,
    conclude_activity,
    conclude_lost,
    conclude_overrun,
    failure_outcome,
    was_lost_too_often,
)
from obelisk_daemon.execution.events import Finished, RetryPolicy, TemporarilyFailed, TemporarilyTimedOut, Unlocked
from obelisk_daemon.execution.outcome import (
    Evidence,
    Failed,
    FailureKind,
    FailureRecord,
    HttpExchange,
    Outcome,
    Returned,
)
from obelisk_daemon.execution.retry import backoff
from obelisk_daemon.execution.wit_types import EnumType, FunctionType, Primitive, ResultType, VariantType, WitType
from obelisk_daemon.ids import FailureId
from tests.building import OK, POLICY, execution_id, failed, locked
from tests.fakes.clock import START

FAILURE = FailureId("Err_1")
STRING = FunctionType((), ResultType(None, Primitive("string")))
ENUM = EnumType(("permanent-thing", "transient"))
VARIANT = VariantType((("permanent-thing", Primitive("string")), ("transient", None)))
AT = Instant(START + 5)
TRAP = Trap("trap", "unreachable", "at wasm 0x1")
NEVER = msgspec.structs.replace(POLICY, retry_on=())
ONCE = msgspec.structs.replace(POLICY, max_retries=0)


def concluding(attempt: int = 1, policy: RetryPolicy = POLICY) -> Concluding:
    return Concluding(execution_id(), locked(attempt=attempt, policy=policy), AT, lambda: FAILURE)


def activity(
    ended: Outcome | Trap | Overrun, attempt: int = 1, policy: RetryPolicy = POLICY, function: FunctionType = STRING
) -> End:
    return conclude_activity(concluding(attempt, policy), function, ended)


def returning(err: WitType) -> FunctionType:
    return FunctionType((), ResultType(None, err))


def due(attempt: int = 1) -> Instant:
    return after(AT, backoff(POLICY, execution_id(), attempt))


@pytest.mark.parametrize("attempt", [1, 6])
def test_a_success_ends_it(attempt: int) -> None:
    assert activity(OK, attempt) == End(Finished(OK))


@pytest.mark.parametrize("attempt", [1, 5])
def test_an_error_is_retried_within_the_budget_and_keeps_its_value(attempt: int) -> None:
    event = activity(Returned({"err": "no route"}), attempt).event
    assert event == TemporarilyFailed(
        attempt, "the function returned an error", due(attempt), kind="error", error="no route"
    )


@pytest.mark.parametrize("policy", [ONCE, msgspec.structs.replace(POLICY, retry_on=("trap", "timeout"))])
def test_an_error_without_retries_is_the_result(policy: RetryPolicy) -> None:
    returned = Returned({"err": "no route"})
    assert activity(returned, policy=policy) == End(Finished(returned))


def test_the_last_error_is_the_result() -> None:
    returned = Returned({"err": "no route"})
    assert activity(returned, attempt=6) == End(Finished(returned))


@pytest.mark.parametrize(
    ("err", "value"),
    [(ENUM, "permanent_thing"), (VARIANT, {"permanent_thing": "x"})],
    ids=["enum", "variant"],
)
def test_a_permanent_error_is_never_retried(err: WitType, value: object) -> None:
    returned = Returned({"err": value})
    assert activity(returned, function=returning(err)) == End(Finished(returned))


@pytest.mark.parametrize(
    ("err", "value"),
    [(ENUM, "transient"), (VARIANT, "transient"), (Primitive("string"), "a permanent thing"), (None, None)],
    ids=["enum", "variant", "string", "none"],
)
def test_any_other_error_is_retried_also_a_text_about_something_permanent(err: WitType, value: object) -> None:
    event = activity(Returned({"err": value}), function=returning(err)).event
    assert isinstance(event, TemporarilyFailed)
    assert event.error == value


@pytest.mark.parametrize("kind", ["trap", "out_of_memory", "limit_exceeded"])
def test_a_trap_is_retried_and_its_failure_kept(kind: FailureKind) -> None:
    end = activity(Trap(kind, "unreachable", "at wasm 0x1"))
    assert end.event == TemporarilyFailed(1, "unreachable", due(), kind=kind, failure_id=FAILURE)
    assert end.failure is not None
    assert (end.failure.kind, end.failure.message, end.failure.backtrace) == (kind, "unreachable", "at wasm 0x1")


@pytest.mark.parametrize(
    ("attempt", "policy"), [(6, POLICY), (1, ONCE), (1, msgspec.structs.replace(POLICY, retry_on=("error",)))]
)
def test_a_trap_without_retries_fails_the_execution(attempt: int, policy: RetryPolicy) -> None:
    end = activity(TRAP, attempt, policy)
    assert end.event == Finished(Failed("trap", FAILURE, "unreachable"))
    assert end.failure is not None
    assert end.failure.failure_id == FAILURE


def test_a_timeout_is_retried() -> None:
    assert activity(Overrun("longer than 1 s")) == End(TemporarilyTimedOut(1, "timeout", due()))


@pytest.mark.parametrize(
    ("attempt", "policy", "counted"),
    [
        (6, POLICY, "6 attempts"),
        (1, ONCE, "1 attempt"),
        (2, NEVER, "2 attempts"),
    ],
)
def test_a_timeout_without_retries_fails_as_timed_out(attempt: int, policy: RetryPolicy, counted: str) -> None:
    end = activity(Overrun("longer than 1 s"), attempt, policy)
    assert end.event == Finished(Failed("timed_out", FAILURE, f"timed out after {counted}: longer than 1 s"))
    assert end.failure is not None


def test_an_outcome_that_is_a_failure_already_is_the_end() -> None:
    assert activity(failed()) == End(Finished(failed()))


@pytest.mark.parametrize("is_workflow", [True, False])
def test_a_lost_run_is_retried_whatever_retry_on_says(is_workflow: bool) -> None:
    policy = msgspec.structs.replace(POLICY, retry_on=())
    end = conclude_lost(concluding(1, policy), is_workflow=is_workflow, progressed=False)
    assert end == End(TemporarilyTimedOut(1, "lost", due()))


def test_a_lost_workflow_that_got_on_is_unlocked_without_being_counted() -> None:
    end = conclude_lost(concluding(6), is_workflow=True, progressed=True)
    assert end == End(Unlocked("lost", AT))


def test_a_lost_activity_is_counted_whatever_it_did() -> None:
    end = conclude_lost(concluding(), is_workflow=False, progressed=True)
    assert isinstance(end.event, TemporarilyTimedOut)


def test_a_lost_workflow_without_retries_gets_one_more_run_to_close_what_is_open() -> None:
    end = conclude_lost(concluding(1, ONCE), is_workflow=True, progressed=False)
    assert end == End(TemporarilyTimedOut(1, "lost", due()))
    assert not was_lost_too_often(concluding(1, ONCE).locked)
    assert was_lost_too_often(concluding(2, ONCE).locked)


def test_a_lost_activity_without_retries_fails_as_timed_out() -> None:
    end = conclude_lost(concluding(1, ONCE), is_workflow=False, progressed=False)
    assert isinstance(end.event, Finished)
    assert isinstance(end.event.outcome, Failed)
    assert end.event.outcome.kind == "timed_out"
    assert end.event.outcome.reason.startswith("timed out after 1 attempt: its daemon ended")


def test_a_workflows_overrun_is_retried_whatever_retry_on_says_until_the_budget_ends() -> None:
    policy = msgspec.structs.replace(POLICY, retry_on=())
    assert conclude_overrun(concluding(5, policy), "computed") == End(TemporarilyTimedOut(5, "timeout", due(5)))
    end = conclude_overrun(concluding(6, policy), "computed")
    assert end.event == Finished(Failed("timed_out", FAILURE, "timed out after 6 attempts: computed"))


EXCHANGE = HttpExchange("GET", "http://x/", AT, 5, 503)
STDERR, HTTP = Evidence("boom"), Evidence(http=(EXCHANGE,))
ERROR = Returned({"err": "no"})
OVERRUN = Overrun("longer than 30 s")


def leaving(evidence: Evidence, ended: Outcome | Trap | Overrun, policy: RetryPolicy = POLICY) -> End:
    return conclude_activity(msgspec.structs.replace(concluding(policy=policy), evidence=evidence), STRING, ended)


@pytest.mark.parametrize("policy", [POLICY, ONCE])
@pytest.mark.parametrize(
    ("ended", "evidence", "kind"),
    [
        (TRAP, Evidence(), "trap"),
        (TRAP, STDERR, "trap"),
        (TRAP, HTTP, "trap"),
        (ERROR, HTTP, "error"),
        (OVERRUN, STDERR, "timed_out"),
        (OVERRUN, HTTP, "timed_out"),
    ],
)
def test_a_failed_attempt_is_recorded_with_what_it_left_and_its_event_names_the_record(
    ended: Outcome | Trap | Overrun, evidence: Evidence, kind: str, policy: RetryPolicy
) -> None:
    end = leaving(evidence, ended, policy)
    assert isinstance(end.failure, FailureRecord)
    assert (end.failure.kind, end.failure.evidence) == (kind, evidence)
    assert isinstance(end.event, Finished | TemporarilyFailed | TemporarilyTimedOut)
    outcome = getattr(end.event, "outcome", None)
    named = outcome.failure_id if isinstance(outcome, Failed) else end.event.failure_id
    assert named == end.failure.failure_id


@pytest.mark.parametrize(
    ("ended", "evidence"), [(ERROR, STDERR), (ERROR, Evidence()), (OVERRUN, Evidence()), (OK, HTTP)]
)
def test_what_says_no_more_than_the_event_is_not_recorded(ended: Outcome | Overrun, evidence: Evidence) -> None:
    end = leaving(evidence, ended)
    assert end.failure is None
    assert getattr(end.event, "failure_id", None) is None


def test_an_error_that_ends_it_keeps_its_value_beside_the_record() -> None:
    end = leaving(HTTP, ERROR, ONCE)
    assert end.event == Finished(ERROR, FAILURE)


def test_a_timeout_that_left_something_is_recorded_with_what_took_so_long() -> None:
    ended = leaving(HTTP, Overrun("longer than 1 s, last GET http://a.test/"))
    assert ended.failure is not None
    assert ended.failure.message == "longer than 1 s, last GET http://a.test/"


def test_the_outcome_of_a_record_has_its_kind_its_id_and_its_message() -> None:
    assert failure_outcome(FailureRecord(FAILURE, "trap", "unreachable", "")) == Failed("trap", FAILURE, "unreachable")
    with pytest.raises(AssertionError, match="an error of the function's own is an outcome itself"):
        failure_outcome(FailureRecord(FAILURE, "error", "the function returned an error", ""))
