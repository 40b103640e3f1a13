"""Who may talk to the API: on TCP only whoever means this machine, and no web page of anybody else."""

from ipaddress import ip_address
from typing import Final

import msgspec
from litestar.enums import ScopeType
from litestar.types import ASGIApp, HTTPResponseBodyEvent, HTTPResponseStartEvent, Receive, Scope, Send

from obelisk_daemon.api.problems import MEDIA_TYPE, Problem, problem

_HEADERS: Final = ((b"content-type", MEDIA_TYPE.encode()),)


class AccessCheck:
    """Stands before the application.

    A page that a browser loaded from elsewhere can reach a loopback port, also under a name of its own that
    resolves to 127.0.0.1. So the Host must be a loopback name, and an Origin must be the daemon itself.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer 403."""
        refusal = None if scope["type"] != ScopeType.HTTP else refused(scope)
        if refusal is None:
            await self._app(scope, receive, send)
            return
        await send(HTTPResponseStartEvent(type="http.response.start", status=refusal.status, headers=_HEADERS))
        body = msgspec.json.encode(refusal)
        await send(HTTPResponseBodyEvent(type="http.response.body", body=body, more_body=False))


def refused(scope: Scope) -> Problem | None:
    """Say why a request is refused, or None."""
    hosts = [value.decode("latin-1") for name, value in scope["headers"] if name == b"host"]
    origins = [value.decode("latin-1") for name, value in scope["headers"] if name == b"origin"]
    host = hosts[0] if len(hosts) == 1 else ""
    if _is_tcp(scope) and not is_loopback_host(host):
        return problem(403, "foreign_host", f"the Host header {host[:100]!r} does not name this machine's loopback")
    if any(origin != f"http://{host}" for origin in origins):
        return problem(403, "foreign_origin", "requests from web pages of another origin are refused")
    return None


def is_loopback_host(host: str) -> bool:
    """Tell whether a Host header names the loopback: `localhost`, `127.x.x.x` or `[::1]`, with or without a port."""
    name = host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
    if name.lower() == "localhost":
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False


def _is_tcp(scope: Scope) -> bool:
    """Tell a TCP listener, which has a port, from a unix socket, which has none."""
    server = scope.get("server")
    return server is not None and server[1] is not None
