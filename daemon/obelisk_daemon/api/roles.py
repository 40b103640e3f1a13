"""Who may ask for what: each route says which role it needs, and a request without that role is refused."""

from typing import Final, Literal, TypeAlias

from litestar.handlers import BaseRouteHandler, HTTPRouteHandler
from litestar.types import ASGIApp, Receive, Scope, Send

from obelisk_config import Role
from obelisk_config.tokens import ROLES
from obelisk_daemon.api.access import IDENTITY
from obelisk_daemon.api.auditing import Audit
from obelisk_daemon.api.identity import Anonymous, Identity, required
from obelisk_daemon.api.problems import status_of
from obelisk_daemon.errors import ForbiddenError, UnauthenticatedError

OPEN: Final = "open"
"""The role of routes that anybody may ask: they tell nothing."""
Needed: TypeAlias = Role | Literal["open"]
_READING: Final = frozenset(("GET", "HEAD", "OPTIONS"))


class Gate:
    """Stands before every route, once it is known which one it is."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request pass whose sender has the role.

        Raises:
            UnauthenticatedError: `unauthenticated`.
            ForbiddenError: `forbidden`.
            StorageUnavailableError: it would change something, and that can't be noted.
        """
        handler, who = scope["route_handler"], who_asks(scope)
        audit: Audit = scope["litestar_app"].state.audit
        try:
            known = admit(who, needed(handler, scope["path_template"]))
        except (UnauthenticatedError, ForbiddenError) as error:
            if is_audited(handler) or (isinstance(who, Anonymous) and who.offered):
                await audit.refused(scope, who, status_of(error), error.code)
            raise
        if known is None or not is_audited(handler):
            await self._app(scope, receive, send)
            return
        async with audit.carrying_out(scope, receive, send, known) as told:
            await self._app(scope, receive, told)


def who_asks(scope: Scope) -> Identity | Anonymous:
    """Give who sent a request, as it was found out when it came."""
    found = scope["state"].get(IDENTITY)
    return found if isinstance(found, Identity | Anonymous) else Anonymous("nobody looked who asks")


def admit(who: Identity | Anonymous, role: Needed) -> Identity | None:
    """Insist on a role; give who has it, or None where none is needed.

    Raises:
        UnauthenticatedError: `unauthenticated`.
        ForbiddenError: `forbidden`.
    """
    if role == OPEN:
        return None
    known = required(who)
    if ROLES.index(known.role) < ROLES.index(role):
        raise ForbiddenError("forbidden", f"this needs the role {role}, and {known.name} has the role {known.role}")
    return known


def is_audited(handler: BaseRouteHandler) -> bool:
    """Say whether requests of a route are noted: those that change something, unless `opt["audited"]` is False."""
    changes = isinstance(handler, HTTPRouteHandler) and not handler.http_methods <= _READING
    return bool(handler.opt.get("audited", changes))


def needed(handler: BaseRouteHandler, path: str) -> Needed:
    """Give the role that a route needs: `opt["role"]`; without, reading needs `read`, and all else the most.

    The web pages hold no data, so anybody may have them: what they show they ask for with a token.
    """
    declared: Needed | None = handler.opt.get("role")
    if declared is not None:
        return declared
    assert isinstance(handler, HTTPRouteHandler)
    if not handler.http_methods <= _READING:
        return "admin"
    return OPEN if path == "/" or path == "/ui" or path.startswith("/ui/") else "read"
