"""wasi:http/types on the way in: `future-incoming-response`, `incoming-response`, `incoming-body`, `future-trailers`.

Each handle holds the exchange until it passes it on to the next one; the handle that holds it ends it when dropped.
"""

from typing import Any, Final, TypeAlias

from obelisk_daemon.wasm.wasi.context import HandlerTable, WasiGuest, borrowed, taken
from obelisk_daemon.wasm.wasi.error_codes import ErrorCode
from obelisk_daemon.wasm.wasi.http_exchange import Exchange
from obelisk_daemon.wasm.wasi.http_fields import Fields
from obelisk_daemon.wasm.wasi.poll import Always, Condition
from obelisk_daemon.wasm.wasi.streams import InputStream, IoError

Outcome: TypeAlias = dict[str, Any]


class Holder:
    """A handle of an exchange."""

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self.holds = True

    def hand_over(self) -> Exchange | None:
        """Give the exchange to another handle, once."""
        if not self.holds:
            return None
        self.holds = False
        return self.exchange

    def drop(self) -> None:
        """End the exchange, unless another handle holds it."""
        if self.holds:
            self.exchange.drop()


class FutureResponse(Holder):
    """Will be a response or an error."""


class IncomingResponse(Holder):
    """The head of a response."""


class IncomingBody(Holder):
    """The body of a response. It holds the exchange to its own end: streams are lent from it."""

    def __init__(self, exchange: Exchange) -> None:
        super().__init__(exchange)
        self.streamed = False


class BodyStream(InputStream):
    """The stream of a body. Dropping it leaves the exchange with the body."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def ready(self) -> bool:
        """Tell whether there are bytes, or never will be."""
        return self._exchange.ready()

    async def wait(self) -> None:
        """Wait for bytes, or the end."""
        await self._exchange.wait()

    def read(self, length: int) -> bytes:
        """Give what is there."""
        return self._exchange.read(length)


class Trailers:
    """A future of trailers; there are none, since httpcore drops them."""


def _future_subscribe(guest: WasiGuest, future: int) -> int:
    exchange = borrowed(guest, future, FutureResponse).exchange
    return guest.table.new(Condition(exchange.has_head, exchange.changed))


def _future_get(guest: WasiGuest, future: int) -> Outcome | None:
    held = borrowed(guest, future, FutureResponse)
    if not held.exchange.has_head():
        return None
    exchange = held.hand_over()
    if exchange is None:
        return {"err": None}
    failure = exchange.head_failure()
    if failure is not None:
        return {"ok": {"err": failure.code}}
    return {"ok": {"ok": guest.table.new(IncomingResponse(exchange))}}


def _status(guest: WasiGuest, response: int) -> int:
    return borrowed(guest, response, IncomingResponse).exchange.status


def _headers(guest: WasiGuest, response: int) -> int:
    headers = borrowed(guest, response, IncomingResponse).exchange.headers
    entries = [(name.decode("latin-1").lower(), value) for name, value in headers]
    return guest.table.new(Fields(entries, immutable=True))


def _consume(guest: WasiGuest, response: int) -> Outcome:
    exchange = borrowed(guest, response, IncomingResponse).hand_over()
    if exchange is None:
        return {"err": None}
    return {"ok": guest.table.new(IncomingBody(exchange))}


def _stream(guest: WasiGuest, body: int) -> Outcome:
    held = borrowed(guest, body, IncomingBody)
    if held.streamed:
        return {"err": None}
    held.streamed = True
    return {"ok": guest.table.new(BodyStream(held.exchange))}


def _body_finish(guest: WasiGuest, body: int) -> int:
    taken(guest, body, IncomingBody).drop()
    return guest.table.new(Trailers())


def _trailers_subscribe(guest: WasiGuest, trailers: int) -> int:
    borrowed(guest, trailers, Trailers)
    return guest.table.new(Always())


def _trailers_get(guest: WasiGuest, trailers: int) -> Outcome:
    borrowed(guest, trailers, Trailers)
    return {"ok": {"ok": None}}


def _error_code(guest: WasiGuest, error: int) -> ErrorCode:
    return borrowed(guest, error, IoError).code


_RESPONSE: Final = "http/types.[method]incoming-response."
HANDLERS: Final[HandlerTable] = {
    "http/types.[method]future-incoming-response.subscribe": _future_subscribe,
    "http/types.[method]future-incoming-response.get": _future_get,
    _RESPONSE + "status": _status,
    _RESPONSE + "headers": _headers,
    _RESPONSE + "consume": _consume,
    "http/types.[method]incoming-body.stream": _stream,
    "http/types.[static]incoming-body.finish": _body_finish,
    "http/types.[method]future-trailers.subscribe": _trailers_subscribe,
    "http/types.[method]future-trailers.get": _trailers_get,
    "http/types.http-error-code": _error_code,
}
