"""Takes connections of one listener, as many as it may have.

asyncio's own server counts nothing before a TLS handshake is over, so clients that never end one could hold it up.
"""

import asyncio
import errno
import logging
import socket
from collections.abc import Callable
from ipaddress import ip_address
from typing import Final

from obelisk_daemon.api.certificates import Certificate
from obelisk_daemon.api.connection import Connection
from obelisk_daemon.api.listeners import Bound, TcpListener
from obelisk_daemon.api.peers import is_from, plain
from obelisk_daemon.api.slots import Limits, Slot, Slots

_LOG: Final = logging.getLogger(__name__)
_BACKLOG: Final = 2_048
_EXHAUSTED: Final = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_EXHAUSTED_PAUSE: Final = 0.1
"""Seconds until the machine is asked again for what it did not have."""
_AT_ONCE: Final = 64
"""Connections that are taken before others on the loop have their turn."""


class Acceptor:
    """Takes the connections of one listener. `make` makes the protocol of one, in its slot."""

    def __init__(self, bound: Bound, make: Callable[[Slot], Connection], limits: Limits) -> None:
        self._bound = bound
        self._make = make
        self._limits = limits
        self.slots = Slots(limits)
        self._opening: set[asyncio.Task[None]] = set()
        self._not_begun: dict[asyncio.Task[None], socket.socket] = {}
        tls = bound.listener.tls if isinstance(bound.listener, TcpListener) else None
        self.certificate = None if tls is None else Certificate(tls)

    def listen(self) -> None:
        """Have the kernel take connections from now on."""
        self._bound.socket.setblocking(False)
        if isinstance(self._bound.listener, TcpListener):
            # those that are accepted have it too: else an answer's body waits 40 ms for its header to be acknowledged
            self._bound.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._bound.socket.listen(_BACKLOG)

    async def run(self) -> None:
        """Take connections until it is cancelled."""
        loop = asyncio.get_running_loop()
        in_a_row = 0
        try:
            while True:
                try:
                    accepted, address = await loop.sock_accept(self._bound.socket)
                except OSError as error:
                    await self._failed(error)
                    continue
                self._take(accepted, address)
                in_a_row = (in_a_row + 1) % _AT_ONCE
                if not in_a_row:
                    await asyncio.sleep(0)
        finally:
            for task in self._opening:
                task.cancel()
            if self._opening:
                await asyncio.wait(self._opening)

    def _take(self, accepted: socket.socket, address: object) -> None:
        peer = self._counted(address)
        slot = self.slots.take(peer)
        if slot is None:
            accepted.close()
            return
        task = asyncio.create_task(self._open(accepted, slot), name="connection")
        slot.close = task.cancel
        self._opening.add(task)
        self._not_begun[task] = accepted
        task.add_done_callback(self._opened)

    def _opened(self, task: asyncio.Task[None]) -> None:
        self._opening.discard(task)
        accepted = self._not_begun.pop(task, None)
        if accepted is not None:  # it was cancelled before its first step, so nobody else has the socket
            accepted.close()

    def _counted(self, address: object) -> str | None:
        """Give the address that a connection counts for; those of a proxy are of many clients."""
        if not isinstance(address, tuple) or not isinstance(self._bound.listener, TcpListener):
            return None
        peer = plain(str(address[0]))
        proxies = self._bound.listener.proxies
        return None if proxies and is_from(ip_address(peer), proxies) else peer

    async def _open(self, accepted: socket.socket, slot: Slot) -> None:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None
        del self._not_begun[task]
        context = None if self.certificate is None else self.certificate.context
        seconds = None if context is None else self._limits.handshake_seconds
        try:
            await loop.connect_accepted_socket(
                lambda: self._make(slot), accepted, ssl=context, ssl_handshake_timeout=seconds
            )
        except OSError:  # it has gone, or its handshake failed, as with an SSLError
            slot.leave()
        except BaseException:
            slot.leave()
            raise

    async def _failed(self, error: OSError) -> None:
        """Make room when the machine has none for another connection; others are gone before they were there."""
        if error.errno in _EXHAUSTED:
            _LOG.error("can't take connections: %s", error.strerror)
            self.slots.close_one()
            await asyncio.sleep(_EXHAUSTED_PAUSE)
        elif error.errno == errno.EBADF:
            raise error
