"""The few routes that programs ask all the time, answered without the framework where a request is plain.

To find the route of a submission, to read it and to build its answer takes litestar longer than all else of it. So
the plain form of these requests is answered here, by the functions that litestar's handlers call, too. Whatever is not
plain goes on to litestar, which alone knows how to read and how to refuse it: another spelling of the path, a query, a
body of another type or with anything wrong, somebody without the role.
"""

import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, NamedTuple

import msgspec
from litestar.enums import ScopeType
from litestar.handlers import HTTPRouteHandler
from litestar.types import (
    ASGIApp,
    HTTPRequestEvent,
    HTTPResponseBodyEvent,
    HTTPResponseStartEvent,
    Receive,
    Scope,
    Send,
)

from obelisk_config.tokens import ROLES
from obelisk_daemon.api.identity import Identity
from obelisk_daemon.api.problems import answer_of
from obelisk_daemon.api.roles import is_audited, needed, who_asks
from obelisk_daemon.api.services import Services

_JSON: Final = b"application/json"
_HOST: Final = re.compile(rb"[0-9A-Za-z.:\[\]-]*")
_BODY: Final = 1 << 20
"""Bytes: what is longer is no matter of microseconds, and litestar knows the limit."""


class Asked(NamedTuple):
    """A plain request: what it names in its path and query, what its body says, and how its client is heard to go."""

    named: re.Match[str]
    body: Any
    receive: Receive


class Shortcut(NamedTuple):
    """How one route is answered. `target` is its path, with its query if it has one; `template` names it in metrics."""

    method: str
    target: re.Pattern[str]
    template: str
    handler: HTTPRouteHandler
    body: msgspec.json.Decoder[Any] | None
    answer: Callable[[Services, Asked], Awaitable[tuple[int, object]]]


class Shortcuts:
    """Stands before litestar."""

    def __init__(self, app: ASGIApp, services: Services, shortcuts: Sequence[Shortcut], max_body: int) -> None:
        assert not any(is_audited(one.handler) for one in shortcuts), "it is litestar's side that notes requests"
        self._app = app
        self._services = services
        self._longest = min(_BODY, max_body)
        self._shortcuts = tuple((one, _rank_for(one)) for one in shortcuts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or pass it on."""
        found = self._find(scope)
        if found is None:
            await self._app(scope, receive, send)
            return
        shortcut, named = found
        body = None
        if shortcut.body is not None:
            raw = await _whole(receive)
            if raw is None:
                return
            try:
                body = shortcut.body.decode(raw)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                await self._app(scope, _again(raw, receive), send)
                return
        scope["path_template"] = shortcut.template
        try:
            status, document = await shortcut.answer(self._services, Asked(named, body, receive))
            headers: Sequence[tuple[bytes, bytes]] = ((b"content-type", _JSON),)
            content = msgspec.json.encode(document)
        except Exception as error:  # noqa: BLE001 - the edge: every failure has its answer
            status, headers, content = answer_of(error)
        headers = [*headers, (b"content-length", b"%d" % len(content))]
        await send(HTTPResponseStartEvent(type="http.response.start", status=status, headers=headers))
        await send(HTTPResponseBodyEvent(type="http.response.body", body=content, more_body=False))

    def _find(self, scope: Scope) -> tuple[Shortcut, re.Match[str]] | None:
        if scope["type"] != ScopeType.HTTP or not self._is_plain(scope["headers"], has_body=scope["method"] != "GET"):
            return None
        target = scope["raw_path"].decode("latin-1")
        if scope["query_string"]:
            target = f"{target}?{scope['query_string'].decode('latin-1')}"
        for shortcut, rank in self._shortcuts:
            if scope["method"] == shortcut.method and (named := shortcut.target.fullmatch(target)) is not None:
                who = who_asks(scope)
                return (shortcut, named) if isinstance(who, Identity) and ROLES.index(who.role) >= rank else None
        return None

    def _is_plain(self, headers: Any, *, has_body: bool) -> bool:
        """Tell if a request has one plain host and, if it has a body, one of a known and modest length."""
        hosts = lengths = 0
        for name, value in headers:
            if name == b"host":
                hosts += 1
                if not _HOST.fullmatch(value):
                    return False
            elif name == b"content-length":
                lengths += 1
                if not value.isdigit() or not 0 < int(value) <= self._longest:
                    return False
            elif name == b"transfer-encoding":
                return False
        return (hosts, lengths) == (1, int(has_body))


def _rank_for(shortcut: Shortcut) -> int:
    role = needed(shortcut.handler, shortcut.template)
    assert role != "open", "who is let in is asked here"
    return ROLES.index(role)


async def _whole(receive: Receive) -> bytes | None:
    """Read a body to its end; None when its client has gone."""
    parts = b""
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return None
        parts = parts + message["body"] if parts else message["body"]
        if not message["more_body"]:
            return parts


def _again(body: bytes, receive: Receive) -> Receive:
    """Let a body be read once more."""
    left = [HTTPRequestEvent(type="http.request", body=body, more_body=False)]

    async def read() -> HTTPRequestEvent | Any:
        return left.pop() if left else await receive()

    return read
