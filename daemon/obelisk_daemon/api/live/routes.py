"""`/v1/follow` and `/v1/executions/{id}/follow`: streams of server-sent events."""

from functools import partial
from typing import Annotated, Final

from litestar import get
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromQuery, HeaderParameter, QueryParameter

from obelisk_daemon.api.live.daemon import Asked, Executions
from obelisk_daemon.api.live.documents import TreeDocument, nested
from obelisk_daemon.api.live.following import Wish
from obelisk_daemon.api.live.messages import parse_position
from obelisk_daemon.api.live.streams import MEDIA_TYPE, EventStream
from obelisk_daemon.api.problems import PROBLEMS
from obelisk_daemon.api.requests import ApiRequest, Id, services_of
from obelisk_daemon.ids import parse_execution_id
from obelisk_daemon.storage.records import Position

_MAX_ID: Final = 200
_RESUME: Final = "The id of the last message that was received: the stream goes on after it."
After = Annotated[str | None, QueryParameter(max_length=_MAX_ID, description=_RESUME)]
LastEventId = Annotated[str | None, HeaderParameter(name="Last-Event-ID", max_length=_MAX_ID, description=_RESUME)]
_STREAM: Final = {
    200: ResponseSpec(
        str, media_type=MEDIA_TYPE, description="Messages as they happen, without an end", generate_examples=False
    )
}
Depth = Annotated[int, QueryParameter(ge=0, le=32, description="Levels below the execution.")]
Nodes = Annotated[int, QueryParameter(ge=1, le=1_000, description="Executions at most, this one included.")]


@get(
    "/executions/{execution_id:str}/follow",
    media_type=MEDIA_TYPE,
    responses=PROBLEMS | _STREAM,
    summary="Follow an execution",
)
async def follow(
    request: ApiRequest,
    execution_id: Id,
    logs: FromQuery[bool] = False,
    children: FromQuery[bool] = False,
    after: After = None,
    last_event_id: LastEventId = None,
) -> EventStream:
    """Tell what has happened to an execution and what happens, until it has finished.

    Messages: `event`, `response`, `log` as in the pages of that name, each once; `state`, `child` and `finished` with
    the newest state of the execution and of what descends from it, told again to a client that comes back. Without an
    id to go on after, the stream begins with the first event.
    """
    live, known = services_of(request).live, parse_execution_id(execution_id)
    given = [parse_position(text) for text in (last_event_id, after) if text]
    wish = Wish(known, given[0] if given else Position(), logs, children)
    return EventStream(live.streams, partial(live.following.follow, wish))


@get("/follow", media_type=MEDIA_TYPE, responses=PROBLEMS | _STREAM, summary="Follow the daemon")
async def follow_daemon(
    request: ApiRequest,
    executions: Annotated[Executions, QueryParameter(description="Of which executions changes are told.")] = "all",
    after: After = None,
    last_event_id: LastEventId = None,
) -> EventStream:
    """Tell what happens in the daemon, for ever.

    Messages: `execution`, what an execution has become, the newest of each tenth of a second; `load`, once a second
    while something happens; `generation`, `manifest`, `drift`. A client that begins is told how all that stands; one
    that comes back too late, or to another process, gets a `reset` before that: it has to read the executions anew.
    One that reads too slowly is told `lost`, and the stream ends.
    """
    live = services_of(request).live
    return EventStream(live.streams, partial(live.daemon.listen, Asked(executions, last_event_id or after)))


@get("/executions/{execution_id:str}/tree", responses=PROBLEMS, summary="Show what is below an execution")
async def tree(request: ApiRequest, execution_id: Id, depth: Depth = 3, limit: Nodes = 200) -> TreeDocument:
    """Give an execution in short and its descendants, level by level up to a limit.

    `more` is true of one with children that are left out: those whose ids come last.
    """
    found = await services_of(request).reader.tree(parse_execution_id(execution_id), depth, limit)
    return nested(found)


ROUTES: Final = (follow, follow_daemon, tree)
