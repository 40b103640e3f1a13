"""The `Allow` header: which methods a path has, as RFC 9110 wants it of a 405 and of OPTIONS.

litestar tells it of one route only, and not of a 405.
"""

import re
from typing import Final

from litestar import Litestar
from litestar.enums import ScopeType
from litestar.types import Message, Receive, Scope, Send

_PARAMETER: Final = re.compile(r"\{[^}]*\}")


class AllowedMethods:
    """Stands before the application."""

    def __init__(self, app: Litestar) -> None:
        self._app = app
        methods: dict[str, set[str]] = {}
        for route in app.routes:
            if route.scope_type == ScopeType.HTTP:
                methods.setdefault(route.path_format, set()).update(map(str, route.methods))
        self._methods: Final = [(_pattern(path), ", ".join(sorted(found))) for path, found in methods.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and complete the answer."""
        if scope["type"] != ScopeType.HTTP:
            await self._app(scope, receive, send)
            return
        path, is_options = scope["path"], scope["method"] == "OPTIONS"

        async def complete(message: Message) -> None:
            if message["type"] == "http.response.start" and (message["status"] == 405 or is_options):
                allowed = next((found for pattern, found in self._methods if pattern.fullmatch(path)), None)
                if allowed is not None:
                    kept = [header for header in message.get("headers", ()) if header[0].lower() != b"allow"]
                    message["headers"] = [*kept, (b"allow", allowed.encode())]
            await send(message)

        await self._app(scope, receive, complete)


def _pattern(path: str) -> re.Pattern[str]:
    return re.compile("[^/]+".join(map(re.escape, _PARAMETER.split(path))))
