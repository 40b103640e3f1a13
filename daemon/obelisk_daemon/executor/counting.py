"""Counts executions in the metrics, from what became durable: so nothing is counted twice, or counted and then lost."""

from collections.abc import Iterable
from typing import Final

from obelisk_daemon.execution.events import (
    Created,
    Entry,
    Finished,
    Locked,
    TemporarilyFailed,
    TemporarilyTimedOut,
    Unlocked,
)
from obelisk_daemon.execution.outcome import FailureKind, Outcome, Returned
from obelisk_daemon.executor.children import NEVER
from obelisk_daemon.metrics import EgressMetrics, ExecutionMetrics
from obelisk_daemon.storage.records import DelayEnded, Recorded
from obelisk_daemon.wasm.wasi.context import HttpTrace

_SECOND: Final = 1_000_000
_ATTEMPTS: Final[dict[FailureKind, str]] = {"timed_out": "timeout", "cancelled": "cancelled"}
"""What a failure makes of the attempt; every other one is a `trap`."""


class Counting:
    """Keeps the counters and histograms of executions. `observe` is an `Observer` of the store."""

    def __init__(self, metrics: ExecutionMetrics) -> None:
        self._metrics = metrics

    def observe(self, recorded: Recorded | DelayEnded) -> None:
        """Count one turn."""
        if isinstance(recorded, DelayEnded):
            return
        created = recorded.created
        of = (created.component, kind_of(created))
        for entry in recorded.entries:
            match entry.event:
                case Created():
                    self._metrics.submitted.inc(*of)
                case Locked():
                    self._locked(recorded, entry, of)
                case Finished(outcome=outcome):
                    self._finished(recorded, outcome, of)
                case TemporarilyFailed(kind=kind):
                    self._attempt(recorded, "error" if kind == "error" else "trap", of)
                case TemporarilyTimedOut(reason=reason):
                    self._attempt(recorded, reason, of)
                case Unlocked(reason="cancelled"):
                    self._attempt(recorded, "cancelled", of)

    def _locked(self, recorded: Recorded, entry: Entry, of: tuple[str, str]) -> None:
        due_at = recorded.created.due_at if recorded.due_at is None else recorded.due_at
        self._metrics.wait_seconds.observe(max(0, entry.created_at - due_at) / _SECOND, *of)
        if recorded.state.started_at == entry.created_at:
            self._metrics.started.inc(*of)

    def _finished(self, recorded: Recorded, outcome: Outcome, of: tuple[str, str]) -> None:
        if isinstance(outcome, Returned):
            self._metrics.finished.inc(*of, "ok" if outcome.is_ok else "err", "")
        else:
            self._metrics.finished.inc(*of, "failed", outcome.kind)
        if recorded.locked_at is not None:
            self._attempt(recorded, _attempt_outcome(outcome, from_outside=recorded.from_outside), of)
        if of[1] == "workflow":
            since = max(recorded.created.due_at, recorded.created_at)
            seconds = max(0, recorded.state.changed_at - since) / _SECOND
            self._metrics.workflow_seconds.observe(seconds, of[0])

    def _attempt(self, recorded: Recorded, outcome: str, of: tuple[str, str]) -> None:
        self._metrics.attempts.inc(*of, outcome)
        if recorded.locked_at is not None and of[1] == "activity":
            seconds = (recorded.state.changed_at - recorded.locked_at) / _SECOND
            self._metrics.attempt_seconds.observe(seconds, of[0])


def count_egress(metrics: EgressMetrics, trace: Iterable[HttpTrace]) -> None:
    """Count the requests of an attempt that is over."""
    for request in trace:
        host = request.host or "other"
        metrics.requests.inc(host, _status(request))
        if request.was_sent:
            metrics.seconds.observe(request.duration.total_seconds(), host)
            metrics.sent_bytes.inc(host, by=request.request_bytes)
            metrics.received_bytes.inc(host, by=request.response_bytes)


def _status(request: HttpTrace) -> str:
    if not request.was_sent:
        return "refused"
    if request.error is not None or request.status is None:
        return "dropped" if request.error == "dropped" else "failed"
    return f"{request.status // 100}xx"


def kind_of(created: Created) -> str:
    """Tell the kind of component that an execution is of, by its first event."""
    if created.terms is not None:
        return "workflow"
    return "stub" if created.due_at == NEVER else "activity"


def _attempt_outcome(outcome: Outcome, *, from_outside: bool) -> str:
    if isinstance(outcome, Returned):
        return "ok" if outcome.is_ok else "error"
    if from_outside and outcome.kind == "timed_out":
        return "lost"
    return _ATTEMPTS.get(outcome.kind, "trap")
