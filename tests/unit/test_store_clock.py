"""The clock of a shared database: never ahead of the database's time, and never going back."""

import pytest

from obelisk_daemon.clock import Instant
from obelisk_daemon.storage.store_clock import Sample, StoreClock, better
from tests.fakes.clock import START

pytestmark = pytest.mark.anyio
SECOND = 1_000_000
ALLOWED_DRIFT = SECOND // 1_000


class FakeDatabase:
    """A database whose time is read over a slow wire, and the monotonic clock of the machine that asks."""

    def __init__(self) -> None:
        self.monotonic = 100.0
        self.ahead = 0
        """How far its clock was set forward, in microseconds."""
        self.takes = [0.0]
        """What the next answers take, half of it on the way there; the last one for ever."""
        self.clock = StoreClock(self.read, lambda: self.monotonic)

    @property
    def time(self) -> int:
        return START + round((self.monotonic - 100) * SECOND) + self.ahead

    async def read(self) -> Instant:
        taken = self.takes.pop(0) if len(self.takes) > 1 else self.takes[0]
        self.monotonic += taken / 2
        at = self.time
        self.monotonic += taken / 2
        return Instant(at)

    async def ask(self, *takes: float) -> None:
        self.takes = list(takes)
        await self.clock.synchronize()


async def test_between_samples_time_goes_on_by_the_monotonic_clock() -> None:
    database = FakeDatabase()
    await database.ask(0.0)
    database.monotonic += 1
    assert 0 <= database.time - database.clock.now() <= ALLOWED_DRIFT


async def test_time_is_never_ahead_of_the_databases_however_long_the_answer_took() -> None:
    database = FakeDatabase()
    await database.ask(2.0)
    assert database.clock.now() == database.time - SECOND


async def test_the_quickest_answer_counts() -> None:
    database = FakeDatabase()
    await database.ask(2.0, 0.2, 1.0)
    assert abs(database.time - database.clock.now() - SECOND // 10) <= ALLOWED_DRIFT


async def test_a_slow_answer_does_not_replace_a_quick_one() -> None:
    database = FakeDatabase()
    await database.ask(0.0)
    await database.ask(4.0)
    assert 0 <= database.time - database.clock.now() <= 12 * ALLOWED_DRIFT


async def test_an_old_sample_is_replaced_by_a_slower_one_once_it_says_less() -> None:
    database = FakeDatabase()
    await database.ask(0.0)
    database.monotonic += 10_000  # in which it may have drifted by 5 s
    await database.ask(0.1)
    assert database.time - database.clock.now() == pytest.approx(SECOND // 20, abs=ALLOWED_DRIFT)


async def test_time_follows_a_database_whose_clock_was_set_forward() -> None:
    database = FakeDatabase()
    await database.ask(0.0)
    database.ahead = 60 * SECOND
    await database.ask(0.5)
    assert 0 <= database.time - database.clock.now() <= SECOND


async def test_time_stands_still_until_a_database_whose_clock_was_set_back_has_caught_up() -> None:
    database = FakeDatabase()
    await database.ask(0.0)
    before = database.clock.now()
    database.ahead = -5 * SECOND
    await database.ask(0.0)
    assert database.clock.now() == before
    database.monotonic += 6
    assert 0 <= database.time - database.clock.now() <= 12 * ALLOWED_DRIFT


async def test_a_fast_clock_of_this_machine_does_not_get_ahead() -> None:
    slow_by = 0.0004
    sample = Sample(0.0, START, 0.0)
    for elapsed in (1.0, 60.0, 3600.0):
        assert sample.earliest(elapsed) <= START + elapsed * (1 - slow_by) * SECOND
        assert sample.latest(elapsed) >= START + elapsed * (1 + slow_by) * SECOND


def test_of_two_samples_that_agree_the_one_that_says_more_is_kept() -> None:
    wide, narrow = Sample(0.0, START, 2.0), Sample(2.0, Instant(START + SECOND), 2.0)
    assert better(None, wide) == wide
    assert better(wide, narrow) == narrow
    assert better(narrow, Sample(2.0, Instant(START + 2 * SECOND), 4.0)) == narrow
