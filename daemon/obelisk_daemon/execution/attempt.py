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
from obelisk_daemon.execution.outcome import Evidence, Failed, FailureKind, FailureRecord, Outcome, Returned
from obelisk_daemon.execution.retry import backoff, is_permanent, is_retried
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
    """The attempt whose end is decided, and what it left beside its outcome."""

    execution_id: ExecutionId
    locked: Locked
    at: Instant
    new_failure_id: Callable[[], FailureId]
    evidence: Evidence = Evidence()

    def record(self, kind: FailureKind | Literal["error"], message: str, backtrace: str = "") -> FailureRecord:
        """Make the record of its failure."""
        return FailureRecord(self.new_failure_id(), kind, message, backtrace, evidence=self.evidence)


def conclude_activity(attempt: Concluding, function: FunctionType, ended: Outcome | Trap | Overrun) -> End:
    """Decide what follows an activity's attempt (DESIGN.md section 4, "Retry")."""
    match ended:
        case Returned():
            return _returned(attempt, function, ended)
        case Trap(kind=kind, message=message, backtrace=backtrace):
            return _trapped(attempt, attempt.record(kind, message, backtrace))
        case Overrun():
            return _timed_out(attempt, "timeout", ended.detail)
        case Failed():
            return End(Finished(ended))


def conclude_overrun(attempt: Concluding, detail: str) -> End:
    """Decide what follows a workflow's run that computed too long between two host calls: `retry_on` has no say."""
    return _timed_out(attempt, "timeout", detail, always=True)


def conclude_lost(attempt: Concluding, *, is_workflow: bool, progressed: bool) -> End:
    """Decide what follows a run whose daemon died: no fault of the guest, but counted unless it got on.

    A workflow that was lost too often isn't ended here: to close its join sets takes a run (`was_lost_too_often`).
    """
    if is_workflow and progressed:
        return End(Unlocked("lost", attempt.at))
    if is_workflow:
        return End(TemporarilyTimedOut(attempt.locked.attempt, "lost", _due(attempt)))
    return _timed_out(attempt, "lost", "its daemon ended while it ran")


def was_lost_too_often(locked: Locked) -> bool:
    """Tell if a workflow's run comes after all that its retries allow: it only closes what is open, and fails."""
    return locked.attempt > locked.retry.max_retries + 1


def failure_outcome(failure: FailureRecord) -> Failed:
    """Give the outcome that a recorded failure makes."""
    assert failure.kind != "error", "an error of the function's own is an outcome itself"
    return Failed(failure.kind, failure.failure_id, failure.message)


def _returned(attempt: Concluding, function: FunctionType, returned: Returned) -> End:
    if returned.is_ok:
        return End(Finished(returned))
    error, locked, reason = returned.value["err"], attempt.locked, "the function returned an error"
    # the error itself is in the log: a record is only worth its place for the HTTP that may have led to it
    failure = attempt.record("error", reason) if attempt.evidence.http else None
    failure_id = None if failure is None else failure.failure_id
    if _says_permanent(function, error) or not is_retried(locked.retry, locked.attempt, "error"):
        return End(Finished(returned, failure_id), failure)
    event = TemporarilyFailed(locked.attempt, reason, _due(attempt), "error", failure_id, error)
    return End(event, failure)


def _says_permanent(function: FunctionType, error: object) -> bool:
    declared = function.result
    cased = isinstance(declared, ResultType) and isinstance(declared.err, VariantType | EnumType)
    return cased and is_permanent(error)


def _trapped(attempt: Concluding, failure: FailureRecord) -> End:
    locked = attempt.locked
    if not is_retried(locked.retry, locked.attempt, "trap"):
        return End(Finished(failure_outcome(failure)), failure)
    event = TemporarilyFailed(locked.attempt, failure.message, _due(attempt), failure.kind, failure.failure_id)
    return End(event, failure)


def _timed_out(attempt: Concluding, reason: Literal["timeout", "lost"], detail: str, *, always: bool = False) -> End:
    locked = attempt.locked
    if is_retried(locked.retry, locked.attempt, "lost" if always else reason):
        failure = None if attempt.evidence == Evidence() else attempt.record("timed_out", detail)
        failure_id = None if failure is None else failure.failure_id
        return End(TemporarilyTimedOut(locked.attempt, reason, _due(attempt), failure_id), failure)
    attempts = f"{locked.attempt} attempt" + ("s" if locked.attempt > 1 else "")
    failure = attempt.record("timed_out", f"timed out after {attempts}: {detail}")
    return End(Finished(failure_outcome(failure)), failure)


def _due(attempt: Concluding) -> Instant:
    return after(attempt.at, backoff(attempt.locked.retry, attempt.execution_id, attempt.locked.attempt))
