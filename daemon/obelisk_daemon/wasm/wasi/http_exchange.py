"""One request and its response, run by a single task that owns the connection from beginning to end.

The guest sees the exchange through handles: a future, then a response, a body, a stream. Dropping the one that it holds
cancels the task, and the task's own unwinding closes the connection; so there is no other place where one could leak.
"""

import asyncio
from datetime import timedelta

from obelisk_daemon.wasm.wasi.client import ClientRequest, Headers, HttpClient, Response
from obelisk_daemon.wasm.wasi.clocks import monotonic_ns
from obelisk_daemon.wasm.wasi.context import HttpTrace, WasiContext
from obelisk_daemon.wasm.wasi.error_codes import HttpFailure, without_quotes
from obelisk_daemon.wasm.wasi.http_body import RequestBody
from obelisk_daemon.wasm.wasi.http_fields import header_bytes
from obelisk_daemon.wasm.wasi.placeholders import Carried
from obelisk_daemon.wasm.wasi.streams import InputStream, StreamEndedError
from obelisk_daemon.wasm.wasi.tasks import Notice

_AHEAD = 128 * 1024
"""Bytes of a response that are read before the guest asks for them."""


class Exchange(InputStream):
    """A request under way, then its response; as an input stream, the response's body."""

    def __init__(
        self, wasi: WasiContext, request: ClientRequest, trace: HttpTrace, body: RequestBody | None, carried: Carried
    ) -> None:
        self._wasi = wasi
        self._request = request
        self._trace = trace
        self._request_body = body
        self._carried = carried
        self._masking = carried.masking()
        self._buffer = bytearray()
        self._over = False
        self._began_ns = 0
        self._failure: HttpFailure | None = None
        self._task: asyncio.Task[None] | None = None
        self.changed = Notice()
        self.status = 0
        """0 until the head of the response is there."""
        self.headers: Headers = []

    def start(self, client: HttpClient) -> None:
        """Begin; once."""
        self._began_ns = monotonic_ns(self._wasi)
        self._trace.was_sent = True
        self._trace.error = "dropped"
        self._trace.reason = "the guest dropped the request, or its attempt ended"
        if self._request_body is not None:
            self._request_body.begin()
        name = f"wasi http {self._request.method} {self._request.target.authority}"
        self._task = self._wasi.tasks.start(self._run(client), name)
        self._task.add_done_callback(self._ended)

    def drop(self) -> None:
        """End it: the guest, or what is left of it, wants no more of it."""
        if self._task is not None:
            self._task.cancel()

    def has_head(self) -> bool:
        """Tell whether the response's head is there, or there will be none."""
        return self.status != 0 or self._over

    def head_failure(self) -> HttpFailure | None:
        """Give why there is no response; None when there is one. Only once `has_head()`."""
        if self.status:
            return None
        self._raise_crash()
        return self._failure or HttpFailure("connection_terminated", "the request was cut off")

    def _raise_crash(self) -> None:
        """Let a fault of our own end the guest's run, rather than pass for one of the server."""
        if self._task is not None and self._task.done() and not self._task.cancelled():
            self._task.result()

    async def _run(self, client: HttpClient) -> None:
        try:
            await self._exchange(client)
            self._trace.error = self._trace.reason = None
        except HttpFailure as error:
            self._failure = failure = without_quotes(error) if self._carried.is_secret else error
            self._trace.error, self._trace.reason = failure.name, failure.reason

    def _ended(self, _task: asyncio.Task[None]) -> None:
        """Tell all that wait. Called for every end, also of a task that was cancelled before it began."""
        self._over = True
        self._trace.duration = timedelta(microseconds=(monotonic_ns(self._wasi) - self._began_ns) // 1_000)
        if self._request_body is not None:
            self._trace.request_bytes = self._request_body.written
            self._request_body.close()
        self.changed.wake()

    async def _exchange(self, client: HttpClient) -> None:
        if self._request_body is not None:
            await self._frame_body(self._request_body)
        async with client.open(self._request) as response:
            self._check_head(response)
            self.status, self.headers = response.status, self._carried.hide(response.headers)
            self._trace.status = response.status
            self.changed.wake()
            while chunk := await response.read():
                self._accept(chunk)
                while len(self._buffer) >= _AHEAD:
                    await self.changed.wait()
            self._buffer += self._masking.finish()

    async def _frame_body(self, body: RequestBody) -> None:
        """Choose between a length and chunks, unless the guest has declared a length itself."""
        whole = await body.whole_if_short()
        self._request.body = body if whole is None else whole
        declared = any(name.lower() == b"content-length" for name, _ in self._request.headers)
        if whole is None and not declared:
            self._request.headers.append((b"transfer-encoding", b"chunked"))
        elif whole is not None and not declared and (whole or self._request.method not in ("GET", "HEAD")):
            self._request.headers.append((b"content-length", b"%d" % len(whole)))

    def _check_head(self, response: Response) -> None:
        size, limit = header_bytes(response.headers), self._wasi.http_limits.header_bytes
        if size > limit:
            raise HttpFailure(
                {"HTTP_response_header_section_size": size},
                f"the response's headers have {size} bytes; {limit} is the limit",
            )

    def _accept(self, chunk: bytes) -> None:
        self._trace.response_bytes += len(chunk)
        limit = self._wasi.http_limits.response_body_bytes
        if self._trace.response_bytes > limit:
            raise HttpFailure(
                {"HTTP_response_body_size": self._trace.response_bytes},
                f"the response's body has more than {limit} bytes",
            )
        self._buffer += self._masking.feed(chunk)
        self.changed.wake()

    def ready(self) -> bool:
        """Tell whether there are bytes, or never will be."""
        return bool(self._buffer) or self._over

    async def wait(self) -> None:
        """Wait for bytes, or the end."""
        while not self.ready():
            await self.changed.wait()

    def read(self, length: int) -> bytes:
        """Give what is there; after the last byte, how the body ended."""
        if self._buffer:
            data = bytes(self._buffer[:length])
            del self._buffer[:length]
            self.changed.wake()
            return data
        if not self._over:
            return b""
        self._raise_crash()
        if self._failure is not None:
            raise self._failure
        raise StreamEndedError("the response's body is at its end")
