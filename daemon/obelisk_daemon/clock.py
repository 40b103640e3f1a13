"""Where time comes from. Nothing below the supervisor reads a global clock.

Instants inside the daemon are integers: microseconds since the Unix epoch, UTC. They are exact, ordered, small in
the database and free of time zones.
"""

import re
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final, NewType, Protocol

Instant = NewType("Instant", int)
"""Microseconds since the Unix epoch, UTC."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_RFC3339: Final = re.compile(r"\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}:\d{2}(\.\d{1,9})?([Zz]|[+-]\d{2}:\d{2})", re.ASCII)


class Clock(Protocol):
    """A wall clock for instants that are stored, and a monotonic one for durations."""

    def now(self) -> Instant:
        """Read the wall clock."""
        ...

    def monotonic(self) -> float:
        """Read seconds of a clock that never goes back."""
        ...


class SystemClock:
    """The clocks of this machine. The wall clock never goes back within the process, and never stands still.

    A backward step of the machine's clock must not fire a timer twice (DESIGN.md section 4, invariant 8), nor hold up
    all timers until it is where it was. So after one, this clock goes on at half speed until the machine's is there.
    `wall` and `ticks` are nanoseconds.
    """

    def __init__(self, wall: Callable[[], int] = time.time_ns, ticks: Callable[[], int] = time.monotonic_ns) -> None:
        self._wall = wall
        self._ticks = ticks
        self._latest = 0
        self._latest_tick = ticks()

    def now(self) -> Instant:
        """Read the wall clock, never going back."""
        tick = self._ticks()
        self._latest = max(self._wall(), self._latest + (tick - self._latest_tick) // 2)
        self._latest_tick = tick
        return Instant(self._latest // 1_000)

    def monotonic(self) -> float:
        """Read seconds of the monotonic clock."""
        return time.monotonic()


def after(instant: Instant, duration: timedelta) -> Instant:
    """Add a duration to an instant, exactly."""
    return Instant(instant + duration // timedelta(microseconds=1))


def to_rfc3339(instant: Instant) -> str:
    """Write an instant as people and JSON read it: `2026-01-31T12:00:00.000000Z`."""
    seconds, micros = divmod(instant, 1_000_000)
    # strftime would write the year 105 with three digits
    return f"{datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None).isoformat()}.{micros:06d}Z"


def from_rfc3339(text: str) -> Instant:
    """Read an instant as people and JSON write it, with its offset from UTC. What is below a microsecond is dropped.

    Raises:
        ValueError: it isn't one.
    """
    if not _RFC3339.fullmatch(text):
        raise ValueError(f"{text[:80]!r} is no time as in RFC 3339, such as 2026-01-31T12:00:00Z")
    try:
        read = datetime.fromisoformat(text.upper())
    except ValueError as error:
        raise ValueError(f"{text[:80]!r} is no time: {error}") from None
    return instant_of(read)


def instant_of(moment: datetime) -> Instant:
    """Give the instant of a date and time that has an offset from UTC."""
    return Instant((moment - _EPOCH) // timedelta(microseconds=1))
