"""Runs the API inside the daemon's loop."""

import asyncio
import logging
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Final

import uvicorn
from litestar.types import Scope

from obelisk_daemon.api.accepting import Acceptor
from obelisk_daemon.api.access import IDENTITY, AccessCheck
from obelisk_daemon.api.app import DEFAULT_MAX_BODY, make_app
from obelisk_daemon.api.connection import Connection
from obelisk_daemon.api.hot_routes import SHORTCUTS
from obelisk_daemon.api.identity import Access, Identity
from obelisk_daemon.api.listeners import Bound, Listener, bind_all
from obelisk_daemon.api.measuring import Measuring
from obelisk_daemon.api.methods import AllowedMethods
from obelisk_daemon.api.services import Services
from obelisk_daemon.api.shortcuts import Shortcuts
from obelisk_daemon.api.slots import DEFAULT_LIMITS, Limits, Slot
from obelisk_daemon.errors import OperatorError

_LOG: Final = logging.getLogger(__name__)
_MAX_HEADER_BYTES: Final = 32 << 10
_STOP_SECONDS: Final = 5
_STOP_STEP_SECONDS: Final = 0.005


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers, its own listening, and a wake-up ten times a second."""

    def __init__(self, config: uvicorn.Config, acceptors: Sequence[Acceptor], every_second: Callable[[], None]) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()
        self.stopping = asyncio.Event()
        self._acceptors = acceptors
        self._every_second = every_second
        self._accepting: list[asyncio.Task[None]] = []

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    def abort(self, scope: Scope) -> None:
        """Drop the connection of a request at once, with all that is buffered for it."""
        for connection in self.server_state.connections:
            if getattr(connection, "scope", None) is scope:
                connection.transport.abort()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        del sockets  # the acceptors have them
        for acceptor in self._acceptors:
            acceptor.listen()
        self._accepting = [asyncio.create_task(acceptor.run(), name="acceptor") for acceptor in self._acceptors]
        self.started = True
        self.ready.set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        state = self.server_state
        for task in self._accepting:
            task.cancel()
        if self._accepting:
            await asyncio.wait(self._accepting)
        for listening in sockets or ():
            listening.close()
        for connection in list(state.connections):
            connection.shutdown()
        try:
            async with asyncio.timeout(_STOP_SECONDS):
                while state.connections or state.tasks:  # noqa: ASYNC110 - uvicorn tells nobody when they end
                    await asyncio.sleep(_STOP_STEP_SECONDS)
        except TimeoutError:
            _LOG.warning("%d requests did not end within %d s and are dropped", len(state.tasks), _STOP_SECONDS)
        dropped = list(state.tasks)
        for task in dropped:
            task.cancel()
        if dropped:  # they close what they hold before the database goes
            await asyncio.wait(dropped, timeout=_STOP_SECONDS)
        for connection in list(state.connections):
            connection.transport.abort()

    async def main_loop(self) -> None:
        while not self.stopping.is_set():
            await self.on_tick(0)
            self._every_second()
            for ended in (task for task in self._accepting if task.done()):
                ended.result()
            try:
                async with asyncio.timeout(1.0):
                    await self.stopping.wait()
            except TimeoutError:
                continue


class ApiServer:
    """Serves the API on all listeners from `start` to `stop`, and on the sockets that systemd passed."""

    def __init__(
        self,
        services: Services,
        listeners: Sequence[Listener],
        access: Access,
        *,
        passed: Sequence[socket.socket] = (),
        max_body: int = DEFAULT_MAX_BODY,
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        self._services = services
        self._listeners = tuple(listeners)
        self._passed = tuple(passed)
        self._limits = limits
        self._access = access
        app = AllowedMethods(make_app(services, access.audit, max_body))
        self._check = AccessCheck(Shortcuts(app, services, SHORTCUTS, max_body), access)
        self._acceptors: list[Acceptor] = []
        self._bound: list[Bound] = []
        self._server: _Server | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def addresses(self) -> tuple[str, ...]:
        """Where it listens: `unix:/path`, `HOST:PORT` with the real port. Empty before `start`."""
        return tuple(bound.address for bound in self._bound)

    async def start(self) -> None:
        """Bind every listener, then answer requests; on return the API can be reached.

        Raises:
            OperatorError: an address can't be had, or a passed socket can't be served; nothing is left bound.
        """
        self._bound = bind_all(self._listeners, self._passed)
        try:
            self._server = self._new_server()
        except OperatorError:
            self._release()
            raise
        streams = self._services.live.streams
        streams.abort, streams.is_welcome = self._server.abort, self._is_welcome
        sockets = [bound.socket for bound in self._bound]
        self._task = asyncio.create_task(self._server.serve(sockets), name="api")
        ready = asyncio.create_task(self._server.ready.wait())
        await asyncio.wait([self._task, ready], return_when=asyncio.FIRST_COMPLETED)
        ready.cancel()
        if self._task.done():
            self._release()
            self._task.result()
        _LOG.info("the API listens on %s", ", ".join(self.addresses))

    async def wait_closed(self) -> None:
        """Wait until the server has ended; an error it ended with is raised."""
        if self._task is not None:
            await asyncio.shield(self._task)

    async def stop(self) -> None:
        """Take no more connections, end long polls and streams at once, let requests end (5 s at most), and close."""
        self._services.watcher.close()
        self._services.live.streams.close()
        if self._server is not None and self._task is not None:
            self._server.stopping.set()
            await asyncio.wait([self._task])
            self._release()
            self._task.result()
        await self._services.live.close()

    def _is_welcome(self, scope: Scope) -> bool:
        who = scope["state"].get(IDENTITY)
        return isinstance(who, Identity) and self._access.holds(who)

    def _release(self) -> None:
        for bound in self._bound:
            bound.close()
        self._bound.clear()

    def _new_server(self) -> _Server:
        config = self._config()
        server = _Server(config, self._acceptors, self._every_second)
        state = server.server_state

        def make(listener: Listener, slot: Slot) -> Connection:
            return Connection(listener, slot, self._limits, config=config, server_state=state, app_state={})

        self._acceptors[:] = [Acceptor(one, partial(make, one.listener), self._limits) for one in self._bound]
        return server

    def _every_second(self) -> None:
        self._check.recheck()
        for acceptor in self._acceptors:
            if acceptor.certificate is not None:
                acceptor.certificate.refresh()

    def _config(self) -> uvicorn.Config:
        monotonic = asyncio.get_running_loop().time
        return uvicorn.Config(
            Measuring(self._check, self._services.metrics.api, monotonic),
            loop="none",
            http="h11",
            ws="none",
            lifespan="off",
            log_config=None,
            log_level=logging.ERROR,  # below are only mistakes of clients, as many as they like
            access_log=False,
            proxy_headers=False,
            server_header=False,
            h11_max_incomplete_event_size=_MAX_HEADER_BYTES,
        )
