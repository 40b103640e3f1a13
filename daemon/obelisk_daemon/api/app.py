"""The ASGI application: routes, limits, errors and the OpenAPI document."""

import asyncio
from typing import Any, Final

from litestar import Litestar, Response, Router, get
from litestar.datastructures import State
from litestar.exceptions import HTTPException
from litestar.handlers import HTTPRouteHandler
from litestar.plugins.base import PluginProtocol
from litestar.plugins.core import MsgspecDIPlugin

from obelisk_daemon.api import audit as audit_routes
from obelisk_daemon.api import (
    batching,
    bulk,
    capacity,
    daemon,
    database,
    delays,
    executions,
    exposition,
    hosts,
    logs,
    manifest,
    past,
    replaying,
    steering,
    wit,
)
from obelisk_daemon.api.auditing import Audit
from obelisk_daemon.api.exactness import require_exact
from obelisk_daemon.api.live import routes as live
from obelisk_daemon.api.problems import on_bug, on_http_error, on_obelisk_error, on_too_deep
from obelisk_daemon.api.requests import ApiRequest
from obelisk_daemon.api.roles import Gate
from obelisk_daemon.api.services import Services
from obelisk_daemon.api.ui import route as ui
from obelisk_daemon.api.ui.files import read_files
from obelisk_daemon.api.why import route as why
from obelisk_daemon.errors import ObeliskError

DEFAULT_MAX_BODY: Final = 8 << 20
"""Bytes."""
_ROUTES: Final[list[HTTPRouteHandler]] = [
    *daemon.ROUTES,
    *capacity.ROUTES,
    *hosts.ROUTES,
    *batching.ROUTES,
    *bulk.ROUTES,
    *executions.ROUTES,
    *steering.ROUTES,
    *why.ROUTES,
    *delays.ROUTES,
    *logs.ROUTES,
    *live.ROUTES,
    *past.ROUTES,
    *wit.ROUTES,
    *replaying.ROUTES,
    *manifest.ROUTES,
    *database.ROUTES,
    *audit_routes.ROUTES,
]


class _App(Litestar):
    """Litestar without its plugins for pydantic, whose import would take a fifth of a second at every start."""

    @staticmethod
    def _get_default_plugins(plugins: list[PluginProtocol]) -> list[PluginProtocol]:
        return [*plugins, MsgspecDIPlugin()]


def make_app(services: Services, audit: Audit, max_body: int = DEFAULT_MAX_BODY) -> Litestar:
    """Make the application. `max_body` is in bytes; a longer body is refused with 413."""
    return _App(
        route_handlers=[
            Router("/v1", route_handlers=[*_ROUTES, openapi], before_request=require_exact),
            exposition.metrics,
            *ui.ROUTES,
        ],
        state=State(
            {"services": services, "audit": audit, "census": exposition.LastCensus(), "ui_files": read_files()}
        ),
        middleware=[Gate],
        request_max_body_size=max_body,
        exception_handlers={
            ObeliskError: on_obelisk_error,
            HTTPException: on_http_error,
            RecursionError: on_too_deep,
            Exception: on_bug,
        },
        openapi_config=None,
        logging_config=None,
    )


@get("/openapi.json", include_in_schema=False)
async def openapi(request: ApiRequest) -> Response[dict[str, Any]]:
    """Serve the OpenAPI document. It takes a while to make, so the first request for it has a thread do it."""
    state = request.app.state
    if "openapi" not in state:
        state.openapi = await asyncio.to_thread(openapi_document)
    return Response(state.openapi)


def openapi_document() -> dict[str, Any]:
    """Make the OpenAPI 3.1 document of all routes from their types."""
    from obelisk_daemon.api.openapi.document import configuration, make_document

    routes = [Router("/v1", route_handlers=_ROUTES)]
    return make_document(_App(route_handlers=routes, openapi_config=configuration(), logging_config=None))
