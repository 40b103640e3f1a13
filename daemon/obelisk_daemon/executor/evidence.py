"""What is kept of a failed attempt beside its outcome: bounded, since a guest decides how much there is."""

from datetime import timedelta
from typing import Final

from obelisk_daemon.execution.outcome import Evidence, FailureKind, FailureRecord, HttpExchange
from obelisk_daemon.executor.logs import LogBuffer
from obelisk_daemon.ids import FailureId
from obelisk_daemon.wasm.wasi.context import HttpTrace

_LINES: Final = 20
_STDERR: Final = 8 * 1024
_EXCHANGES: Final = 50
_URL: Final = 500
_REASON: Final = 300
_MICROSECOND: Final = timedelta(microseconds=1)


def evidence_of(logs: LogBuffer, trace: list[HttpTrace]) -> Evidence:
    """Keep the end of an attempt's stderr, which nobody may have taken yet, and its last requests."""
    stderr = logs.tail("stderr", _LINES)[-_STDERR:]
    kept = trace[-_EXCHANGES:]
    return Evidence(stderr, tuple(_exchange(request) for request in kept), len(trace) - len(kept))


def failure_of(
    failure_id: FailureId,
    kind: FailureKind,
    message: str,
    backtrace: str,
    logs: LogBuffer,
    *,
    cause: FailureId | None = None,
) -> FailureRecord:
    """Make the record of how a workflow stopped."""
    return FailureRecord(failure_id, kind, message, backtrace, cause, evidence_of(logs, []))


def describe(request: HttpTrace) -> str:
    """Write one request of an attempt as a line."""
    came = request.error if request.status is None else str(request.status)
    reason = f" ({request.reason})" if request.reason else ""
    return f"{request.method} {request.url} -> {came}{reason}"


def _exchange(request: HttpTrace) -> HttpExchange:
    return HttpExchange(
        method=request.method,
        url=request.url[:_URL],
        started_at=request.started_at,
        duration_us=request.duration // _MICROSECOND,
        status=request.status,
        error=request.error,
        reason=None if request.reason is None else request.reason[:_REASON],
        request_bytes=request.request_bytes,
        response_bytes=request.response_bytes,
    )
