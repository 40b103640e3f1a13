"""`/v1/hosts`: what an operator asks of a host of this database, this daemon's or another one."""

from typing import Annotated, Final

import msgspec
from litestar import post
from litestar.params import PathParameter

from obelisk_daemon.api.problems import PROBLEMS
from obelisk_daemon.api.requests import MAX_NAME, ApiRequest, services_of

HostName = Annotated[str, PathParameter(max_length=MAX_NAME, description="The host, as `/v1/executors` names it.")]


class DrainDocument(msgspec.Struct, frozen=True):
    """Whether a host is to take no more work. It hears of it at its next heartbeat, a few seconds later."""

    host: str
    draining: bool


@post("/hosts/{host:str}/drain", status_code=200, responses=PROBLEMS, opt={"role": "operate"}, summary="Drain a host")
async def drain(request: ApiRequest, host: HostName) -> DrainDocument:
    """Have a host take no more work: what runs there ends, and workflows that wait go on elsewhere.

    It stays so when its daemon is started again, until it is undone.
    """
    await services_of(request).engine.set_draining(host, draining=True)
    return DrainDocument(host, draining=True)


@post(
    "/hosts/{host:str}/undrain",
    status_code=200,
    responses=PROBLEMS,
    opt={"role": "operate"},
    summary="Have a host work again",
)
async def undrain(request: ApiRequest, host: HostName) -> DrainDocument:
    """Have a host that drains take work again."""
    await services_of(request).engine.set_draining(host, draining=False)
    return DrainDocument(host, draining=False)


ROUTES: Final = (drain, undrain)
