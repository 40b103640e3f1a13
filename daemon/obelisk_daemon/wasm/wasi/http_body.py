"""The body of a request: written by the guest, read by the task that sends it."""

from collections import deque

from obelisk_daemon.wasm.wasi.error_codes import HttpFailure, internal
from obelisk_daemon.wasm.wasi.streams import CHUNK, OutputStream, StreamEndedError
from obelisk_daemon.wasm.wasi.tasks import Notice


class RequestBody(OutputStream):
    """Bytes on their way from a guest to a server.

    Until the request is handed over, all of it may wait here, up to the limit: nobody would drain it, and a guest that
    writes first must not wait for ever. From then on one chunk of it waits, and the guest with the rest.
    """

    def __init__(self, limit: int, declared: int | None) -> None:
        self._limit = limit
        self._declared = declared
        """What the guest's own `content-length` says."""
        self._waiting: deque[bytes] = deque()
        self._held = 0
        self._sending = False
        self._finished = False
        self._failure: HttpFailure | None = None
        self._changed = Notice()
        self.written = 0

    def ready(self) -> bool:
        """Tell whether there is room, or never will be."""
        return self._finished or self._failure is not None or self._space() > 0

    async def wait(self) -> None:
        """Wait for room."""
        while not self.ready():
            await self._changed.wait()

    def room(self) -> int:
        """Give how much may be written now."""
        self._check_open()
        return min(self._space(), CHUNK)

    def _space(self) -> int:
        if not self._sending:
            return CHUNK  # going over the limit is a failure of the write, not a wait
        return max(0, CHUNK - self._held)

    def _check_open(self) -> None:
        if self._failure is not None:
            raise self._failure
        if self._finished:
            raise StreamEndedError("the request's body is finished")

    def write(self, data: bytes) -> None:
        """Take bytes.

        Raises:
            HttpFailure: more than the limit, or than the guest has declared; the request fails with it too.
        """
        self._check_open()
        self.written += len(data)
        if self.written > self._limit or (self._declared is not None and self.written > self._declared):
            bound = self._limit if self.written > self._limit else self._declared
            self._fail(_wrong_size(self.written, f"the request's body has more than {bound} bytes"))
            self._check_open()
        if data:
            self._waiting.append(data)
            self._held += len(data)
            self._changed.wake()

    def finish(self) -> None:
        """Take no more; what is there is the whole.

        Raises:
            HttpFailure: it is shorter than the guest has declared.
        """
        if self._failure is not None:
            raise self._failure
        if self._declared is not None and self.written != self._declared:
            self._fail(_wrong_size(self.written, f"the request's body has {self.written} bytes, not {self._declared}"))
            self._check_open()
        self._finished = True
        self._changed.wake()

    def abort(self) -> None:
        """Give up a body that its guest dropped unfinished: the request fails."""
        if not self._finished and self._failure is None:
            self._fail(internal("the guest dropped the request's body before it was finished"))

    def close(self) -> None:
        """Take and give no more: the request is over, however it ended."""
        self._waiting.clear()
        self._held = 0
        self._finished = True
        self._changed.wake()

    def _fail(self, failure: HttpFailure) -> None:
        self._failure = failure
        self._waiting.clear()
        self._changed.wake()

    def begin(self) -> None:
        """Note that the request was handed over: from now on the guest waits for the server."""
        self._sending = True

    async def whole_if_short(self) -> bytes | None:
        """Give the whole body if the guest finishes it before more than a chunk is waiting, else None.

        Servers prefer a length to chunked transfer, and most bodies are finished before the first await of the sender.

        Raises:
            HttpFailure: the guest gave the body up.
        """
        while self._failure is None and not self._finished and self._held < CHUNK:
            await self._changed.wait()
        if self._failure is not None:
            raise self._failure
        if not self._finished:
            return None
        whole = b"".join(self._waiting)
        self._waiting.clear()
        self._held = 0
        return whole

    def __aiter__(self) -> "RequestBody":
        return self

    async def __anext__(self) -> bytes:
        """Give the next part to the sender."""
        while self._failure is None and not self._waiting and not self._finished:
            await self._changed.wait()
        if self._failure is not None:
            raise self._failure
        if not self._waiting:
            raise StopAsyncIteration
        part = self._waiting.popleft()
        self._held -= len(part)
        self._changed.wake()
        return part


def _wrong_size(size: int, reason: str) -> HttpFailure:
    return HttpFailure({"HTTP_request_body_size": size}, reason)
