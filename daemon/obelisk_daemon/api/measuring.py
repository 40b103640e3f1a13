"""Counts and times the requests of the API."""

from collections.abc import Callable
from typing import Final

from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from obelisk_daemon.metrics import ApiMetrics

_METHODS: Final = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))
_STREAM: Final = b"text/event-stream"


class Measuring:
    """Stands before everything else. What a client chooses is no label: no path, no method of its own."""

    def __init__(self, app: ASGIApp, metrics: ApiMetrics, monotonic: Callable[[], float]) -> None:
        self._app = app
        self._metrics = metrics
        self._monotonic = monotonic
        self._open = self._streams = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and note what came of it."""
        if scope["type"] != ScopeType.HTTP:
            await self._app(scope, receive, send)
            return
        answer = _Answer(self, send)
        began = self._monotonic()
        self._note_open(+1)
        try:
            await self._app(scope, receive, answer)
        finally:
            self._note_open(-1)
            self._count(scope, answer, self._monotonic() - began)

    def _count(self, scope: Scope, answer: "_Answer", seconds: float) -> None:
        asked = str(scope.get("method"))
        method = asked if asked in _METHODS else "other"
        route = scope.get("path_template", "")
        self._metrics.requests.inc(method, route, str(answer.status) if answer.status else "none")
        if answer.is_stream:
            self.note_stream(-1)
        elif b"wait=" not in scope["query_string"]:
            self._metrics.seconds.observe(seconds, method, route)

    def _note_open(self, more: int) -> None:
        self._open += more
        self._metrics.open.set(self._open)

    def note_stream(self, more: int) -> None:
        """Count event streams under way."""
        self._streams += more
        self._metrics.streams.set(self._streams)


class _Answer:
    """Sends an answer on, and looks at its head."""

    def __init__(self, measuring: Measuring, send: Send) -> None:
        self._measuring = measuring
        self._send = send
        self.status = 0
        """0 of a request whose client went before there was an answer."""
        self.is_stream = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            types = [value for name, value in message["headers"] if name.lower() == b"content-type"]
            if types and types[0].startswith(_STREAM):
                self.is_stream = True
                self._measuring.note_stream(+1)
        await self._send(message)
