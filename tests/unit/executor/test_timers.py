"""When timers look at the clock."""

import asyncio
from datetime import timedelta

import pytest

from obelisk_daemon.clock import Instant, after
from obelisk_daemon.executor.timers import Timers
from tests.fakes.clock import ManualClock

pytestmark = pytest.mark.anyio


class Delays:
    """A store with one delay, due in an hour, and then in another one; tells when somebody asks for what is due."""

    def __init__(self, clock: ManualClock) -> None:
        self._due_at = after(clock.now(), timedelta(hours=1))
        self.asked: asyncio.Queue[Instant] = asyncio.Queue()

    async def fire_delays(self, at: Instant, limit: int) -> int:
        self.asked.put_nowait(at)
        if at >= self._due_at:
            self._due_at = after(at, timedelta(hours=1))
        return 0

    async def next_due(self, after: Instant) -> Instant:
        return self._due_at


async def test_what_is_noted_after_the_clock_was_set_forward_has_the_timers_look_at_it() -> None:
    clock = ManualClock()
    delays = Delays(clock)
    timers = Timers(delays, clock, lambda: None)
    task = asyncio.create_task(timers.run())
    async with asyncio.timeout(4):  # before they would look by themselves
        await delays.asked.get()
        while timers._next is None:
            await asyncio.sleep(0)
        now = clock.advance(timedelta(hours=2))
        timers.note(after(now, timedelta(minutes=5)))
        assert await delays.asked.get() == now
    task.cancel()
    await asyncio.wait([task])
