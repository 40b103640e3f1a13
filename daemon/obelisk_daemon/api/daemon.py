"""`/v1/me`, `/v1/status`, `/v1/components`, `/v1/functions` and the probes."""

from typing import Final

from litestar import Response, get
from litestar.params import FromQuery

from obelisk_daemon.api import describing
from obelisk_daemon.api.documents import ComponentList, FunctionList, HealthDocument, IdentityDocument, StatusDocument
from obelisk_daemon.api.identity import required
from obelisk_daemon.api.problems import PROBLEMS, Problem, answer, problem
from obelisk_daemon.api.requests import ApiRequest, FunctionName, services_of
from obelisk_daemon.api.roles import who_asks


@get("/status", responses=PROBLEMS, summary="Describe the daemon")
async def status(request: ApiRequest) -> StatusDocument:
    """Give the daemon's version, generation and counts."""
    services = services_of(request)
    counts, pauses = await services.reader.counts(), await services.reader.automatic_pauses()
    return describing.status(services.engine.status(), counts, pauses, await services.manifest.file_state())


@get("/components", responses=PROBLEMS, summary="List the components")
async def components(request: ApiRequest) -> ComponentList:
    """Give the components of the active generation."""
    catalog = services_of(request).catalog()
    return ComponentList(catalog.generation, [describing.component(info) for info in catalog.components()])


@get("/functions", responses=PROBLEMS, summary="List the functions")
async def functions(request: ApiRequest, ffqn: FunctionName = None, types: FromQuery[bool] = False) -> FunctionList:
    """Give the functions of the active generation with their WIT types; with `types`, also these types in parts."""
    catalog = services_of(request).catalog()
    chosen = catalog.functions() if ffqn is None else [catalog.find(ffqn)]
    return FunctionList(catalog.generation, [describing.function(info, in_parts=types) for info in chosen])


@get("/healthz", responses=PROBLEMS, opt={"role": "open"}, summary="Tell that the daemon's loop turns")
async def healthz() -> HealthDocument:
    """Answer at once."""
    return HealthDocument("ok")


@get("/readyz", responses=PROBLEMS, summary="Tell whether the daemon takes work")
async def readyz(request: ApiRequest) -> Response[HealthDocument] | Response[Problem]:
    """Answer 200, or 503 with the reason."""
    reason = services_of(request).engine.status().not_ready
    if reason is not None:
        return answer(problem(503, "not_ready", reason))
    return Response(HealthDocument("ok"))


@get("/me", responses=PROBLEMS, summary="Tell who asks, and in which role")
async def me(request: ApiRequest) -> IdentityDocument:
    """Give the name and the role of the token, or of whoever opened the unix socket."""
    who = required(who_asks(request.scope))
    return IdentityDocument(who.name, who.role)


ROUTES: Final = (me, status, components, functions, healthz, readyz)
