"""A plain request under way: its answer goes out in one write, where it comes whole and has a length."""

import re
from collections.abc import Iterable
from functools import lru_cache
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

import h11
from uvicorn.protocols.http.h11_impl import RequestResponseCycle

if TYPE_CHECKING:
    from uvicorn._types import ASGISendEvent, HTTPResponseStartEvent

_NAME: Final = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE: Final = re.compile(rb"[\x21-\x7e]+(?: [\x21-\x7e]+)*")
_WITHOUT_BODY: Final = (204, 205, 304)
_STATUS_LINES: Final = {
    status.value: b"HTTP/1.1 %d %s\r\n" % (status.value, status.phrase.encode())
    for status in HTTPStatus
    if status.value >= 200 and status.value not in _WITHOUT_BODY
}


class PlainCycle(RequestResponseCycle):
    """A request that h11 has not seen. It gets it as it came for an answer in parts, or of another kind than usual."""

    def __init__(self, raw: bytes, body: bytes, **given: Any) -> None:
        super().__init__(**given)
        self.body = bytearray(body)
        self.more_body = False
        self.message_event.set()
        self._raw: bytes | None = raw
        self._head: HTTPResponseStartEvent | None = None

    @property
    def is_unknown_to_h11(self) -> bool:
        """Tell if what comes on its connection must wait until it is answered."""
        return self._raw is not None and not self.response_complete

    async def send(self, message: "ASGISendEvent") -> None:
        """Keep the head of an answer until its body is there, and send both."""
        if self._raw is None or self.disconnected or self.response_complete:
            await super().send(message)
        elif message["type"] == "http.response.start":
            self._head = message
            if not any(name.lower() == b"content-length" for name, _ in message.get("headers", ())):
                await self._by_h11()
        elif message["type"] != "http.response.body" or self._head is None:
            await super().send(message)  # it says what is wrong with that
        else:
            whole = None
            if not message.get("more_body", False):
                headers = [*self.default_headers, *self._head.get("headers", ())]
                whole = written(self._head["status"], headers, message.get("body", b""))
            if whole is None:
                await self._by_h11()
                await super().send(message)
            else:
                await self._finish(whole)

    async def _finish(self, whole: bytes) -> None:
        if self.flow.write_paused:
            await self.flow.drain()
        if self.disconnected:
            return
        self.response_started = self.response_complete = True
        self.message_event.set()
        self.transport.write(whole)
        if not self.keep_alive:
            self.conn.send(h11.ConnectionClosed())
            self.transport.close()
        self.on_response()

    async def _by_h11(self) -> None:
        """Have h11 read the request and write the answer."""
        assert self._raw is not None
        assert self._head is not None
        raw, self._raw = self._raw, None
        head, self._head = self._head, None
        self.conn.receive_data(raw)
        while type(event := self.conn.next_event()) is not h11.EndOfMessage:
            assert event is not h11.NEED_DATA, "a plain request is a whole one"
        await super().send(head)


def written(status: int, headers: Iterable[tuple[bytes, bytes]], body: bytes) -> bytes | None:
    """Write an answer; None where something is special about it, so that h11 is to write or to refuse it."""
    if status not in _STATUS_LINES:
        return None
    lines = [_STATUS_LINES[status]]
    length = b""
    for name, value in headers:
        line = _line(name, value)
        if line is None:
            return None
        if line.startswith(b"content-length: "):
            if length:
                return None
            length = value
        lines.append(line)
    if length != b"%d" % len(body):
        return None
    return b"".join((*lines, b"\r\n", body))


@lru_cache(maxsize=512)
def _line(name: bytes, value: bytes) -> bytes | None:
    name = name.lower()
    is_special = name in (b"connection", b"transfer-encoding", b"upgrade") or len(value) > 1_000
    if is_special or not (_NAME.fullmatch(name) and _VALUE.fullmatch(value)):
        return None
    return b"%b: %b\r\n" % (name, value)
