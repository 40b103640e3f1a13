"""A clock that stands still until the test moves it."""

from datetime import timedelta

from obelisk_daemon.clock import Instant, after

START = Instant(1_767_323_045_000_000)
"""2026-01-02T03:04:05Z."""


class ManualClock:
    """Both clocks of `Clock`. Moving it back moves the wall clock only, as setting a machine's clock does."""

    def __init__(self, start: Instant = START) -> None:
        self._now = start
        self._monotonic = 0.0

    def now(self) -> Instant:
        return self._now

    def monotonic(self) -> float:
        return self._monotonic

    def advance(self, duration: timedelta) -> Instant:
        """Move on, and give the new time."""
        self._now = after(self._now, duration)
        self._monotonic += max(duration.total_seconds(), 0.0)
        return self._now
