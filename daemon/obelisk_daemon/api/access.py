"""What comes before every request: who asks, from which page, and the headers that every answer has."""

from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_address
from typing import Final

import msgspec
from litestar.enums import ScopeType
from litestar.types import ASGIApp, HTTPResponseBodyEvent, HTTPResponseStartEvent, Message, Receive, Scope, Send

from obelisk_daemon.api.connection import ARRIVAL, Arrival, Connection
from obelisk_daemon.api.identity import OPEN_NAME, Access, Anonymous, Identity
from obelisk_daemon.api.listeners import TcpListener, UnixListener
from obelisk_daemon.api.peers import client_behind, is_from, plain
from obelisk_daemon.api.problems import MEDIA_TYPE, Problem, problem

IDENTITY: Final = "identity"
"""Where in the state of a request an `Identity`, or an `Anonymous`, is."""
_MAX_HEADERS: Final = 100
_MAX_TARGET: Final = 8 << 10
"""Bytes."""
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


class _Asking:
    """A request under way. One that is ending and the next one may share a connection, so each is told from others."""

    def __init__(self, connection: Connection, identity: Identity) -> None:
        self.connection = connection
        self.identity = identity


class AccessCheck:
    """Stands before the application.

    A page that a browser loaded from elsewhere can reach a loopback port, also under a name of its own that
    resolves to 127.0.0.1. So the Host must be one of the daemon's, and an Origin must be the daemon itself.
    """

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app = app
        self._access = access
        self._asking: set[_Asking] = set()

    def recheck(self) -> None:
        """End what is under way for somebody who is known no more: a token may go or expire while a stream is read."""
        for asking in list(self._asking):
            if not self._access.holds(asking.identity):
                asking.connection.end()

    @contextmanager
    def _under_way(self, arrival: Arrival, identity: Identity | Anonymous) -> Iterator[None]:
        if arrival.connection is None or isinstance(identity, Anonymous):
            yield
            return
        asking = _Asking(arrival.connection, identity)
        self._asking.add(asking)
        try:
            yield
        finally:
            self._asking.discard(asking)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on with who sent it, or answer 403."""
        if scope["type"] != ScopeType.HTTP:
            await self._app(scope, receive, send)
            return
        told = _with_headers(send)
        arrival = scope["state"][ARRIVAL]
        refusal = refused(scope, arrival)
        if refusal is None:
            identity = scope["state"][IDENTITY] = identify(scope, arrival, self._access)
            with self._under_way(arrival, identity):
                await self._app(scope, receive, told)
            return
        await told(HTTPResponseStartEvent(type="http.response.start", status=refusal.status, headers=_ANSWER))
        body = msgspec.json.encode(refusal)
        await told(HTTPResponseBodyEvent(type="http.response.body", body=body, more_body=False))


def identify(scope: Scope, arrival: Arrival, access: Access) -> Identity | Anonymous:
    """Find out who asks. Who could open the unix socket may do everything, whatever else the request says."""
    listener = arrival.listener
    if isinstance(listener, UnixListener):
        return Identity(f"unix:uid={arrival.uid}", "admin")
    peer = _peer(scope)
    if listener.proxies:
        peer = client_behind(peer, _values(scope, b"x-forwarded-for"), listener.proxies)
    credentials = _values(scope, b"authorization")
    if not credentials and access.is_open and listener.is_loopback and not listener.proxies:
        return Identity(OPEN_NAME, "admin", peer)
    return access.bearer(credentials, peer)


def refused(scope: Scope, arrival: Arrival) -> Problem | None:
    """Say why a request is refused whoever sent it, or None."""
    if sum(1 for _ in scope["headers"]) > _MAX_HEADERS:
        return problem(431, "too_many_headers", f"a request has at most {_MAX_HEADERS} headers")
    if len(scope["raw_path"]) + len(scope["query_string"]) > _MAX_TARGET:
        return problem(414, "target_too_long", f"a path and its query have at most {_MAX_TARGET} bytes")
    listener = arrival.listener
    hosts, origins = _values(scope, b"host"), _values(scope, b"origin")
    host = hosts[0] if len(hosts) == 1 else ""
    scheme = "http"
    if isinstance(listener, TcpListener):
        if listener.proxies and not is_from(ip_address(_peer(scope)), listener.proxies):
            return problem(403, "foreign_peer", "only the trusted proxies of this listener may ask here")
        if not is_own_host(host, listener, (scope.get("server") or ("", 0))[0]):
            return problem(403, "foreign_host", f"the Host header {host[:100]!r} does not name this daemon")
        scheme = _scheme(scope, listener)
    if any(origin != f"{scheme}://{host}" for origin in origins):
        return problem(403, "foreign_origin", "requests from web pages of another origin are refused")
    return None


def is_own_host(host: str, listener: TcpListener, local: str) -> bool:
    """Tell whether a Host header, with or without a port, names the daemon: by `hosts`, or by the address it came to.

    Of one that came to the loopback, any name of the loopback will do.
    """
    name = _name(host)
    if name in listener.hosts:
        return True
    try:
        came_to = ip_address(plain(local))
        named = ip_address("127.0.0.1" if name == "localhost" else name)
    except ValueError:
        return False
    return named == came_to or (named.is_loopback and came_to.is_loopback)


def _name(host: str) -> str:
    """Give a host without its port, as it is compared: an IPv6 address without its brackets."""
    if host.startswith("["):
        name, bracket, port = host[1:].partition("]")
        return name if bracket and (not port or port[0] == ":") and ":" in name else ""
    return host.partition(":")[0].lower().removesuffix(".")


def _scheme(scope: Scope, listener: TcpListener) -> str:
    """Tell how the client came. A proxy that does not say was reached by https: that is what it is for."""
    if not listener.proxies:
        return "http" if listener.tls is None else "https"
    said = _values(scope, b"x-forwarded-proto")
    return "http" if said and said[-1].rpartition(",")[2].strip().lower() == "http" else "https"


def _peer(scope: Scope) -> str:
    client = scope.get("client")
    assert client is not None, "TCP has addresses"
    return plain(client[0])


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
