"""One connection of a client: uvicorn's protocol with deadlines, which also tells where and from whom it came."""

import asyncio
import socket
import struct
from typing import Any, Final, Literal, TypeAlias
from urllib.parse import unquote

import h11
import msgspec
from uvicorn.protocols.http.h11_impl import H11Protocol

from obelisk_daemon.api.listeners import Listener, UnixListener
from obelisk_daemon.api.plain_cycle import PlainCycle
from obelisk_daemon.api.plain_request import PlainRequest, plain_request
from obelisk_daemon.api.problems import MEDIA_TYPE, problem
from obelisk_daemon.api.slots import Limits, Slot

_UCRED: Final = struct.Struct("3i")
_SENDABLE: Final = (h11.IDLE, h11.SEND_RESPONSE)
ARRIVAL: Final = "arrival"
"""Where in the state of a request its `Arrival` is."""
_Phase: TypeAlias = Literal["idle", "header", "body", "answer"]


class Arrival(msgspec.Struct, frozen=True):
    """How a request came: on which connection of which listener, and on a unix socket from whose process."""

    listener: Listener
    connection: "Connection | None" = None
    uid: int | None = None


class Connection(H11Protocol):
    """A connection on one listener, in one slot of it.

    Its client has to end each header and each body in time, however slowly it sends them, and to take its answer.
    """

    def __init__(self, listener: Listener, slot: Slot, limits: Limits, **given: Any) -> None:
        super().__init__(**given)
        self.timeout_keep_alive = limits.idle_seconds  # type: ignore[assignment] # it is given to call_later
        self._listener = listener
        self._slot = slot
        self._limits = limits
        self._phase: _Phase = "idle"
        self._said = False
        self._deadline: asyncio.TimerHandle | None = None
        self._stalled: asyncio.TimerHandle | None = None
        self._held = b""
        """What came while a request was answered that h11 does not know of."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Note how it came, and give it time for its first header."""
        super().connection_made(transport)
        self._slot.close = transport.abort
        self.app_state = {ARRIVAL: Arrival(self._listener, self, _uid(transport, self._listener))}
        self._enter("header")

    def connection_lost(self, exc: Exception | None) -> None:
        """Let another one have its place."""
        super().connection_lost(exc)
        self._cancel()
        self.resume_writing()
        self._slot.leave()

    def data_received(self, data: bytes) -> None:
        """Read on, and see what the client has said by now."""
        self._said = True
        before = self.cycle
        self._read(data)
        self._look(begun=self.cycle is not before)

    def _read(self, data: bytes) -> None:
        if self._held or self._is_plain:
            self._held += data
            self.flow.pause_reading()
            return
        plain = plain_request(data) if self._is_between else None
        if plain is None:
            super().data_received(data)
        else:
            self._begin(plain, data)

    @property
    def _is_plain(self) -> bool:
        return isinstance(self.cycle, PlainCycle) and self.cycle.is_unknown_to_h11

    @property
    def _is_between(self) -> bool:
        """Tell if h11 waits for a request and has nothing of one."""
        is_idle = self.conn.their_state is h11.IDLE and self.conn.our_state is h11.IDLE
        return is_idle and not self._is_answering and not self.conn.trailing_data[0]

    def _begin(self, plain: PlainRequest, raw: bytes) -> None:
        """Have a plain request carried out, as uvicorn does with one that h11 has read."""
        self._unset_keepalive_if_required()
        path, _, query = plain.target.partition(b"?")
        self.headers = plain.headers
        self.scope = {
            "type": "http",
            "asgi": {"version": self.asgi_version, "spec_version": "2.3"},
            "http_version": "1.1",
            "server": self.server,
            "client": self.client,
            "scheme": self.scheme or "http",
            "method": plain.method,
            "root_path": "",
            "path": unquote(path.decode("ascii")),
            "raw_path": path,
            "query_string": query,
            "headers": self.headers,
            "state": self.app_state.copy(),
        }
        self.cycle = PlainCycle(
            raw,
            plain.body,
            scope=self.scope,
            conn=self.conn,
            transport=self.transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=self.access_log,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            on_response=self.on_response_complete,
        )
        task = self.loop.create_task(self.cycle.run_asgi(self.app))
        task.add_done_callback(self.tasks.discard)
        self.tasks.add(task)

    def on_response_complete(self) -> None:
        """Wait for the next request."""
        self._said = False
        before = self.cycle
        super().on_response_complete()
        held, self._held = self._held, b""
        if held and not self.transport.is_closing():
            self._said = True
            self._read(held)
        self._look(begun=self.cycle is not before)

    def pause_writing(self) -> None:
        """Give the client time to take what it was sent."""
        super().pause_writing()
        if self._stalled is None:
            self._stalled = self.loop.call_later(self._limits.write_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        """Note that it took something."""
        super().resume_writing()
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None

    def end(self) -> None:
        """Close it whatever it does: its sender may do nothing any more."""
        self.transport.abort()

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP, or too much of it."""
        self._refuse(400, "malformed_request", msg)

    def _refuse(self, status: int, code: str, detail: str) -> None:
        if self.conn.our_state in _SENDABLE and not self.transport.is_closing():
            told = problem(status, code, detail)
            body = msgspec.json.encode(told)
            headers = [("content-type", MEDIA_TYPE), ("content-length", str(len(body))), ("connection", "close")]
            response = h11.Response(status_code=status, headers=headers, reason=told.title.encode())
            for event in (response, h11.Data(data=body), h11.EndOfMessage()):
                self.transport.write(self.conn.send(event) or b"")
        if self._is_answering:
            self.cycle.disconnected = True  # whoever carries out the request has nobody to answer any more
            self.cycle.message_event.set()
        self.transport.close()

    @property
    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete  # type: ignore[redundant-expr] # at first None

    def _look(self, *, begun: bool) -> None:
        """See what the client has to do next. A phase that goes on keeps its deadline."""
        phase: _Phase
        if self._is_answering:
            phase = "body" if self.cycle.more_body else "answer"
        else:
            # of a body that nobody wants any more the end has to come, too
            phase = "header" if self._said or self.conn.their_state is h11.SEND_BODY else "idle"
        if begun or phase != self._phase:
            self._enter(phase)

    def _enter(self, phase: _Phase) -> None:
        self._phase = phase
        self._cancel()
        if phase in ("body", "answer"):
            self._slot.works()
        elif not self.transport.is_closing():
            self._slot.waits()
        seconds = {"header": self._limits.header_seconds, "body": self._limits.body_seconds}.get(phase)
        if seconds is not None:
            self._deadline = self.loop.call_later(seconds, self._too_slow)

    def _too_slow(self) -> None:
        if self._phase == "header" and self._said:
            self._refuse(408, "too_slow", "the request did not come to its end in time")
        else:
            self.transport.abort()

    def _cancel(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


def _uid(transport: asyncio.Transport, listener: Listener) -> int | None:
    """Read who opened a unix socket, as the kernel noted it."""
    if not isinstance(listener, UnixListener):
        return None
    accepted = transport.get_extra_info("socket")
    _, uid, _ = _UCRED.unpack(accepted.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))
    return int(uid)
