"""The clocks an activity sees: those of the daemon."""

import asyncio

from obelisk_daemon.clock import Clock


class ActivityClock:
    """`WasiClock` of activities, over the daemon's clock."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def wall_ns(self) -> int:
        """Read the wall clock."""
        return self._clock.now() * 1_000

    def monotonic_ns(self) -> int:
        """Read the monotonic clock."""
        return int(self._clock.monotonic() * 1e9)

    async def sleep_until(self, monotonic_ns: int) -> None:
        """Sleep until the monotonic clock has come as far."""
        while (left := monotonic_ns - self.monotonic_ns()) > 0:  # noqa: ASYNC110 - a sleep may end a little early
            await asyncio.sleep(left / 1e9)
