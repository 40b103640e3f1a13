"""What comes before every request: who asks, from which page, and the headers that every answer has."""

from ipaddress import ip_address
from typing import Final

import msgspec
from litestar.enums import ScopeType
from litestar.types import ASGIApp, HTTPResponseBodyEvent, HTTPResponseStartEvent, Message, Receive, Scope, Send

from obelisk_daemon.api.connection import ARRIVAL, Arrival
from obelisk_daemon.api.identity import OPEN_NAME, Access, Anonymous, Identity
from obelisk_daemon.api.listeners import UnixListener
from obelisk_daemon.api.problems import MEDIA_TYPE, Problem, problem

IDENTITY: Final = "identity"
"""Where in the state of a request an `Identity`, or an `Anonymous`, is."""
_ANSWER: Final = ((b"content-type", MEDIA_TYPE.encode()),)
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS: Final = (
    (b"content-security-policy", _POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
)
"""What an answer has unless it says otherwise itself."""


class AccessCheck:
    """Stands before the application.

    A page that a browser loaded from elsewhere can reach a loopback port, also under a name of its own that
    resolves to 127.0.0.1. So the Host must be a loopback name, and an Origin must be the daemon itself.
    """

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app = app
        self._access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on with who sent it, or answer 403."""
        if scope["type"] != ScopeType.HTTP:
            await self._app(scope, receive, send)
            return
        told = _with_headers(send)
        arrival = scope["state"][ARRIVAL]
        refusal = refused(scope, arrival)
        if refusal is None:
            scope["state"][IDENTITY] = identify(scope, arrival, self._access)
            await self._app(scope, receive, told)
            return
        await told(HTTPResponseStartEvent(type="http.response.start", status=refusal.status, headers=_ANSWER))
        body = msgspec.json.encode(refusal)
        await told(HTTPResponseBodyEvent(type="http.response.body", body=body, more_body=False))


def identify(scope: Scope, arrival: Arrival, access: Access) -> Identity | Anonymous:
    """Find out who asks. Who could open the unix socket may do everything, whatever else the request says."""
    if isinstance(arrival.listener, UnixListener):
        return Identity(f"unix:uid={arrival.uid}", "admin")
    client = scope.get("client")
    peer = "" if client is None else client[0]
    credentials = _values(scope, b"authorization")
    if not credentials and access.is_open and ip_address(arrival.listener.host).is_loopback:
        return Identity(OPEN_NAME, "admin", peer)
    return access.bearer(credentials, peer)


def refused(scope: Scope, arrival: Arrival) -> Problem | None:
    """Say why a request is refused whoever sent it, or None."""
    hosts, origins = _values(scope, b"host"), _values(scope, b"origin")
    host = hosts[0] if len(hosts) == 1 else ""
    if not isinstance(arrival.listener, UnixListener) and not is_loopback_host(host):
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


def _values(scope: Scope, wanted: bytes) -> list[str]:
    return [value.decode("latin-1") for name, value in scope["headers"] if name == wanted]


def _with_headers(send: Send) -> Send:
    async def told(message: Message) -> None:
        if message["type"] == "http.response.start":
            given = list(message.get("headers", ()))
            has = {name.lower() for name, _ in given}
            message["headers"] = [*given, *(one for one in _HEADERS if one[0] not in has)]
        await send(message)

    return told
