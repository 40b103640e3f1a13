"""`/v1/executions/{id}/delays` and `/v1/delays`: the durable timers of workflows."""

from typing import Annotated, Final

from litestar import get, post
from litestar.params import QueryParameter

from obelisk_daemon.api import describing
from obelisk_daemon.api.documents import DelayCancelDocument, DelayList, DelayPauseDocument
from obelisk_daemon.api.problems import PROBLEMS
from obelisk_daemon.api.requests import MAX_NAME, MAX_PAGE, ApiRequest, Id, Limit, services_of
from obelisk_daemon.api.services import Services
from obelisk_daemon.clock import to_rfc3339
from obelisk_daemon.errors import ConflictError, NotFoundError
from obelisk_daemon.execution.events import Entry, HistoryEvent, JoinSetRequest
from obelisk_daemon.ids import DelayId, owner_of, parse_delay_id, parse_execution_id


@get("/executions/{execution_id:str}/delays", responses=PROBLEMS, summary="List the delays that are still to end")
async def list_delays(
    request: ApiRequest,
    execution_id: Id,
    limit: Limit = 100,
    cursor: Annotated[str, QueryParameter(max_length=MAX_NAME)] = "",
) -> DelayList:
    """Give one page of an execution's delays, by id."""
    reader, known = services_of(request).reader, parse_execution_id(execution_id)
    await reader.summary(known)
    found = await reader.delays(known, cursor, limit)
    return DelayList(list(map(describing.delay, found)), found[-1].delay_id if len(found) == limit else None)


@post(
    "/delays/{delay_id:str}/cancel",
    status_code=200,
    responses=PROBLEMS,
    opt={"role": "operate"},
    summary="Cancel a delay",
)
async def cancel_delay(request: ApiRequest, delay_id: Id) -> DelayCancelDocument:
    """End a delay now; whoever waits for it is told that it was cancelled. Asking again does no harm."""
    services, known = services_of(request), parse_delay_id(delay_id)
    cancelled = await services.engine.cancel_delay(known)
    if not cancelled and not await _was_asked_for(services, known):
        raise _not_found(known)
    return DelayCancelDocument(delay_id=known, already_ended=not cancelled)


@post(
    "/delays/{delay_id:str}/pause",
    status_code=200,
    responses=PROBLEMS,
    opt={"role": "operate"},
    summary="Pause a delay",
)
async def pause_delay(request: ApiRequest, delay_id: Id) -> DelayPauseDocument:
    """Hold a delay back, also beyond the time it is due, until it is resumed or cancelled."""
    return await _set_paused(services_of(request), parse_delay_id(delay_id), paused=True)


@post(
    "/delays/{delay_id:str}/resume",
    status_code=200,
    responses=PROBLEMS,
    opt={"role": "operate"},
    summary="Resume a delay",
)
async def resume_delay(request: ApiRequest, delay_id: Id) -> DelayPauseDocument:
    """Let a paused delay go on; one whose time has come meanwhile ends at once."""
    return await _set_paused(services_of(request), parse_delay_id(delay_id), paused=False)


async def _set_paused(services: Services, delay_id: DelayId, *, paused: bool) -> DelayPauseDocument:
    try:
        due_at = await services.engine.set_delay_paused(delay_id, paused)
    except NotFoundError:
        if await _was_asked_for(services, delay_id):
            raise ConflictError("delay_ended", f"the delay {delay_id} has ended") from None
        raise _not_found(delay_id) from None
    return DelayPauseDocument(delay_id=delay_id, paused=paused, due_at=to_rfc3339(due_at))


async def _was_asked_for(services: Services, delay_id: DelayId) -> bool:
    """Look for a delay that is not there any more in the log of the workflow that made it."""
    owner, version = owner_of(delay_id), 0
    while page := await services.reader.entries(owner, version, MAX_PAGE):
        if any(_asks_for(entry, delay_id) for entry in page):
            return True
        version += len(page)
    return False


def _asks_for(entry: Entry, delay_id: DelayId) -> bool:
    match entry.event:
        case HistoryEvent(event=JoinSetRequest(request=request)):
            return getattr(request, "delay_id", None) == delay_id
        case _:
            return False


def _not_found(delay_id: DelayId) -> NotFoundError:
    return NotFoundError("delay_not_found", f"there is no delay {delay_id}")


ROUTES: Final = (list_delays, cancel_delay, pause_delay, resume_delay)
