"""`/v1/executions/{id}/events`, `/responses` and `/logs`: what happened, and what happens next."""

from collections.abc import Awaitable
from typing import Annotated, Final

from litestar import get
from litestar.di import NamedDependency, Provide
from litestar.params import QueryParameter

from obelisk_daemon.api.documents import EventPage, LogPage, ResponsePage
from obelisk_daemon.api.polling import poll
from obelisk_daemon.api.problems import PROBLEMS
from obelisk_daemon.api.rendering import entry_json, log_line_json, response_json
from obelisk_daemon.api.requests import MAX_POSITION, ApiRequest, From, Id, Position, Reading, reading, services_of
from obelisk_daemon.api.services import Services
from obelisk_daemon.ids import ExecutionId, parse_execution_id

_READING: Final = {"reading": Provide(reading, sync_to_thread=False)}


class _Cursor:
    """Reads one page after another of one execution."""

    def __init__(self, services: Services, execution_id: ExecutionId, limit: int) -> None:
        self._reader = services.reader
        self._id = execution_id
        self._limit = limit

    async def events(self, first: int, first_response: int | None) -> tuple[EventPage, bool]:
        finished = await self._finished()
        entries = [entry_json(entry) for entry in await self._reader.entries(self._id, first, self._limit)]
        page = EventPage(entries, first + len(entries), finished)
        if first_response is not None:
            found = await self._reader.responses(self._id, first_response, self._limit)
            responses = [response_json(response) for response in found]
            page = EventPage(entries, page.next, finished, responses, first_response + len(responses))
        return page, bool(finished or entries or page.responses)

    async def responses(self, first: int) -> tuple[ResponsePage, bool]:
        finished = await self._finished()
        found = await self._reader.responses(self._id, first, self._limit)
        page = ResponsePage([response_json(response) for response in found], first + len(found), finished)
        return page, bool(finished or found)

    async def lines(self, after: int) -> tuple[LogPage, bool]:
        finished = await self._finished()
        found = await self._reader.log_lines(self._id, after, self._limit)
        lines = [log_line_json(position, run_id, line) for position, run_id, line in found]
        return LogPage(lines, found[-1][0] if found else after, finished), bool(finished or found)

    async def _finished(self) -> bool:
        """Ask this first: what is read afterwards is then complete, if it was finished."""
        return (await self._reader.summary(self._id)).status == "finished"


@get(
    "/executions/{execution_id:str}/events",
    dependencies=_READING,
    responses=PROBLEMS,
    summary="Read or follow the events",
)
async def events(
    request: ApiRequest,
    execution_id: Id,
    reading: NamedDependency[Reading],
    first: From = 0,
    responses_from: Annotated[int | None, QueryParameter(ge=1, le=MAX_POSITION)] = None,
) -> EventPage:
    """Give events from a version on and, when `responses_from` is given, responses from that `seq` on."""
    services, known = services_of(request), parse_execution_id(execution_id)
    cursor = _Cursor(services, known, reading.limit)

    def read() -> Awaitable[tuple[EventPage, bool]]:
        return cursor.events(first, responses_from)

    return await poll(request.receive, services.watcher, (known, "changed"), reading.wait, read)


@get(
    "/executions/{execution_id:str}/responses",
    dependencies=_READING,
    responses=PROBLEMS,
    summary="Read or follow the responses",
)
async def responses(
    request: ApiRequest, execution_id: Id, reading: NamedDependency[Reading], first: From = 1
) -> ResponsePage:
    """Give what join-set members delivered, from a `seq` on."""
    services, known = services_of(request), parse_execution_id(execution_id)
    cursor = _Cursor(services, known, reading.limit)
    return await poll(
        request.receive, services.watcher, (known, "changed"), reading.wait, lambda: cursor.responses(first)
    )


@get(
    "/executions/{execution_id:str}/logs",
    dependencies=_READING,
    responses=PROBLEMS,
    summary="Read or follow the log lines",
)
async def logs(
    request: ApiRequest, execution_id: Id, reading: NamedDependency[Reading], after: Position = 0
) -> LogPage:
    """Give the lines that the execution's guests logged, after a position."""
    services, known = services_of(request), parse_execution_id(execution_id)
    cursor = _Cursor(services, known, reading.limit)
    return await poll(request.receive, services.watcher, (known, "changed"), reading.wait, lambda: cursor.lines(after))


ROUTES: Final = (events, responses, logs)
