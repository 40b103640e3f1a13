"""Clocks that are wrong in the ways that clocks are: ahead or behind, too fast or too slow, and set by somebody."""

from collections.abc import Callable
from datetime import timedelta

from obelisk_daemon.clock import Instant, after
from tests.fakes.clock import START


class MachineClock:
    """The wall clock and the monotonic clock of one machine; `true_time` gives seconds since the world began."""

    def __init__(self, true_time: Callable[[], float], offset: timedelta = timedelta(), rate: float = 1.0) -> None:
        self.rate = rate
        self._true_time = true_time
        self._start = self._furthest = after(START, offset)

    def wall(self) -> Instant:
        """Read the wall clock."""
        return Instant(self._start + int(self.monotonic() * 1_000_000))

    def monotonic(self) -> float:
        """Read the monotonic clock, in seconds."""
        return self._true_time() * self.rate

    def jump(self, by: timedelta) -> None:
        """Set the wall clock forward, or back."""
        self._start = after(self._start, by)
        self._furthest = max(self._furthest, self._start)

    def furthest(self) -> Instant:
        """Give the latest time that anyone may think it is who has not heard that the clock was set back."""
        return Instant(self._furthest + int(self.monotonic() * 1_000_000))


class NeverBack:
    """A clock of one process: it never goes back in it, as `SystemClock` doesn't."""

    def __init__(self, machine: MachineClock) -> None:
        self._machine = machine
        self.monotonic = machine.monotonic
        self._latest = Instant(0)

    def now(self) -> Instant:
        """Read the wall clock, never going back."""
        self._latest = max(self._latest, self._machine.wall())
        return self._latest
