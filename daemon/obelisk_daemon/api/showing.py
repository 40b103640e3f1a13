"""One execution with all that its page tells, read from the store."""

from obelisk_daemon.api import describing
from obelisk_daemon.api.documents import ExecutionDocument
from obelisk_daemon.api.services import Services
from obelisk_daemon.errors import NotFoundError
from obelisk_daemon.execution.events import Created, Event, Finished, Paused
from obelisk_daemon.execution.outcome import Failed, FailureRecord
from obelisk_daemon.execution.wit_json import to_json
from obelisk_daemon.ids import ExecutionId, FailureId
from obelisk_daemon.storage.records import Summary


async def shown(services: Services, execution_id: ExecutionId) -> ExecutionDocument:
    """Describe an execution.

    Raises:
        NotFoundError: `execution_not_found`.
    """
    summary = await services.reader.summary(execution_id)
    return describing.execution(summary, services.catalog(), await _background(services, summary))


async def created_of(services: Services, execution_id: ExecutionId) -> Created | None:
    """Read how an execution was made; None where there is none."""
    try:
        await services.reader.summary(execution_id)
    except NotFoundError:
        return None
    event = await _event(services, execution_id, 0)
    assert isinstance(event, Created)
    return event


async def _background(services: Services, summary: Summary) -> describing.Background:
    created = await _event(services, summary.execution_id, 0)
    assert isinstance(created, Created)
    last = await _event(services, summary.execution_id, summary.version - 1)
    message = last.message if isinstance(last, Paused) else None
    return describing.Background(
        failure=await _failure(services, _failure_id(last)),
        pause_message=message if summary.lifecycle == "paused" else None,
        params=to_json(created.params),
        scheduled_by=created.scheduled_by,
        retried_from=created.retried_from,
    )


def _failure_id(last: Event | None) -> FailureId | None:
    """Give the failure that the last event of a log names."""
    match last:
        case Finished(outcome=Failed(failure_id=failure_id)) | Finished(failure_id=failure_id):
            return failure_id
        case Paused(failure_id=failure_id):
            return failure_id
        case _:
            return None


async def _event(services: Services, execution_id: ExecutionId, version: int) -> Event | None:
    found = await services.reader.entries(execution_id, version, 1)
    return found[0].event if found else None


async def _failure(services: Services, failure_id: FailureId | None) -> FailureRecord | None:
    if failure_id is None:
        return None
    try:
        return await services.reader.failure(failure_id)
    except NotFoundError:
        return None
