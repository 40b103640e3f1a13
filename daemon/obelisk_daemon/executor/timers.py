"""Durable timers: one task sleeps until the earliest is due, however many there are."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Final

import structlog

from obelisk_daemon.clock import Clock, Instant
from obelisk_daemon.errors import StorageUnavailableError
from obelisk_daemon.storage.upkeep import TimerStore

_BATCH: Final = 500
_RETRY: Final = timedelta(seconds=1)
_log = structlog.get_logger("timers")
_LONGEST_SLEEP: Final = timedelta(seconds=5)
"""A wall clock may be set; no sleep relies on it for longer than this."""


class Timers:
    """Turns due delays into responses, and calls `wake` when pending executions become due."""

    def __init__(self, store: TimerStore, clock: Clock, wake: Callable[[], None]) -> None:
        self._store = store
        self._clock = clock
        self._wake = wake
        self._next: Instant | None = None
        self._sooner = asyncio.Event()

    def note(self, due_at: Instant) -> None:
        """Take notice of something that is due then."""
        if self._next is None or due_at < self._next:
            self._next = due_at
            self._sooner.set()
        elif self._next <= self._clock.now():  # the clock was set forward while this sleeps
            self._sooner.set()

    async def run(self) -> None:
        """Fire what is due, for ever."""
        while True:
            try:
                await self._fire()
            except StorageUnavailableError as error:
                _log.error("timers_failed", code=error.code, detail=str(error))
                await asyncio.sleep(_RETRY.total_seconds())
            else:
                await self._sleep()

    async def _fire(self) -> None:
        now = self._clock.now()
        while await self._store.fire_delays(now, _BATCH) == _BATCH:
            pass
        self._wake()
        self._sooner.clear()
        self._next = None
        self._next = _earlier(await self._store.next_due(now), self._next)

    async def _sleep(self) -> None:
        """Sleep until the next is due, or something sooner is noted. Never returns early by the clock of `fire`."""
        while self._next is None or self._next > self._clock.now():
            left = _LONGEST_SLEEP.total_seconds()
            if self._next is not None:
                left = min(left, (self._next - self._clock.now()) / 1_000_000)
            try:
                async with asyncio.timeout(max(left, 0)):
                    await self._sooner.wait()
                    self._sooner.clear()
            except TimeoutError:
                continue


def _earlier(one: Instant | None, other: Instant | None) -> Instant | None:
    known = [at for at in (one, other) if at is not None]
    return min(known, default=None)
