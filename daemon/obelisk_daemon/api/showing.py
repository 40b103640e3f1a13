"""One execution with all that its page tells, read from the store."""

from obelisk_daemon.api import describing
from obelisk_daemon.api.documents import ExecutionDocument
from obelisk_daemon.api.services import Services
from obelisk_daemon.errors import NotFoundError
from obelisk_daemon.execution.events import Created, Event, Finished, Paused
from obelisk_daemon.execution.outcome import Failed, FailureRecord
from obelisk_daemon.execution.wit_json import to_json
from obelisk_daemon.ids import ExecutionId, FailureId


async def shown(services: Services, execution_id: ExecutionId) -> ExecutionDocument:
    """Describe an execution.

    Raises:
        NotFoundError: `execution_not_found`.
    """
    summary, created, last = await services.reader.outline(execution_id)
    assert isinstance(created, Created)
    message = last.message if isinstance(last, Paused) else None
    background = describing.Background(
        failure=await _failure(services, _failure_id(last)),
        pause_message=message if summary.lifecycle == "paused" else None,
        params=to_json(created.params),
        scheduled_by=created.scheduled_by,
        retried_from=created.retried_from,
    )
    return describing.execution(summary, services.catalog(), background)


async def created_of(services: Services, execution_id: ExecutionId) -> Created | None:
    """Read how an execution was made; None where there is none."""
    try:
        _, created, _ = await services.reader.outline(execution_id)
    except NotFoundError:
        return None
    assert isinstance(created, Created)
    return created


def _failure_id(last: Event | None) -> FailureId | None:
    """Give the failure that the last event of a log names."""
    match last:
        case Finished(outcome=Failed(failure_id=failure_id)) | Finished(failure_id=failure_id):
            return failure_id
        case Paused(failure_id=failure_id):
            return failure_id
        case _:
            return None


async def _failure(services: Services, failure_id: FailureId | None) -> FailureRecord | None:
    if failure_id is None:
        return None
    try:
        return await services.reader.failure(failure_id)
    except NotFoundError:
        return None
