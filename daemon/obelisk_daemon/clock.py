"""Where time comes from. Nothing below the supervisor reads a global clock.

Instants inside the daemon are integers: microseconds since the Unix epoch, UTC. They are exact, ordered, small in
the database and free of time zones.
"""

import time
from datetime import UTC, datetime, timedelta
from typing import NewType, Protocol

Instant = NewType("Instant", int)
"""Microseconds since the Unix epoch, UTC."""


class Clock(Protocol):
    """A wall clock for instants that are stored, and a monotonic one for durations."""

    def now(self) -> Instant:
        """Read the wall clock."""
        ...

    def monotonic(self) -> float:
        """Read seconds of a clock that never goes back."""
        ...


class SystemClock:
    """The clocks of this machine. The wall clock is monotonic within the process.

    A backward step of the machine's clock must not fire a timer twice (DESIGN.md section 4, invariant 8), so the
    last instant read is the least that is ever given again.
    """

    def __init__(self) -> None:
        self._latest = 0

    def now(self) -> Instant:
        """Read the wall clock, never going back."""
        self._latest = max(self._latest, time.time_ns() // 1000)
        return Instant(self._latest)

    def monotonic(self) -> float:
        """Read seconds of the monotonic clock."""
        return time.monotonic()


def after(instant: Instant, duration: timedelta) -> Instant:
    """Add a duration to an instant, exactly."""
    return Instant(instant + duration // timedelta(microseconds=1))


def to_rfc3339(instant: Instant) -> str:
    """Write an instant as people and JSON read it: `2026-01-31T12:00:00.000000Z`."""
    seconds, micros = divmod(instant, 1_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{micros:06d}Z"
