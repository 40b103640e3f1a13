"""`/v1/executions/bulk`: one action on all executions that fit a filter, some in each call."""

import asyncio
from typing import Final, Literal, TypeAlias

import msgspec
from litestar import post
from litestar.params import JSONBody

from obelisk_daemon.api.documents import RefusedDocument
from obelisk_daemon.api.filters import ExecutionFilter, list_filter
from obelisk_daemon.api.problems import PROBLEMS
from obelisk_daemon.api.requests import ApiRequest, cursor_of, place_of, services_of
from obelisk_daemon.api.services import Services
from obelisk_daemon.api.submission import retry
from obelisk_daemon.clock import Instant, to_rfc3339
from obelisk_daemon.errors import CallerError, ConflictError, NotFoundError, QueueFullError
from obelisk_daemon.ids import retry_id
from obelisk_daemon.storage.records import ListFilter, Summary

Action: TypeAlias = Literal["cancel", "pause", "resume", "retry"]
_CHANGED: Final = 100
"""On how many executions one call acts at most."""
_COUNTED: Final = 2_000
"""How many executions one call counts at most, when it only counts."""


class BulkWish(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to do to which executions. The filters are those of the list, and there must be one.

    `cancel`, `pause` and `resume` are for what is unfinished, `resume` for what is paused. `retry` is for what has
    finished, at the top level unless `parent` is given, and was created before `created_before`.
    """

    action: Action
    filter: ExecutionFilter
    dry_run: bool = False
    """Only count."""
    force: bool = False
    """To cancel also what may not be cancelled otherwise, all the way down."""
    cursor: str | None = None
    """The `next` of the call before."""


class BulkDocument(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one call did. With a `next` there may be more: call again with it, and with `as_of` as `created_before`."""

    matched: int
    changed: int
    unchanged: int
    refused: list[RefusedDocument]
    as_of: str
    """Only executions that were created before this instant were looked at."""
    next: str | None = None


@post(
    "/executions/bulk",
    status_code=200,
    responses=PROBLEMS,
    opt={"role": "operate", "noted": ("action", "filter", "dry_run", "force")},
    summary="Cancel, pause, resume or retry all that fit a filter",
)
async def bulk(request: ApiRequest, data: JSONBody[BulkWish]) -> BulkDocument:
    """Do some of it, and give where to go on.

    Calling again does no harm. A retry has an id that follows from what it repeats, so each execution is repeated once;
    what the retries make is not repeated in turn, since it was created after `created_before`.
    """
    services = services_of(request)
    chosen, as_of = _chosen(services, data)
    page = await services.reader.summaries(chosen)
    done = [] if data.dry_run else await asyncio.gather(*[_act(services, data, row) for row in page.rows])
    return BulkDocument(
        matched=len(page.rows),
        changed=sum(one is True for one in done),
        unchanged=sum(one is False for one in done),
        refused=[one for one in done if isinstance(one, RefusedDocument)],
        as_of=as_of,
        next=cursor_of(page.next),
    )


def _chosen(services: Services, wish: BulkWish) -> tuple[ListFilter, str]:
    """Read which executions are meant, and before when they were created.

    Raises:
        CallerError: `invalid_filter`, `invalid_cursor`.
    """
    if not any(msgspec.structs.astuple(wish.filter)):  # an empty value, of a variable not set, chooses nothing either
        raise CallerError("invalid_filter", "name at least one filter: without any, all executions would be meant")
    if wish.action == "retry" and not wish.dry_run and wish.filter.created_before is None:
        raise CallerError(
            "invalid_filter",
            "a retry needs created_before, so that what it makes is not retried when it is asked for again; "
            "a dry run gives it as `as_of`",
        )
    as_of = wish.filter.created_before
    if as_of is None:  # what has been created by now is in
        as_of = to_rfc3339(Instant(services.engine.status().now + 1))
    before = None if wish.cursor is None else place_of(wish.cursor)
    wanted = msgspec.structs.replace(wish.filter, created_before=as_of)
    chosen = list_filter(wanted, _COUNTED if wish.dry_run else _CHANGED, before)
    match wish.action:
        case "retry":
            top_level = chosen.top_level or chosen.parent is None
            chosen = msgspec.structs.replace(chosen, status=chosen.status or "finished", top_level=top_level)
        case "resume":
            chosen = msgspec.structs.replace(chosen, unfinished=True, lifecycle=chosen.lifecycle or "paused")
        case _:
            chosen = msgspec.structs.replace(chosen, unfinished=True)
    return chosen, as_of


async def _act(services: Services, wish: BulkWish, row: Summary) -> bool | RefusedDocument:
    """Act on one execution; False when there was nothing to do."""
    known, engine = row.execution_id, services.engine
    try:
        match wish.action:
            case "cancel":
                report = await engine.cancel(known, force=wish.force)
                return not report.already_finished and (wish.force or row.lifecycle != "cancelling")
            case "pause":
                return await engine.pause(known)
            case "resume":
                return await engine.resume(known)
            case "retry":
                return await retry(services, known, retry_id(known))
    except (CallerError, ConflictError, NotFoundError, QueueFullError) as error:
        return RefusedDocument(known, error.code, str(error))


ROUTES: Final = (bulk,)
