"""wasi:io/streams and wasi:io/error.

Bytes cross between host and guest at most 64 KiB at a time: a `list<u8>` costs about 80 ns a byte, whatever we do.
"""

from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeAlias

from obelisk_daemon.wasm.resources import GuestStopped
from obelisk_daemon.wasm.wasi.context import HandlerTable, WasiGuest, borrowed
from obelisk_daemon.wasm.wasi.error_codes import ErrorCode, HttpFailure
from obelisk_daemon.wasm.wasi.poll import Pollable, Subscription

CHUNK: Final = 64 * 1024
Outcome: TypeAlias = dict[str, Any]
_Maybe: TypeAlias = Outcome | Coroutine[Any, Any, Outcome]


class StreamEndedError(Exception):
    """The stream is at its end, or was closed."""


class IoError:
    """A `wasi:io/error.error`: why a stream failed."""

    def __init__(self, failure: HttpFailure) -> None:
        self._failure = failure

    @property
    def code(self) -> ErrorCode:
        """Give the code for `wasi:http/types.http-error-code`."""
        return self._failure.code

    def __str__(self) -> str:
        return f"{self._failure.name}: {self._failure.reason}"


class InputStream(Pollable):
    """Where a guest reads from; ready when `read` gives bytes or an end."""

    def read(self, length: int) -> bytes:
        """Give what is there, up to a length; nothing when nothing is there yet.

        Raises:
            StreamEndedError: there will be no more.
            HttpFailure: there will be no more, because of this.
        """
        raise NotImplementedError


class OutputStream(Pollable):
    """Where a guest writes to; ready when there is room or the stream has ended."""

    def room(self) -> int:
        """Give how many bytes may be written now.

        Raises:
            StreamEndedError: it takes no more.
            HttpFailure: it takes no more, because of this.
        """
        raise NotImplementedError

    def write(self, data: bytes) -> None:
        """Take bytes. Raises as `room` does."""
        raise NotImplementedError


class EmptyInput(InputStream):
    """At its end from the start: the standard input."""

    def ready(self) -> bool:
        """Answer yes: the end is there."""
        return True

    async def wait(self) -> None:
        """Return at once."""

    def read(self, length: int) -> bytes:
        """Give the end."""
        raise StreamEndedError(f"an empty stream has no {length} bytes")


class SinkOutput(OutputStream):
    """Takes everything at once: the standard output and error."""

    def __init__(self, sink: Callable[[bytes], None]) -> None:
        self._sink = sink

    def ready(self) -> bool:
        """Answer yes."""
        return True

    async def wait(self) -> None:
        """Return at once."""

    def room(self) -> int:
        """Give one chunk."""
        return CHUNK

    def write(self, data: bytes) -> None:
        """Pass it on."""
        self._sink(data)


def _outcome(guest: WasiGuest, action: Callable[[], object]) -> Outcome:
    """Run an action on a stream, and turn how it ends into a `result<_, stream-error>`."""
    try:
        return {"ok": action()}
    except StreamEndedError:
        return {"err": "closed"}
    except HttpFailure as failure:
        return {"err": {"last_operation_failed": guest.table.new(IoError(failure))}}


def _when_ready(stream: Pollable, action: Callable[[], Outcome]) -> _Maybe:
    """Act now if the stream is ready; else park the guest until it is."""
    if stream.ready():
        return action()

    async def act_later() -> Outcome:
        await stream.wait()
        return action()

    return act_later()


def _read(guest: WasiGuest, stream: int, length: int) -> Outcome:
    source = borrowed(guest, stream, InputStream)
    return _outcome(guest, lambda: source.read(min(length, CHUNK)))


def _blocking_read(guest: WasiGuest, stream: int, length: int) -> _Maybe:
    return _when_ready(borrowed(guest, stream, InputStream), lambda: _read(guest, stream, length))


def _skip(guest: WasiGuest, stream: int, length: int) -> Outcome:
    source = borrowed(guest, stream, InputStream)
    return _outcome(guest, lambda: len(source.read(min(length, CHUNK))))


def _blocking_skip(guest: WasiGuest, stream: int, length: int) -> _Maybe:
    return _when_ready(borrowed(guest, stream, InputStream), lambda: _skip(guest, stream, length))


def _subscribe(guest: WasiGuest, stream: int) -> int:
    return guest.table.new(Subscription(borrowed(guest, stream, Pollable)))


def _check_write(guest: WasiGuest, stream: int) -> Outcome:
    return _outcome(guest, borrowed(guest, stream, OutputStream).room)


def _write(guest: WasiGuest, stream: int, contents: bytes) -> Outcome:
    target = borrowed(guest, stream, OutputStream)
    return _outcome(guest, lambda: target.write(contents))


def _blocking_write(guest: WasiGuest, stream: int, contents: bytes) -> _Maybe:
    return _when_ready(borrowed(guest, stream, OutputStream), lambda: _write(guest, stream, contents))


def _flush(guest: WasiGuest, stream: int) -> Outcome:
    """Answer at once: what was taken needs no push to go on its way."""
    target = borrowed(guest, stream, OutputStream)

    def check() -> None:
        target.room()

    return _outcome(guest, check)


def _zeroes(length: int) -> bytes:
    if length > CHUNK:
        raise GuestStopped("trap", f"the guest wrote {length} zeroes at once; {CHUNK} is the limit")
    return bytes(length)


def _write_zeroes(guest: WasiGuest, stream: int, length: int) -> Outcome:
    return _write(guest, stream, _zeroes(length))


def _blocking_write_zeroes(guest: WasiGuest, stream: int, length: int) -> _Maybe:
    return _blocking_write(guest, stream, _zeroes(length))


def _splice(guest: WasiGuest, stream: int, source: int, length: int) -> Outcome:
    target, origin = borrowed(guest, stream, OutputStream), borrowed(guest, source, InputStream)

    def move() -> int:
        data = origin.read(min(length, CHUNK, target.room()))
        target.write(data)
        return len(data)

    return _outcome(guest, move)


async def _splice_later(guest: WasiGuest, stream: int, source: int, length: int) -> Outcome:
    await borrowed(guest, stream, OutputStream).wait()
    await borrowed(guest, source, InputStream).wait()
    return _splice(guest, stream, source, length)


def _blocking_splice(guest: WasiGuest, stream: int, source: int, length: int) -> _Maybe:
    if borrowed(guest, stream, OutputStream).ready() and borrowed(guest, source, InputStream).ready():
        return _splice(guest, stream, source, length)
    return _splice_later(guest, stream, source, length)


def _to_debug_string(guest: WasiGuest, error: int) -> str:
    return str(borrowed(guest, error, IoError))


_IN: Final = "io/streams.[method]input-stream."
_OUT: Final = "io/streams.[method]output-stream."
HANDLERS: Final[HandlerTable] = {
    _IN + "read": _read,
    _IN + "blocking-read": _blocking_read,
    _IN + "skip": _skip,
    _IN + "blocking-skip": _blocking_skip,
    _IN + "subscribe": _subscribe,
    _OUT + "check-write": _check_write,
    _OUT + "write": _write,
    _OUT + "blocking-write-and-flush": _blocking_write,
    _OUT + "flush": _flush,
    _OUT + "blocking-flush": _flush,
    _OUT + "write-zeroes": _write_zeroes,
    _OUT + "blocking-write-zeroes-and-flush": _blocking_write_zeroes,
    _OUT + "splice": _splice,
    _OUT + "blocking-splice": _blocking_splice,
    _OUT + "subscribe": _subscribe,
    "io/error.[method]error.to-debug-string": _to_debug_string,
}
