"""Streams to clients: how many there may be, how one ends, and how its bytes are sent.

A stream ends when its client has gone or reads too slowly, when the server stops, and when somebody who may says so.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing, contextmanager
from typing import Any, Final, TypeAlias

from litestar import Response
from litestar.types import ASGIApp, HTTPResponseBodyEvent, HTTPResponseStartEvent, Receive, Scope, Send

from obelisk_daemon.api.live.messages import OPENING
from obelisk_daemon.api.watch import OverloadedError

MEDIA_TYPE: Final = "text/event-stream"
MAX_STREAMS: Final = 200
"""Together with the long polls fewer than the server's connections."""
HEARTBEAT_SECONDS: Final = 15.0
PATIENCE_SECONDS: Final = 20.0
"""How long a client may take nothing of what is sent to it."""
_PARTING_SECONDS: Final = 0.5
_HEADERS: Final = (
    (b"content-type", MEDIA_TYPE.encode()),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
)


class Stream:
    """One client that listens. `scope` is that of its request."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self.ended = False
        self.patience: asyncio.Timeout | None = None
        """There while something is being sent."""
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """Tell that there is something new."""
        self._woken.set()

    def end(self) -> None:
        """End it for good, also while it waits for its client to read."""
        self.ended = True
        self._woken.set()
        if self.patience is not None:
            self.patience.reschedule(asyncio.get_running_loop().time() + _PARTING_SECONDS)

    async def wait(self, seconds: float) -> bool:
        """Wait to be woken; False when the time is over. Ask `ended` afterwards."""
        try:
            async with asyncio.timeout(seconds):
                await self._woken.wait()
        except TimeoutError:
            return False
        self._woken.clear()
        return True


Produce: TypeAlias = Callable[[Stream], AsyncIterator[bytes]]


class Streams:
    """All streams of the server."""

    def __init__(self, max_streams: int = MAX_STREAMS) -> None:
        self.abort: Callable[[Scope], None] = lambda _: None
        """Drops the connection of a request at once; the server says how."""
        self.is_welcome: Callable[[Scope], bool] = lambda _: True
        """Tells if whoever sent a request may still be answered; the server knows."""
        self._max_streams = max_streams
        self._open: set[Stream] = set()
        self._closed = False

    def __len__(self) -> int:
        return len(self._open)

    @contextmanager
    def open(self, scope: Scope) -> Iterator[Stream]:
        """Have a stream while the block runs.

        Raises:
            OverloadedError: `too_many_streams`.
        """
        if len(self._open) >= self._max_streams:
            message = f"{self._max_streams} clients follow already; try again later, or read without following"
            raise OverloadedError("too_many_streams", message)
        stream = Stream(scope)
        self._open.add(stream)
        if self._closed:
            stream.end()
        try:
            yield stream
        finally:
            self._open.discard(stream)

    def review(self) -> None:
        """End the streams of those who may not listen any more, say since their token was taken out."""
        self.end_where(lambda scope: not self.is_welcome(scope))

    def end_where(self, chosen: Callable[[Scope], bool]) -> int:
        """End the streams of some requests, say of a token that is valid no more; tell how many."""
        found = [stream for stream in self._open if chosen(stream.scope)]
        for stream in found:
            stream.end()
        return len(found)

    def close(self) -> None:
        """End every stream, and every one to come, at once: the server stops."""
        self._closed = True
        self.end_where(lambda _: True)


class EventStream(Response[str]):
    """A response without an end. What goes wrong before its first bytes is answered as with any other request."""

    def __init__(self, streams: Streams, produce: Produce) -> None:
        super().__init__("", media_type=MEDIA_TYPE)
        self._streams = streams
        self._produce = produce

    def to_asgi_response(self, *_: Any, **__: Any) -> ASGIApp:  # type: ignore[override]
        """Give what sends it."""
        return self._send_all

    async def _send_all(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._streams.open(scope) as stream:
            async with aclosing(self._produce(stream)) as chunks:  # type: ignore[type-var]
                first = await anext(chunks, b"")
                await send(HTTPResponseStartEvent(type="http.response.start", status=200, headers=_HEADERS))
                listener = asyncio.create_task(_end_with_client(receive, stream))
                try:
                    delivered = await _deliver(stream, send, OPENING + first)
                    while delivered and (chunk := await anext(chunks, None)) is not None:
                        if not self._streams.is_welcome(scope):  # a token has expired
                            break
                        delivered = await _deliver(stream, send, chunk)
                    if not delivered or not await _deliver(stream, send, b"", more=False):
                        await self._abort(scope)
                finally:
                    listener.cancel()
                    await asyncio.wait([listener])

    async def _abort(self, scope: Scope) -> None:
        """Drop the connection of a client that doesn't read: what is buffered for it would stay for ever."""
        self._streams.abort(scope)
        for _ in range(2):  # the transport tells the server of its end in the next turns of the loop
            await asyncio.sleep(0)


async def _deliver(stream: Stream, send: Send, chunk: bytes, *, more: bool = True) -> bool:
    """Send some bytes; False when the client doesn't take them."""
    try:
        async with asyncio.timeout(_PARTING_SECONDS if stream.ended else PATIENCE_SECONDS) as stream.patience:
            await send(HTTPResponseBodyEvent(type="http.response.body", body=chunk, more_body=more))
    except TimeoutError:
        return False
    finally:
        stream.patience = None
    return True


async def _end_with_client(receive: Receive, stream: Stream) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    stream.end()
