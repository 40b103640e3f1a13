"""Making the API's documents from what the layers below give."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from obelisk_daemon.api.documents import (
    ComponentDocument,
    DelayDocument,
    DriftDocument,
    ExecutionDocument,
    ExecutorDocument,
    FailureDocument,
    FunctionDocument,
    HttpDocument,
    Outcome,
    ParameterDocument,
    ParentDocument,
    StatusDocument,
)
from obelisk_daemon.api.rendering import result_json
from obelisk_daemon.api.services import Catalog, ComponentInfo, DaemonStatus, ExecutorInfo, FunctionInfo
from obelisk_daemon.clock import to_rfc3339
from obelisk_daemon.deployment.control import FileState
from obelisk_daemon.execution.outcome import Ending, FailureKind, FailureRecord, HttpExchange
from obelisk_daemon.execution.wit_text import signature, to_wit
from obelisk_daemon.executor.children import NEVER
from obelisk_daemon.ids import ExecutionId
from obelisk_daemon.storage.records import Delay, Summary


class Background(NamedTuple):
    """What an execution's page tells beyond its row in a list."""

    failure: FailureRecord | None = None
    pause_message: str | None = None
    params: list[Any] | None = None
    scheduled_by: str | None = None
    retried_from: str | None = None


def execution(found: Summary, catalog: Catalog, background: Background = Background()) -> ExecutionDocument:  # noqa: B008
    """Describe an execution."""
    failure = background.failure
    ended, failure_kind = _ending(found.ending)
    due_at = None if found.due_at == NEVER else found.due_at
    return ExecutionDocument(
        execution_id=found.execution_id,
        ffqn=found.ffqn,
        state=found.status,
        lifecycle=found.lifecycle,
        created_at=to_rfc3339(found.created_at),
        changed_at=to_rfc3339(found.changed_at),
        component=found.component,
        component_digest=found.digest,
        labels=_labels(found.ffqn, catalog),
        attempts=found.attempts,
        version=found.version,
        submitted_labels=list(found.labels) or None,
        priority=found.priority,
        tags=found.tags or None,
        due_at=None if due_at is None else to_rfc3339(due_at),
        waiting_for=found.join_set,
        parent=None if found.parent_id is None else ParentDocument(found.parent_id),
        scheduled_by=background.scheduled_by,
        retried_from=background.retried_from,
        pause_reason=found.pause_reason,
        pause_message=background.pause_message,
        params=background.params,
        outcome=ended,
        failure_kind=failure_kind,
        result=None if found.outcome is None else result_json(found.outcome),
        failure=None if failure is None else failure_document(failure),
    )


def _ending(ending: Ending | None) -> tuple[Outcome | None, FailureKind | None]:
    """Say how an execution finished, and of one that failed why; nothing while it has not."""
    match ending:
        case "ok" | "err" | None:
            return ending, None
        case kind:
            return "failed", kind


def failure_document(record: FailureRecord) -> FailureDocument:
    """Describe a failure."""
    return FailureDocument(
        failure_id=record.failure_id,
        kind=record.kind,
        message=record.message,
        backtrace=record.backtrace or None,
        stderr=record.evidence.stderr or None,
        http=[http(exchange) for exchange in record.evidence.http] or None,
        http_left_out=record.evidence.http_left_out,
        cause=record.cause,
    )


def failure_chain(chain: Sequence[tuple[ExecutionId, FailureRecord]]) -> FailureDocument:
    """Describe a failure with its causes."""
    first, *causes = (
        msgspec.structs.replace(failure_document(record), execution_id=execution_id) for execution_id, record in chain
    )
    return msgspec.structs.replace(first, causes=causes or None)


def http(exchange: HttpExchange) -> HttpDocument:
    """Describe an HTTP request."""
    return HttpDocument(
        method=exchange.method,
        url=exchange.url,
        started_at=to_rfc3339(exchange.started_at),
        duration_ms=exchange.duration_us / 1_000,
        status=exchange.status,
        error=exchange.error,
        reason=exchange.reason,
        request_bytes=exchange.request_bytes,
        response_bytes=exchange.response_bytes,
    )


def delay(found: Delay) -> DelayDocument:
    """Describe a delay."""
    return DelayDocument(
        delay_id=found.delay_id, join_set=found.join_set, due_at=to_rfc3339(found.due_at), paused=found.is_paused
    )


def function(info: FunctionInfo, *, in_parts: bool = False) -> FunctionDocument:
    """Describe a function with its WIT types as text, and also `in_parts`."""
    return FunctionDocument(
        ffqn=str(info.ffqn),
        kind=info.kind,
        component=info.component,
        component_digest=info.digest,
        labels=list(info.labels),
        signature=signature(info.type),
        params=[ParameterDocument(name, to_wit(of)) for name, of in info.type.params],
        settings=dict(info.settings),
        returns=None if info.type.result is None else to_wit(info.type.result),
        types=msgspec.to_builtins(info.type) if in_parts else None,
    )


def component(info: ComponentInfo) -> ComponentDocument:
    """Describe a component."""
    return ComponentDocument(
        name=info.name,
        kind=info.kind,
        digest=info.digest,
        size=info.size,
        path=info.path,
        labels=list(info.labels),
        exports=list(info.exports),
        imports=list(info.imports),
    )


def status(now: DaemonStatus, counts: Mapping[str, int], pauses: Mapping[str, int], of: FileState) -> StatusDocument:
    """Describe the daemon; `pauses` counts what it paused by itself, `of` tells of its files."""
    return StatusDocument(
        version=now.version,
        executor_id=now.executor_id,
        generation=now.generation,
        started_at=to_rfc3339(now.started_at),
        ready=now.not_ready is None,
        running=now.running,
        hot=now.hot,
        executions=dict(counts),
        state_dir=now.state_dir,
        pid=now.pid,
        executors=[executor(info) for info in now.executors],
        automatic_pauses=dict(pauses),
        drift=drift(of),
        manifest_refused=None if of.refusal is None else of.refusal.summary,
        degraded=now.degraded,
        not_ready=now.not_ready,
    )


def drift(of: FileState) -> list[DriftDocument]:
    """Describe the files that differ from what is active."""
    return [DriftDocument(one.subject, one.path, one.message) for one in of.drift]


def executor(info: ExecutorInfo) -> ExecutorDocument:
    """Describe an executor."""
    return ExecutorDocument(
        name=info.name,
        executor_id=info.executor_id,
        labels=list(info.labels),
        max_running=info.max_running,
        running=info.running,
        hot=info.hot,
    )


def _labels(ffqn: str, catalog: Catalog) -> list[str]:
    """Give none for a function that has left the manifest: nothing can run it now."""
    function = catalog.get(ffqn)
    return [] if function is None else list(function.labels)
