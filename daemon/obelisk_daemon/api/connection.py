"""One connection of a client: uvicorn's protocol, which also tells where and from whom it came."""

import asyncio
import socket
import struct
from typing import Any, Final

import msgspec
from uvicorn.protocols.http.h11_impl import H11Protocol

from obelisk_daemon.api.listeners import Listener, UnixListener

_UCRED: Final = struct.Struct("3i")
ARRIVAL: Final = "arrival"
"""Where in the state of a request its `Arrival` is."""


class Arrival(msgspec.Struct, frozen=True):
    """How a connection came: on which listener, and on a unix socket from whose process."""

    listener: Listener
    uid: int | None = None


class Connection(H11Protocol):
    """A connection on one listener."""

    def __init__(self, listener: Listener, **given: Any) -> None:
        super().__init__(**given)
        self._listener = listener

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Note how it came."""
        super().connection_made(transport)
        self.app_state = {ARRIVAL: Arrival(self._listener, _uid(transport, self._listener))}


def _uid(transport: asyncio.Transport, listener: Listener) -> int | None:
    """Read who opened a unix socket, as the kernel noted it."""
    if not isinstance(listener, UnixListener):
        return None
    accepted = transport.get_extra_info("socket")
    _, uid, _ = _UCRED.unpack(accepted.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))
    return int(uid)
