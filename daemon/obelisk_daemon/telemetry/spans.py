"""The spans of executions, made of what became durable. A replay makes none, and no restart makes another one.

All of a top-level execution and of what is below it are one trace. Ids are derived: whoever ends a span, in whatever
process, gives it the same id, and its children find it without having met it. What ends is a span exactly once, since
it is one commit that ends it.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Final, Literal, TypeAlias

import msgspec

from obelisk_daemon.clock import Instant, after
from obelisk_daemon.execution.events import Finished, Locked, TemporarilyFailed, TemporarilyTimedOut, Unlocked
from obelisk_daemon.execution.outcome import Outcome, Returned
from obelisk_daemon.executor.counting import kind_of
from obelisk_daemon.ids import ExecutionId
from obelisk_daemon.storage.records import DelayEnded, Recorded
from obelisk_daemon.wasm.wasi.context import HttpTrace

Attributes: TypeAlias = Mapping[str, str | int]
_TEXT: Final = 1_000


class SpanRecord(msgspec.Struct, frozen=True):
    """A span that has ended. `failed` says why, if it did; `link` is another trace's execution that led to it."""

    trace_id: int
    span_id: int
    parent_id: int | None
    name: str
    started_at: Instant
    ended_at: Instant
    attributes: Attributes
    failed: str | None = None
    kind: Literal["internal", "client"] = "internal"
    link: ExecutionId | None = None


def trace_id(execution_id: ExecutionId) -> int:
    """Name the trace of a top-level execution and of all below it."""
    return _number(f"trace {execution_id.partition('.')[0]}", 16)


def execution_span_id(execution_id: ExecutionId) -> int:
    """Name the span of an execution."""
    return _number(f"execution {execution_id}", 8)


def spans_of(ended: Recorded | DelayEnded) -> Iterator[SpanRecord]:
    """Give the spans that a commit has ended."""
    if isinstance(ended, DelayEnded):
        yield _delay(ended)
        return
    for entry in ended.entries:
        if isinstance(entry.event, Locked) and ended.due_at is not None and ended.due_at < entry.created_at:
            yield SpanRecord(
                trace_id(ended.execution_id),
                _number(f"queued {ended.execution_id} {entry.version}", 8),
                execution_span_id(ended.execution_id),
                "queued",
                ended.due_at,
                entry.created_at,
                {"obelisk.execution_id": ended.execution_id},
            )
    if not ended.entries:  # a workflow that left memory again where its replay came to the end of its log
        return
    last = ended.entries[-1]
    if ended.locked_at is not None and kind_of(ended.created) == "activity":
        yield _attempt(ended, ended.locked_at)
    if isinstance(last.event, Finished):
        yield _execution(ended, last.event)


def _execution(ended: Recorded, finished: Finished) -> SpanRecord:
    created, execution_id = ended.created, ended.execution_id
    attributes: dict[str, str | int] = {
        "obelisk.execution_id": execution_id,
        "obelisk.function": created.ffqn,
        "obelisk.component": created.component,
        "obelisk.kind": kind_of(created),
        "obelisk.outcome": _word(finished.outcome),
    }
    if not isinstance(finished.outcome, Returned):
        attributes |= {"obelisk.failure_kind": finished.outcome.kind, "obelisk.failure_id": finished.outcome.failure_id}
    return SpanRecord(
        trace_id(execution_id),
        execution_span_id(execution_id),
        None if created.parent is None else execution_span_id(created.parent[0]),
        created.ffqn,
        ended.created_at,
        ended.state.changed_at,
        attributes,
        _failure(finished.outcome),
        link=created.scheduled_by,
    )


def _attempt(ended: Recorded, locked_at: Instant) -> SpanRecord:
    number, came, failed = ended.state.attempt, "", None
    match ended.entries[-1].event:
        case Finished(outcome=outcome):
            came, failed = _word(outcome), _failure(outcome)
        case TemporarilyFailed(attempt=number, kind=kind, reason=reason):
            came, failed = kind, reason
        case TemporarilyTimedOut(attempt=number, reason=reason):
            came, failed = reason, reason
        case Unlocked(reason=reason):
            came = f"unlocked: {reason}"
    version = ended.entries[-1].version
    return SpanRecord(
        trace_id(ended.execution_id),
        attempt_span_id(ended.execution_id, version),
        execution_span_id(ended.execution_id),
        f"attempt {number}",
        locked_at,
        ended.state.changed_at,
        {"obelisk.execution_id": ended.execution_id, "obelisk.attempt": number, "obelisk.outcome": came},
        None if failed is None else failed[:_TEXT],
    )


def attempt_span_id(execution_id: ExecutionId, version: int) -> int:
    """Name the span of the attempt that ended with the event of this version."""
    return _number(f"attempt {execution_id} {version}", 8)


def _delay(ended: DelayEnded) -> SpanRecord:
    return SpanRecord(
        trace_id(ended.execution_id),
        _number(f"delay {ended.delay_id}", 8),
        execution_span_id(ended.execution_id),
        "delay",
        min(ended.requested_at, ended.ended_at),
        ended.ended_at,
        {"obelisk.delay_id": ended.delay_id, "obelisk.outcome": "cancelled" if ended.cancelled else "fired"},
    )


def spans_of_requests(execution_id: ExecutionId, version: int, requests: Sequence[HttpTrace]) -> Iterator[SpanRecord]:
    """Give the spans of what an attempt that ended with the event of this version asked of other hosts.

    A query is left out: it may hold what is nobody else's business.
    """
    for number, request in enumerate(requests):
        place = request.url.partition("://")[2].partition("?")[0]  # a guest wrote it: it may be no URL at all
        authority, slash, path = place.partition("/")
        attributes: dict[str, str | int] = {
            "http.request.method": request.method[:_TEXT],
            "server.address": authority[:_TEXT],
            "url.path": (slash + path)[:_TEXT],
        }
        if request.status is not None:
            attributes["http.response.status_code"] = request.status
        failed = request.error
        if failed is None and request.status is not None and request.status >= 400:
            failed = str(request.status)
        if failed is not None:
            attributes["error.type"] = failed
        yield SpanRecord(
            trace_id(execution_id),
            _number(f"request {execution_id} {version} {number}", 8),
            attempt_span_id(execution_id, version),
            request.method[:_TEXT],
            request.started_at,
            after(request.started_at, max(request.duration, timedelta())),
            attributes,
            None if failed is None else (request.reason or failed)[:_TEXT],
            kind="client",
        )


def _word(outcome: Outcome) -> str:
    if isinstance(outcome, Returned):
        return "ok" if outcome.is_ok else "err"
    return "failed"


def _failure(outcome: Outcome) -> str | None:
    if isinstance(outcome, Returned):
        return None if outcome.is_ok else "the function returned an error"
    return f"{outcome.kind}: {outcome.reason}"[:_TEXT]


def _number(text: str, size: int) -> int:
    """Make an id of some bytes: the same of the same text, and never 0, which means none."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:size]) or 1
