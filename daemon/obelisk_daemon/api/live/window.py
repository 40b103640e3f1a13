"""The newest messages of a stream that many listen to, and the changes that they are made from."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from itertools import islice
from typing import Final, NamedTuple

from obelisk_daemon.api.live.streams import Stream
from obelisk_daemon.ids import ExecutionId
from obelisk_daemon.storage.records import Summary

MOST_BYTES: Final = 4 << 20
MOST_MESSAGES: Final = 20_000
CHUNK_BYTES: Final = 64 << 10
"""Sent to a listener in one piece, so that no more is buffered for one that reads slowly."""
WINDOW_SECONDS: Final = 0.1
"""Of all that an execution becomes within this time, the last is told."""
BATCH: Final = 500
"""Executions told at the end of a window; if more have changed, they are told with the next one."""
MOST_WAITING: Final = 5_000
"""Changed executions that wait to be told. With more, all are forgotten, and who listens has to read anew."""


class Kept(NamedTuple):
    """A message, and of what kind it is for whoever listens to some only."""

    number: int
    kind: str
    body: bytes


class Window:
    """Messages by their numbers, from 1: only the newest are kept."""

    def __init__(self) -> None:
        self.listeners: set[Stream] = set()
        self.last = 0
        """The number of the newest message."""
        self._kept: list[Kept] = []
        self._first = 0
        """The index of the oldest message that counts; those before it are dropped together, once they are many."""
        self._size = 0

    def append(self, kind: str, body: bytes) -> None:
        """Add a message; whoever listens is woken by `announce`."""
        self.last += 1
        self._kept.append(Kept(self.last, kind, body))
        self._size += len(body)
        while self._size > MOST_BYTES or len(self._kept) - self._first > MOST_MESSAGES:
            self._size -= len(self._kept[self._first].body)
            self._first += 1
        if self._first > MOST_MESSAGES:
            del self._kept[: self._first]
            self._first = 0

    def announce(self) -> None:
        """Wake whoever listens."""
        for listener in self.listeners:
            listener.wake()

    def after(self, number: int) -> list[Kept] | None:
        """Give the messages after one, a chunk of them; None when the next one is gone, or was never there."""
        missing = self.last - number
        start = len(self._kept) - missing
        if missing < 0 or start < self._first:
            return None
        end, size = start, 0
        while end < len(self._kept) and size < CHUNK_BYTES:
            size += len(self._kept[end].body)
            end += 1
        return self._kept[start:end]

    def forget(self) -> None:
        """Drop all messages: whoever asks for those after an earlier one is told that some are gone."""
        self.last += 1
        self._kept.clear()
        self._first = self._size = 0


class Changes:
    """Executions that changed, told once a window each, newest state only. `run` is a task of whoever made it."""

    def __init__(
        self,
        read: Callable[[Sequence[ExecutionId]], Awaitable[list[Summary]]],
        tell: Callable[[list[Summary]], None],
        forget: Callable[[], None],
    ) -> None:
        self._read = read
        self._tell = tell
        self._forget = forget
        self._waiting: dict[ExecutionId, None] = {}
        self._woken = asyncio.Event()
        self._hurry = asyncio.Event()
        self._settled = asyncio.Event()
        self._settled.set()

    def note(self, execution_id: ExecutionId) -> None:
        """Take notice of a change."""
        if len(self._waiting) <= MOST_WAITING:
            self._waiting[execution_id] = None
            self._settled.clear()
            self._woken.set()

    async def run(self) -> None:
        """Tell what changes, for ever: the first change at once, those after it together.

        With its end all is settled: nobody waits for what will not be told.
        """
        try:
            while True:
                await self._woken.wait()
                self._woken.clear()
                await self._tell_next()
                with suppress(TimeoutError):
                    async with asyncio.timeout(WINDOW_SECONDS):
                        await self._hurry.wait()
        finally:
            self._waiting.clear()
            self._settled.set()

    async def settle(self) -> None:
        """Wait until all that has changed by now is told; none of it waits for the end of a window."""
        self._hurry.set()
        try:
            while self._waiting or not self._settled.is_set():
                await self._settled.wait()
        finally:
            self._hurry.clear()

    async def _tell_next(self) -> None:
        if len(self._waiting) > MOST_WAITING:
            self._waiting.clear()
            self._forget()
        else:
            await self._tell_some()
        if not self._waiting:
            self._settled.set()

    async def _tell_some(self) -> None:
        chosen = list(islice(self._waiting, BATCH))
        for one in chosen:
            del self._waiting[one]
        self._tell(await self._read(chosen))
        if self._waiting:
            self._woken.set()
