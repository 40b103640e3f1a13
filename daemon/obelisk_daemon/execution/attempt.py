"""What follows from the end of an attempt or of a run: the event to append, and the failure to keep."""

from collections.abc import Callable
from typing import Literal

import msgspec

from obelisk_daemon.clock import Instant, after
from obelisk_daemon.execution.events import (
    Event,
    Finished,
    Locked,
    TemporarilyFailed,
    TemporarilyTimedOut,
    Unlocked,
)
from obelisk_daemon.execution.outcome import Failed, FailureKind, FailureRecord, Outcome, Returned
from obelisk_daemon.execution.retry import Cause, backoff, is_permanent, is_retried
from obelisk_daemon.execution.wit_types import EnumType, FunctionType, ResultType, VariantType
from obelisk_daemon.ids import ExecutionId, FailureId


class Trap(msgspec.Struct, frozen=True):
    """The guest was stopped, by itself or by one of its limits."""

    kind: FailureKind
    message: str
    backtrace: str


class Overrun(msgspec.Struct, frozen=True):
    """The guest had its time and did not end. `detail` says what it had done, for people."""

    detail: str


class End(msgspec.Struct, frozen=True):
    """The event that ends an attempt, and the failure recorded with it."""

    event: Event
    failure: FailureRecord | None = None


class Concluding(msgspec.Struct, frozen=True):
    """The attempt whose end is decided."""

    execution_id: ExecutionId
    locked: Locked
    at: Instant
    new_failure_id: Callable[[], FailureId]


def conclude_activity(attempt: Concluding, function: FunctionType, ended: Outcome | Trap | Overrun) -> End:
    """Decide what follows an activity's attempt (DESIGN.md section 4, "Retry")."""
    match ended:
        case Returned():
            return _returned(attempt, function, ended)
        case Trap(kind=kind, message=message, backtrace=backtrace):
            failure = FailureRecord(attempt.new_failure_id(), kind, message, backtrace)
            return _failed(attempt, "trap", failure)
        case Overrun():
            return _timed_out(attempt, "timeout", ended.detail)
        case Failed():
            return End(Finished(ended))


def conclude_overrun(attempt: Concluding, detail: str) -> End:
    """Decide what follows a workflow's run that computed too long between two host calls: `retry_on` has no say."""
    return _timed_out(attempt, "timeout", detail, always=True)


def conclude_lost(attempt: Concluding, *, is_workflow: bool, progressed: bool) -> End:
    """Decide what follows a run whose daemon died: no fault of the guest, but counted unless it got on."""
    if is_workflow and progressed:
        return End(Unlocked("lost", attempt.at))
    return _timed_out(attempt, "lost", "its daemon ended while it ran")


def failure_outcome(failure: FailureRecord) -> Failed:
    """Give the outcome that a recorded failure makes."""
    return Failed(failure.kind, failure.failure_id, failure.message)


def _returned(attempt: Concluding, function: FunctionType, returned: Returned) -> End:
    error = returned.value.get("err")
    if returned.is_ok or _says_permanent(function, error):
        return End(Finished(returned))
    locked = attempt.locked
    if not is_retried(locked.retry, locked.attempt, "error"):
        return End(Finished(returned))
    reason = "the function returned an error"
    return End(TemporarilyFailed(locked.attempt, reason, _due(attempt), kind="error", error=error))


def _says_permanent(function: FunctionType, error: object) -> bool:
    declared = function.result
    cased = isinstance(declared, ResultType) and isinstance(declared.err, VariantType | EnumType)
    return cased and is_permanent(error)


def _failed(attempt: Concluding, cause: Cause, failure: FailureRecord) -> End:
    locked = attempt.locked
    if not is_retried(locked.retry, locked.attempt, cause):
        return End(Finished(failure_outcome(failure)), failure)
    event = TemporarilyFailed(
        locked.attempt, failure.message, _due(attempt), kind=failure.kind, failure_id=failure.failure_id
    )
    return End(event, failure)


def _timed_out(attempt: Concluding, reason: Literal["timeout", "lost"], detail: str, *, always: bool = False) -> End:
    locked = attempt.locked
    if is_retried(locked.retry, locked.attempt, "lost" if always else reason):
        return End(TemporarilyTimedOut(locked.attempt, reason, _due(attempt)))
    attempts = f"{locked.attempt} attempt" + ("s" if locked.attempt > 1 else "")
    failure = FailureRecord(attempt.new_failure_id(), "timed_out", f"timed out after {attempts}: {detail}")
    return End(Finished(failure_outcome(failure)), failure)


def _due(attempt: Concluding) -> Instant:
    return after(attempt.at, backoff(attempt.locked.retry, attempt.execution_id, attempt.locked.attempt))
