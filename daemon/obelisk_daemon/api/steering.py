"""What an operator does to an execution: cancel, pause, resume, upgrade and retry it, or give a stub's its result."""

from typing import Any, Final

from litestar import Response, post
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import JSONBody

from obelisk_daemon.api.documents import (
    CancelDocument,
    CancelWish,
    ExecutionDocument,
    PauseDocument,
    RetryWish,
    UpgradeDocument,
    UpgradeWish,
)
from obelisk_daemon.api.problems import PROBLEMS
from obelisk_daemon.api.requests import ApiRequest, Id, services_of
from obelisk_daemon.api.services import FunctionInfo, Services
from obelisk_daemon.api.showing import shown
from obelisk_daemon.api.submission import retry
from obelisk_daemon.api.upgrading import upgrade as move
from obelisk_daemon.errors import ConflictError, NotFoundError
from obelisk_daemon.execution.projection import returned
from obelisk_daemon.execution.wit_json import result_from_json
from obelisk_daemon.ids import ExecutionId, parse_execution_id, parse_submitted_id

_THERE: Final = {200: ResponseSpec(ExecutionDocument, description="It is there already", generate_examples=False)}


@post(
    "/executions/{execution_id:str}/cancel",
    status_code=200,
    responses=PROBLEMS,
    opt={"role": "operate", "noted": ("force",)},
    summary="Cancel an execution",
)
async def cancel(request: ApiRequest, execution_id: Id, data: JSONBody[CancelWish | None] = None) -> CancelDocument:
    """Ask an execution and its children to end; asking again does no harm."""
    known, wish = parse_execution_id(execution_id), data or CancelWish()
    report = await services_of(request).engine.cancel(known, force=wish.force)
    return CancelDocument(
        execution_id=known,
        already_finished=report.already_finished,
        reached=report.reached,
        awaited=report.awaited,
    )


@post(
    "/executions/{execution_id:str}/pause",
    status_code=200,
    responses=PROBLEMS,
    opt={"role": "operate"},
    summary="Pause an execution",
)
async def pause(request: ApiRequest, execution_id: Id) -> PauseDocument:
    """Stop an execution until it is resumed. Responses are kept for it; an activity that runs is refused with 409."""
    services, known = services_of(request), parse_execution_id(execution_id)
    return await _paused(services, known, changed=await services.engine.pause(known))


@post(
    "/executions/{execution_id:str}/resume",
    status_code=200,
    responses=PROBLEMS,
    opt={"role": "operate"},
    summary="Resume an execution",
)
async def resume(request: ApiRequest, execution_id: Id) -> PauseDocument:
    """Lift a pause, also one that the daemon made because the execution could not go on."""
    services, known = services_of(request), parse_execution_id(execution_id)
    return await _paused(services, known, changed=await services.engine.resume(known))


@post(
    "/executions/{execution_id:str}/upgrade",
    status_code=200,
    responses=PROBLEMS,
    opt={"role": "operate", "noted": ("force",)},
    summary="Move a workflow to the current code",
)
async def upgrade(request: ApiRequest, execution_id: Id, data: JSONBody[UpgradeWish | None] = None) -> UpgradeDocument:
    """Replay the log on the current code of its function and, if that goes on with it, move the execution there.

    A divergence is refused with 409. With `force` it is moved unseen: if its log diverges, it is paused when it runs
    next. A pause that the daemon made is lifted.
    """
    wish = data or UpgradeWish()
    return await move(services_of(request), parse_execution_id(execution_id), force=wish.force)


@post(
    "/executions/{execution_id:str}/retry",
    status_code=201,
    responses=PROBLEMS | _THERE,
    opt={"role": "operate", "noted": ("execution_id",)},
    summary="Repeat a finished execution as a new one",
)
async def retry_finished(
    request: ApiRequest, execution_id: Id, data: JSONBody[RetryWish | None] = None
) -> Response[ExecutionDocument]:
    """Call the same function with the same parameters again, at the top level.

    A client that may try again makes the new id itself: it is answered 201 when that is new, 200 when it is there.
    """
    services, original = services_of(request), parse_execution_id(execution_id)
    wanted = None if data is None else data.execution_id
    known = services.ids.execution() if wanted is None else parse_submitted_id(wanted)
    new = await retry(services, original, known)
    return Response(await shown(services, known), status_code=201 if new else 200)


@post(
    "/executions/{execution_id:str}/stub",
    status_code=200,
    responses=PROBLEMS,
    opt={"role": "operate"},
    summary="Give a stub's execution its result",
)
async def finish_stub(request: ApiRequest, execution_id: Id, data: JSONBody[Any] = None) -> ExecutionDocument:
    """Finish an execution of a stub with the value that is the body, of the type that its function returns.

    The same value again is fine; another one is refused with 409.
    """
    services, known = services_of(request), parse_execution_id(execution_id)
    stub = await _stub(services, known)
    result = returned(stub.type, result_from_json(stub.type, data))
    match await services.engine.finish_stub(known, str(stub.ffqn), result):
        case "ok":
            return await shown(services, known)
        case "conflict":
            raise ConflictError("stub_conflict", f"{known} has ended with another result, or is being cancelled")
        case "execution_not_found":
            raise NotFoundError("execution_not_found", f"there is no execution {known}")


async def _stub(services: Services, execution_id: ExecutionId) -> FunctionInfo:
    """Find the function of a stub's execution.

    Raises:
        NotFoundError: `execution_not_found`.
        CallerError: `function_not_found`: the manifest has it no more, so its type is not known.
        ConflictError: `not_a_stub`.
    """
    summary = await services.reader.summary(execution_id)
    function = services.catalog().find(summary.ffqn)
    if function.kind != "stub":
        raise ConflictError(
            "not_a_stub", f"{execution_id} is of the {function.kind} {summary.ffqn}; only stubs are given their results"
        )
    return function


async def _paused(services: Services, execution_id: ExecutionId, *, changed: bool) -> PauseDocument:
    found = await services.reader.summary(execution_id)
    return PauseDocument(execution_id=execution_id, changed=changed, state=found.status, lifecycle=found.lifecycle)


ROUTES: Final = (cancel, pause, resume, upgrade, retry_finished, finish_stub)
