"""Making the API's documents from what the layers below give."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from obelisk_daemon.api.documents import (
    ComponentDocument,
    ExecutionDocument,
    FailureDocument,
    FunctionDocument,
    ParameterDocument,
    ParentDocument,
    StatusDocument,
)
from obelisk_daemon.api.rendering import result_json
from obelisk_daemon.api.services import Catalog, ComponentInfo, DaemonStatus, FunctionInfo
from obelisk_daemon.clock import to_rfc3339
from obelisk_daemon.errors import CallerError
from obelisk_daemon.execution.outcome import FailureRecord
from obelisk_daemon.execution.wit_text import signature, to_wit
from obelisk_daemon.storage.port import Summary


class Background(NamedTuple):
    """What an execution's page tells beyond its row in a list."""

    failure: FailureRecord | None = None
    pause_message: str | None = None
    params: list[Any] | None = None


def execution(found: Summary, catalog: Catalog, background: Background = Background()) -> ExecutionDocument:  # noqa: B008
    """Describe an execution."""
    failure = background.failure
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
        due_at=None if found.due_at is None else to_rfc3339(found.due_at),
        waiting_for=found.join_set,
        parent=None if found.parent_id is None else ParentDocument(found.parent_id),
        pause_reason=found.pause_reason,
        pause_message=background.pause_message,
        params=background.params,
        result=None if found.outcome is None else result_json(found.outcome),
        failure=None if failure is None else failure_document(failure),
    )


def failure_document(record: FailureRecord) -> FailureDocument:
    """Describe a failure."""
    return FailureDocument(
        failure_id=record.failure_id,
        kind=record.kind,
        message=record.message,
        backtrace=record.backtrace or None,
        cause=record.cause,
    )


def function(info: FunctionInfo) -> FunctionDocument:
    """Describe a function with its WIT types."""
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


def status(now: DaemonStatus, counts: Mapping[str, int]) -> StatusDocument:
    """Describe the daemon."""
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
        degraded=now.degraded,
        not_ready=now.not_ready,
    )


def _labels(ffqn: str, catalog: Catalog) -> list[str]:
    """Give none for a function that has left the manifest: nothing can run it now."""
    try:
        return list(catalog.find(ffqn).labels)
    except CallerError:
        return []
