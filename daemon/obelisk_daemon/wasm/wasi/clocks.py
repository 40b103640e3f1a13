"""wasi:clocks, and the clock of activities.

A workflow's clock stands still between the events of its log. A guest that waited for it would wait for ever, and one
that waited for the real clock would not be deterministic. So with `time_stands_still` a timer is ready at once, and
waiting for it moves the guest's monotonic clock on to its instant: a guest that loops until `now() >= deadline` ends,
timers come in their order, and what the guest sees depends on its own calls only. The wall clock stays with the log.
To really wait, a workflow calls `sleep` of the host.
"""

import asyncio
from collections.abc import Mapping
from typing import Final

from obelisk_daemon.clock import Clock
from obelisk_daemon.wasm.wasi.context import HandlerTable, WasiContext, WasiGuest, wasi_of
from obelisk_daemon.wasm.wasi.poll import Pollable

_SECOND: Final = 1_000_000_000
_MAX_SLEEP: Final = 3_600.0
_LATEST: Final = 1 << 63
"""A guest may wait "for ever"; its clock, moved there, must still fit 64 bits."""


class ActivityClock:
    """The daemon's clock, as a guest sees it."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def wall_ns(self) -> int:
        """Read nanoseconds since the Unix epoch."""
        return self._clock.now() * 1_000

    def monotonic_ns(self) -> int:
        """Read nanoseconds of a clock that never goes back."""
        return int(self._clock.monotonic() * _SECOND)

    async def sleep_until(self, monotonic_ns: int) -> None:
        """Sleep on the loop until the clock has reached this; the loop may wake early, so look again."""
        while (left := monotonic_ns - self.monotonic_ns()) > 0:  # noqa: ASYNC110 - no event: it is the time
            await asyncio.sleep(min(left / _SECOND, _MAX_SLEEP))


def monotonic_ns(wasi: WasiContext) -> int:
    """Read the guest's monotonic clock."""
    return wasi.clock.monotonic_ns() + wasi.skipped_ns


class Timer(Pollable):
    """Ready from an instant of the guest's monotonic clock on."""

    def __init__(self, wasi: WasiContext, at_ns: int) -> None:
        self._wasi = wasi
        self._at_ns = min(at_ns, _LATEST)

    def ready(self) -> bool:
        """Compare with the clock."""
        return monotonic_ns(self._wasi) >= self._at_ns

    async def wait(self) -> None:
        """Wait for the instant."""
        await self._wasi.clock.sleep_until(self._at_ns)

    def due_ns(self) -> int | None:
        """Give the instant when time stands still."""
        return self._at_ns if self._wasi.time_stands_still else None

    def move_clock(self) -> None:
        """Move the monotonic clock on to the instant."""
        self._wasi.skipped_ns += max(0, self._at_ns - monotonic_ns(self._wasi))


def _now(guest: WasiGuest) -> int:
    return monotonic_ns(wasi_of(guest))


def _resolution(_guest: WasiGuest) -> int:
    return 1_000


def _subscribe_instant(guest: WasiGuest, at_ns: int) -> int:
    return guest.table.new(Timer(wasi_of(guest), at_ns))


def _subscribe_duration(guest: WasiGuest, duration_ns: int) -> int:
    wasi = wasi_of(guest)
    return guest.table.new(Timer(wasi, monotonic_ns(wasi) + duration_ns))


def _wall_now(guest: WasiGuest) -> Mapping[str, int]:
    seconds, nanoseconds = divmod(wasi_of(guest).clock.wall_ns(), _SECOND)
    return {"seconds": seconds, "nanoseconds": nanoseconds}


def _wall_resolution(_guest: WasiGuest) -> Mapping[str, int]:
    return {"seconds": 0, "nanoseconds": 1_000}


def _zone(_guest: WasiGuest, _when: Mapping[str, int]) -> Mapping[str, object]:
    return {"utc_offset": 0, "name": "UTC", "in_daylight_saving_time": False}


def _utc_offset(_guest: WasiGuest, _when: Mapping[str, int]) -> int:
    return 0


HANDLERS: Final[HandlerTable] = {
    "clocks/monotonic-clock.now": _now,
    "clocks/monotonic-clock.resolution": _resolution,
    "clocks/monotonic-clock.subscribe-instant": _subscribe_instant,
    "clocks/monotonic-clock.subscribe-duration": _subscribe_duration,
    "clocks/wall-clock.now": _wall_now,
    "clocks/wall-clock.resolution": _wall_resolution,
    "clocks/timezone.display": _zone,
    "clocks/timezone.utc-offset": _utc_offset,
}
