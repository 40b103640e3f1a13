"""The clock of a database that several hosts share: its time, sampled, and this machine's monotonic clock between.

What is stored by one host is judged by others, so no host goes by its own wall clock. The time given is never ahead of
the database's: by it, no timer fires early and no lease ends early, whatever a sample's answer took on its way.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Final

import msgspec
import structlog

from obelisk_daemon.clock import Instant
from obelisk_daemon.errors import StorageUnavailableError

_DRIFT: Final = 0.0005
"""How much faster a machine's clock may run than another's: what NTP slews by at most."""
_SAMPLES: Final = 3
"""How often the time is asked for in a row: the quickest answer counts."""
_EVERY: Final = timedelta(seconds=10)
_log: Final = structlog.get_logger("store_clock")


class Sample(msgspec.Struct, frozen=True):
    """The database's time, and this machine's monotonic seconds when it was asked for and when the answer was here."""

    asked: float
    at: Instant
    answered: float

    def latest(self, monotonic: float) -> float:
        """Give the latest that the database's time can be, in microseconds."""
        return self.at + (monotonic - self.asked) * 1_000_000 + self._drift(monotonic)

    def earliest(self, monotonic: float) -> float:
        """Give the earliest that the database's time can be, in microseconds."""
        return self.at + (monotonic - self.answered) * 1_000_000 - self._drift(monotonic)

    def error(self, monotonic: float) -> float:
        """Give how far apart the two are: it grows with the age of the sample."""
        return self.latest(monotonic) - self.earliest(monotonic)

    def _drift(self, monotonic: float) -> float:
        return (monotonic - self.answered) * _DRIFT * 1_000_000


def better(old: Sample | None, new: Sample) -> Sample:
    """Choose the sample to go by: the one that says more, unless the new one shows that the old one is wrong.

    The database's clock may have been set, or another server may have taken over: then only the new one holds.
    """
    if old is None:
        return new
    at = new.answered
    if new.earliest(at) > old.latest(at) or new.latest(at) < old.earliest(at):
        return new
    return new if new.error(at) <= old.error(at) else old


class StoreClock:
    """`Clock` by a database's time. The time never goes back, and stands still while the database's is behind it."""

    def __init__(self, read: Callable[[], Awaitable[Instant]], monotonic: Callable[[], float]) -> None:
        self._read = read
        self.monotonic = monotonic
        self._sample: Sample | None = None
        self._given = 0

    def now(self) -> Instant:
        """Give the earliest that the database's time can be; `synchronize` must have been called."""
        assert self._sample is not None
        self._given = max(self._given, int(self._sample.earliest(self.monotonic())))
        return Instant(self._given)

    async def synchronize(self) -> None:
        """Ask the database for its time.

        Raises:
            StorageUnavailableError: it doesn't answer; the clock goes on by what it knows.
        """
        for _ in range(_SAMPLES):
            asked = self.monotonic()
            at = await self._read()
            self._sample = better(self._sample, Sample(asked, at, self.monotonic()))

    async def run(self) -> None:
        """Ask again and again, for ever: two clocks drift apart, and either may be set."""
        while True:
            await asyncio.sleep(_EVERY.total_seconds())
            try:
                await self.synchronize()
            except StorageUnavailableError as error:
                _log.warning("time_unknown", code=error.code, detail=str(error))
