"""Notes who changes what: before it is carried out, and what came of it before the client is answered."""

import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

import msgspec
from litestar import Request
from litestar.handlers import BaseRouteHandler
from litestar.types import Message, Receive, Scope, Send

from obelisk_daemon.api.identity import Anonymous, Identity
from obelisk_daemon.clock import Clock
from obelisk_daemon.errors import ObeliskError
from obelisk_daemon.storage.audit import AuditEntry, AuditLog, AuditOutcome

_LOG: Final = logging.getLogger(__name__)
_WINDOW: Final = 60.0
_MOST_REFUSALS: Final = 60
_LONGEST: Final = 200
"""Characters that are kept of one text."""
_LONGEST_PARAMS: Final = 2_000
_LARGEST_BODY: Final = 64 << 10
"""Bytes that are looked at for what is told of them."""


class _Told(msgspec.Struct, frozen=True):
    """What an answer says of itself: a problem its code, a verdict its outcome."""

    code: str = ""
    outcome: str = ""


class Refusals:
    """Which refusals are kept: each kind once a minute, and sixty in all, so that nobody fills the disk with them."""

    def __init__(self) -> None:
        self._began = -_WINDOW
        self._seen: set[tuple[str, ...]] = set()
        self._left_out = 0

    def admit(self, kind: tuple[str, ...], now: float) -> int | None:
        """Say whether one is kept, and if so how many were left out before; `now` is in seconds."""
        if now - self._began >= _WINDOW:
            self._began = now
            self._seen.clear()
        if kind in self._seen or len(self._seen) >= _MOST_REFUSALS:
            self._left_out += 1
            return None
        self._seen.add(kind)
        left_out, self._left_out = self._left_out, 0
        return left_out


class Audit:
    """Keeps the audit log."""

    def __init__(self, log: AuditLog, clock: Clock) -> None:
        self.log = log
        self._clock = clock
        self._refusals = Refusals()

    @asynccontextmanager
    async def carrying_out(self, scope: Scope, receive: Receive, send: Send, who: Identity) -> AsyncIterator[Send]:
        """Note a request and then, before the end of its answer goes out by what is given, what came of it.

        Raises:
            StorageUnavailableError: it can't be noted, so it must not be carried out.
        """
        params = await _params(scope, receive, send)
        audit_id = await self.log.audit_begin(self._entry(scope, who, params))
        status = 0

        async def told(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            elif message["type"] == "http.response.body" and not message.get("more_body"):
                code = _code(status, message["body"], scope["route_handler"])
                await self._complete(audit_id, AuditOutcome(self._clock.now(), status, code))
            await send(message)

        yield told

    async def refused(self, scope: Scope, who: Identity | Anonymous, status: int, code: str) -> None:
        """Note a request that is refused, unless there were many."""
        name = who.name if isinstance(who, Identity) else "anonymous"
        kind = (name, who.peer, scope["route_handler"].handler_name, code)
        left_out = self._refusals.admit(kind, self._clock.monotonic())
        if left_out is None:
            return
        outcome = AuditOutcome(self._clock.now(), status, code)
        try:
            await self.log.audit_refused(self._entry(scope, who, "{}"), outcome, left_out)
        except ObeliskError as error:
            _LOG.error("a refusal is not in the audit log: %s", error)

    async def _complete(self, audit_id: int, outcome: AuditOutcome) -> None:
        try:
            await self.log.audit_end(audit_id, outcome)
        except ObeliskError as error:  # it was carried out, and the client should know
            _LOG.error("the audit log has no outcome of %d: %s", audit_id, error)

    def _entry(self, scope: Scope, who: Identity | Anonymous, params: str) -> AuditEntry:
        actor, role = (who.name, who.role) if isinstance(who, Identity) else ("anonymous", "")
        named = next(iter(scope["path_params"].values()), None)
        return AuditEntry(
            at=self._clock.now(),
            actor=actor,
            peer=who.peer,
            role=role,
            action=scope["route_handler"].handler_name,
            subject=_short(scope["path_template"] if named is None else str(named)),
            params=params,
        )


async def _params(scope: Scope, receive: Receive, send: Send) -> str:
    """Give what the route lets be told of its body: `opt["noted"]` has the keys. What is no JSON is refused later."""
    noted: tuple[str, ...] = scope["route_handler"].opt.get("noted", ())
    if not noted:
        return "{}"
    body = await Request[Any, Any, Any](scope, receive, send).body()
    try:
        given = msgspec.json.decode(body) if 0 < len(body) <= _LARGEST_BODY else None
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        given = None
    if not isinstance(given, Mapping):
        return "{}"
    kept = {key: _shown(given[key]) for key in noted if key in given}
    text = msgspec.json.encode(kept).decode()
    return text if len(text) <= _LONGEST_PARAMS else "{}"


def _shown(value: object) -> object:
    match value:
        case str():
            return _short(value)
        case list() | dict():
            return _short(msgspec.json.encode(value).decode())
        case _:
            return value


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def _code(status: int, body: bytes, handler: BaseRouteHandler) -> str:
    """Read the code of a problem; of what the route says has one, the verdict."""
    if status < 400 and not handler.opt.get("verdict"):
        return ""
    try:
        told = msgspec.json.decode(body, type=_Told)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ""
    return told.code if status >= 400 else told.outcome
