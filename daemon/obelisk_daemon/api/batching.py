"""`/v1/executions/batch`: many calls submitted in one request, and written together."""

from typing import Annotated, Final

import msgspec
from litestar import post
from litestar.params import JSONBody

from obelisk_daemon.api.documents import RefusedDocument, Submission
from obelisk_daemon.api.problems import PROBLEMS
from obelisk_daemon.api.requests import ApiRequest, services_of
from obelisk_daemon.api.services import NewCall, Services
from obelisk_daemon.api.submission import call_of, submit
from obelisk_daemon.errors import CallerError, QueueFullError
from obelisk_daemon.ids import parse_submitted_id

MAX_CALLS: Final = 1_000


class NamedSubmission(Submission, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A call to make, under an id of yours."""

    execution_id: str


class Batch(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Calls to make, in this order."""

    executions: Annotated[list[NamedSubmission], msgspec.Meta(min_length=1, max_length=MAX_CALLS)]


class BatchDocument(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the calls: how many are new, how many were there already, and which were refused."""

    created: int
    unchanged: int
    refused: list[RefusedDocument]


@post(
    "/executions/batch",
    status_code=200,
    responses=PROBLEMS,
    opt={"role": "operate", "audited": False},
    summary="Submit many under ids of yours",
)
async def submit_batch(request: ApiRequest, data: JSONBody[Batch]) -> BatchDocument:
    """Submit each call as if alone: one that is refused stops no other one. Sending it all again does no harm."""
    return await submitted(services_of(request), data)


async def submitted(services: Services, batch: Batch) -> BatchDocument:
    """Submit the calls, and tell what became of them."""
    done = await _submitted(services, batch.executions)
    return BatchDocument(
        created=sum(one is True for one in done),
        unchanged=sum(one is False for one in done),
        refused=[one for one in done if isinstance(one, RefusedDocument)],
    )


async def _submitted(services: Services, wanted: list[NamedSubmission]) -> list[bool | RefusedDocument]:
    """Write together what can be read; what is refused then is submitted alone, which looks closer.

    It may be there already though it can't be made any more, or be the same call in other words.
    """
    calls = [_read(services, one) for one in wanted]
    written = iter(await services.engine.submit_many([call for call in calls if call is not None]))
    done = [None if call is None else next(written) for call in calls]
    return [
        outcome if isinstance(outcome, bool) else await _closer(services, one, outcome)
        for one, outcome in zip(wanted, done, strict=True)
    ]


def _read(services: Services, wanted: NamedSubmission) -> NewCall | None:
    try:
        return call_of(services.catalog(), parse_submitted_id(wanted.execution_id), wanted)
    except CallerError:
        return None


async def _closer(services: Services, wanted: NamedSubmission, refused: CallerError | None) -> bool | RefusedDocument:
    try:
        if isinstance(refused, QueueFullError):
            raise refused
        return await submit(services, parse_submitted_id(wanted.execution_id), wanted) is not None
    except CallerError as error:
        return RefusedDocument(wanted.execution_id, error.code, str(error))


ROUTES: Final = (submit_batch,)
