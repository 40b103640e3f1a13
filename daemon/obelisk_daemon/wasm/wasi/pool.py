"""Connections that are kept for the next request to the same server.

httpcore's own pool looks at every connection on every request and asks the kernel about each that is idle: with 100 of
them that took as long as all the rest of a request. Here only the one that is taken is asked about.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final, TypeAlias

import httpcore

from obelisk_daemon.wasm.wasi.egress import Target
from obelisk_daemon.wasm.wasi.error_codes import HttpFailure

_Connection: TypeAlias = httpcore.AsyncConnectionInterface
IDLE_SECONDS: Final = 15.0


class Pool:
    """At most `most` connections, of which `most_idle` are kept while nobody uses them. `make` makes one."""

    def __init__(self, make: Callable[[Target], _Connection], most: int, most_idle: int) -> None:
        self._make = make
        self._most = most
        self._most_idle = most_idle
        self._count = 0
        self._idle: dict[_Connection, tuple[Target, float]] = {}
        """Where each goes and when it is too old, the one that was given back first at the beginning."""
        self._idle_of: dict[Target, list[_Connection]] = {}
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def take(self, target: Target, seconds: float) -> _Connection:
        """Give a connection to a server, for one request; `give_back` follows, whatever became of that.

        Raises:
            HttpFailure: `connection_limit_reached`: there is none free within `seconds`.
        """
        await self._close_old()
        try:
            async with asyncio.timeout(seconds):
                while (connection := await self._found(target)) is None:
                    await self._turn()
                return connection
        except TimeoutError as error:
            raise HttpFailure("connection_limit_reached", f"all {self._most} connections are in use") from error

    async def _found(self, target: Target) -> _Connection | None:
        """Give one that is there or a new one, for which one that nobody uses may have to go; None without room."""
        while (known := self._newest(target)) is not None:
            if not known.has_expired():  # neither too old, nor closed by its server
                return known
            await self._close(known)
        if self._count >= self._most and self._idle:
            await self._close(self._oldest())
        if self._count >= self._most:
            return None
        self._count += 1
        return self._make(target)

    async def _turn(self) -> None:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # it was told of a place that it can't use any more
                self._wake_one()
            raise
        finally:
            if turn in self._waiting:
                self._waiting.remove(turn)

    async def give_back(self, connection: _Connection, target: Target) -> None:
        """Keep a connection for the next request, unless its response was not read to the end."""
        if connection.is_idle() and not connection.is_closed():
            until = asyncio.get_running_loop().time() + IDLE_SECONDS
            self._idle[connection] = (target, until)
            self._idle_of.setdefault(target, []).append(connection)
            self._wake_one()
            if len(self._idle) > self._most_idle:
                await self._close(self._oldest())
        else:
            await self._close(connection)

    def _newest(self, target: Target) -> _Connection | None:
        of_target = self._idle_of.get(target)
        if not of_target:
            return None
        connection = of_target[-1]
        self._forget(connection)
        return connection

    def _oldest(self) -> _Connection:
        connection = next(iter(self._idle))
        self._forget(connection)
        return connection

    def _forget(self, connection: _Connection) -> None:
        target, _ = self._idle.pop(connection)
        of_target = self._idle_of[target]
        of_target.remove(connection)
        if not of_target:
            del self._idle_of[target]

    async def _close_old(self) -> None:
        now = asyncio.get_running_loop().time()
        while self._idle and next(iter(self._idle.values()))[1] <= now:
            await self._close(self._oldest())

    async def _close(self, connection: _Connection) -> None:
        self._count -= 1
        self._wake_one()
        await connection.aclose()

    def _wake_one(self) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return

    async def aclose(self) -> None:
        """Close those that nobody uses. No request may be under way any more."""
        while self._idle:
            await self._close(self._oldest())
