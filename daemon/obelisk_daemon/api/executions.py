"""`/v1/executions`: submit, list, show, and the result."""

from typing import Any, Final, TypeAlias

from litestar import Response, get, post, put
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import JSONBody
from litestar.types import Receive

from obelisk_daemon.api import describing
from obelisk_daemon.api.documents import (
    ExecutionDocument,
    ExecutionList,
    FailureDocument,
    Submission,
    UnfinishedDocument,
)
from obelisk_daemon.api.filters import CHOSEN
from obelisk_daemon.api.polling import poll
from obelisk_daemon.api.problems import PROBLEMS
from obelisk_daemon.api.rendering import result_json
from obelisk_daemon.api.requests import ApiRequest, Id, Wait, cursor_of, services_of
from obelisk_daemon.api.services import Services
from obelisk_daemon.api.showing import shown
from obelisk_daemon.api.submission import submit
from obelisk_daemon.ids import ExecutionId, FailureId, parse_execution_id, parse_submitted_id
from obelisk_daemon.storage.records import ListFilter, Summary

_SAME: Final = {
    200: ResponseSpec(ExecutionDocument, description="The same call is there already", generate_examples=False)
}
_Answer: TypeAlias = tuple[int, dict[str, Any]]
"""A status, and the document of the answer."""
_LONGEST_CHAIN: Final = 33
"""A failure and 32 causes: workflows are nested no deeper."""
_NOT_YET: Final = {
    202: ResponseSpec(UnfinishedDocument, description="Not finished within `wait`", generate_examples=False)
}


@put(
    "/executions/{execution_id:str}",
    status_code=201,
    responses=PROBLEMS | _SAME,
    opt={"role": "operate", "audited": False},
    summary="Submit under an id of yours",
)
async def submit_as(request: ApiRequest, execution_id: Id, data: JSONBody[Submission]) -> Response[ExecutionDocument]:
    """Submit a call: 201 when it is new, 200 with its current state when it is there already, 409 on another call."""
    status, document = await submitted(services_of(request), parse_submitted_id(execution_id), data)
    return Response(document, status_code=status)


@post(
    "/executions",
    status_code=201,
    responses=PROBLEMS,
    opt={"role": "operate", "audited": False},
    summary="Submit; the daemon makes the id",
)
async def submit_new(request: ApiRequest, data: JSONBody[Submission]) -> Response[ExecutionDocument]:
    """Submit a call. A client that may try again makes the id itself, and uses PUT."""
    services = services_of(request)
    status, document = await submitted(services, services.ids.execution(), data)
    return Response(document, status_code=status)


@get(
    "/executions",
    responses=PROBLEMS,
    summary="List executions, newest first",
    dependencies=CHOSEN,
)
async def list_executions(request: ApiRequest, chosen: NamedDependency[ListFilter]) -> ExecutionList:
    """Give one page."""
    services = services_of(request)
    found = await services.reader.summaries(chosen)
    catalog = services.catalog()
    return ExecutionList([describing.execution(row, catalog) for row in found.rows], cursor_of(found.next))


@get("/executions/{execution_id:str}", responses=PROBLEMS, summary="Show an execution")
async def show(request: ApiRequest, execution_id: Id) -> ExecutionDocument:
    """Give one execution with its result, or with why it failed or is paused."""
    return await shown(services_of(request), parse_execution_id(execution_id))


@get("/executions/{execution_id:str}/result", responses=PROBLEMS | _NOT_YET, summary="Get the result")
async def result(request: ApiRequest, execution_id: Id, wait: Wait = 0.0) -> Response[dict[str, Any]]:
    """Answer 200 with the result, or 202 when there is none after `wait` seconds."""
    known = parse_execution_id(execution_id)
    status, document = await result_of(services_of(request), known, wait, request.receive)
    return Response(document, status_code=status)


@get("/failures/{failure_id:str}", responses=PROBLEMS, summary="Show a failure in full")
async def failure(request: ApiRequest, failure_id: Id) -> FailureDocument:
    """Give a recorded failure with its backtrace, the attempt's HTTP requests, and what caused it."""
    chain = await services_of(request).reader.failure_chain(FailureId(failure_id), _LONGEST_CHAIN)
    return describing.failure_chain(chain)


async def submitted(services: Services, execution_id: ExecutionId, wanted: Submission) -> tuple[int, ExecutionDocument]:
    """Submit a call; give the status and the document of the answer."""
    made = await submit(services, execution_id, wanted)
    return (201, made) if made is not None else (200, await shown(services, execution_id))


async def result_of(services: Services, execution_id: ExecutionId, wait: float, receive: Receive) -> _Answer:
    """Wait for a result, as long as the client does; give the status and the document of the answer."""

    async def read() -> tuple[_Answer | None, bool]:
        outcome = services.watcher.outcome(execution_id)
        if outcome is not None:
            return (200, result_json(outcome)), True
        if services.engine.holds(execution_id):  # its end will be published: there is nothing to read before
            return None, False
        summary = await services.reader.summary(execution_id)
        return _answer_of(summary), summary.outcome is not None

    answer = await poll(receive, services.watcher, (execution_id, "finished"), wait, read)
    return answer or _answer_of(await services.reader.summary(execution_id))


def _answer_of(summary: Summary) -> _Answer:
    if summary.outcome is not None:
        return 200, result_json(summary.outcome)
    return 202, {"execution_id": summary.execution_id, "state": summary.status, "lifecycle": summary.lifecycle}


ROUTES: Final = (submit_as, submit_new, list_executions, show, result, failure)
