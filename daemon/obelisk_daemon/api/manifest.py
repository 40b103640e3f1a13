"""`/v1/manifest`: what is active and was, what a change would do, and how it is made."""

from collections.abc import Iterator
from typing import Annotated, Final

from litestar import get, post
from litestar.params import JSONBody, PathParameter, QueryParameter

from obelisk_config.difference import Difference
from obelisk_daemon.api import manifest_documents as documents
from obelisk_daemon.api.manifest_documents import (
    GenerationList,
    GenerationManifest,
    ManifestDocument,
    ReloadWish,
    RollbackWish,
)
from obelisk_daemon.api.problems import PROBLEMS
from obelisk_daemon.api.requests import MAX_NAME, MAX_POSITION, ApiRequest, Limit, services_of
from obelisk_daemon.deployment.control import VerdictReport
from obelisk_daemon.deployment.impact import Leave
from obelisk_daemon.deployment.proposal import Wish
from obelisk_daemon.deployment.reports import PlanReport

_MAX_MANIFEST: Final = 8 << 20
"""Bytes; a manifest may have half of it, and says so with a place."""
Before = Annotated[int | None, QueryParameter(ge=1, le=MAX_POSITION, description="Only generations below this.")]
Number = Annotated[int, PathParameter(ge=0, le=MAX_POSITION, description="0 for the active one.")]
Flag = Annotated[bool, QueryParameter()]


@get("/manifest", responses=PROBLEMS, summary="Describe the active generation")
async def manifest_state(request: ApiRequest) -> ManifestDocument:
    """Give what is active, where the disk differs from it, and what became of the file last."""
    return documents.manifest(await services_of(request).manifest.state())


@get("/manifest/generations", responses=PROBLEMS, summary="List the generations, newest first")
async def generations(request: ApiRequest, before: Before = None, limit: Limit = 50) -> GenerationList:
    """Give one page."""
    services = services_of(request)
    found = await services.manifest.history(before, limit)
    following = found[-1].number if len(found) == limit and found[-1].number > 1 else None
    return GenerationList(services.catalog().generation, [documents.generation(row) for row in found], following)


@get("/manifest/generations/{number:int}", responses=PROBLEMS, summary="Show a generation with its manifest")
async def generation(request: ApiRequest, number: Number) -> GenerationManifest:
    """Give the manifest as it was accepted; of number 0, the active one."""
    return documents.generation_manifest(await services_of(request).manifest.show(number or None))


@get("/manifest/diff", responses=PROBLEMS, summary="Compare two generations")
async def manifest_diff(
    request: ApiRequest,
    before: Annotated[int, QueryParameter(name="from", ge=1, le=MAX_POSITION)],
    after: Annotated[int, QueryParameter(name="to", ge=1, le=MAX_POSITION)],
) -> Difference:
    """Give what changed from one to the other, key by key."""
    return await services_of(request).manifest.difference(before, after)


@post(
    "/manifest/plan",
    status_code=200,
    request_max_body_size=_MAX_MANIFEST,
    responses=PROBLEMS,
    opt={"role": "admin", "audited": False},
    summary="Tell what a manifest would change",
)
async def manifest_plan(
    request: ApiRequest,
    allow_remove: Flag = False,
    allow_break: Flag = False,
    name: Annotated[str | None, QueryParameter(max_length=MAX_NAME, description="What messages call the file.")] = None,
) -> PlanReport:
    """Check the manifest in the body, or the daemon's own file where that is empty; nothing is changed.

    Relative paths start at the directory of the daemon's own file.
    """
    source = await request.body()
    return await services_of(request).manifest.plan(source or None, _wish(allow_remove, allow_break), name)


@post(
    "/manifest/reload",
    status_code=200,
    responses=PROBLEMS,
    opt={"role": "admin", "noted": ("plan", "allow_remove", "allow_break"), "verdict": True},
    summary="Check the file, and activate it",
)
async def manifest_reload(request: ApiRequest, data: JSONBody[ReloadWish | None] = None) -> VerdictReport:
    """Wait for the verdict: `active`, `unchanged`, or `refused` with every reason. A refusal changes nothing."""
    wish = data or ReloadWish()
    return await services_of(request).manifest.reload(_wish(wish.allow_remove, wish.allow_break, wish.plan))


@post(
    "/manifest/rollback",
    status_code=200,
    responses=PROBLEMS,
    opt={"role": "admin", "noted": ("generation", "allow_remove", "allow_break"), "verdict": True},
    summary="Go back to an old generation",
)
async def manifest_rollback(request: ApiRequest, data: JSONBody[RollbackWish | None] = None) -> VerdictReport:
    """Make a new generation of an old one, with its manifest and its code as they were then."""
    wish = data or RollbackWish()
    return await services_of(request).manifest.roll_back(wish.generation, _wish(wish.allow_remove, wish.allow_break))


def _wish(allow_remove: bool, allow_break: bool, token: str | None = None) -> Wish:
    def leaves() -> Iterator[Leave]:
        if allow_remove:
            yield "remove"
        if allow_break:
            yield "break"

    return Wish(frozenset(leaves()), token)


ROUTES: Final = (
    manifest_state,
    generations,
    generation,
    manifest_diff,
    manifest_plan,
    manifest_reload,
    manifest_rollback,
)
