"""Who may ask for what: each route says which role it needs, and a request without that role is refused."""

from typing import Final, Literal, TypeAlias

from litestar.handlers import BaseRouteHandler, HTTPRouteHandler
from litestar.types import ASGIApp, Receive, Scope, Send

from obelisk_config import Role
from obelisk_config.tokens import ROLES
from obelisk_daemon.api.access import IDENTITY
from obelisk_daemon.api.identity import Anonymous, Identity, required
from obelisk_daemon.errors import ForbiddenError

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
        """
        admit(who_asks(scope), needed(scope["route_handler"], scope["path_template"]))
        await self._app(scope, receive, send)


def who_asks(scope: Scope) -> Identity | Anonymous:
    """Give who sent a request, as it was found out when it came."""
    found = scope["state"].get(IDENTITY)
    return found if isinstance(found, Identity | Anonymous) else Anonymous("nobody looked who asks")


def admit(who: Identity | Anonymous, role: Needed) -> None:
    """Insist on a role.

    Raises:
        UnauthenticatedError: `unauthenticated`.
        ForbiddenError: `forbidden`.
    """
    if role == OPEN:
        return
    known = required(who)
    if ROLES.index(known.role) < ROLES.index(role):
        raise ForbiddenError("forbidden", f"this needs the role {role}, and {known.name} has the role {known.role}")


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
