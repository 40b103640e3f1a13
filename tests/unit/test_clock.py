"""The clock of a machine that may be set, and instants as text."""

import pytest

from obelisk_daemon.clock import Instant, SystemClock, from_rfc3339, to_rfc3339
from tests.fakes.clock import START


@pytest.mark.parametrize(
    "text",
    [
        "2026-01-02T03:04:05Z",
        "2026-01-02t03:04:05z",
        "2026-01-02 03:04:05Z",
        "2026-01-02T03:04:05.000000Z",
        "2026-01-02T03:04:05.000000999Z",
        "2026-01-02T04:04:05+01:00",
        "2026-01-01T21:34:05.0-05:30",
    ],
)
def test_an_instant_is_read_with_its_offset(text: str) -> None:
    assert from_rfc3339(text) == START


@pytest.mark.parametrize("instant", [0, -1, START + 1, 253_402_300_799_999_999])
def test_an_instant_is_read_as_it_was_written(instant: int) -> None:
    assert from_rfc3339(to_rfc3339(Instant(instant))) == instant


def test_a_year_has_four_digits() -> None:
    assert to_rfc3339(from_rfc3339("0105-01-07T09:17:52Z")) == "0105-01-07T09:17:52.000000Z"


@pytest.mark.parametrize(
    "text",
    [
        "", "now", "2026-01-02", "2026-01-02T03:04:05", "2026-01-02T03:04Z", "20260102T030405Z", "2026-W01-5T03:04:05Z",
        "2026-02-30T03:04:05Z", "2026-01-02T24:00:01Z", "2026-01-02T03:04:05+25:00", "\uff12026-01-02T03:04:05Z",
        "2026-01-02T03:04:05Z\n", "0000-01-02T03:04:05Z", "x" * 10_000,
    ],
)  # fmt: skip
def test_what_is_no_instant_is_refused_briefly(text: str) -> None:
    with pytest.raises(ValueError, match="no time") as refused:
        from_rfc3339(text)
    assert len(str(refused.value)) < 300


class Machine:
    """A machine's clocks, in nanoseconds."""

    def __init__(self) -> None:
        self.wall = START * 1_000
        self.ticks = 7

    def clock(self) -> SystemClock:
        return SystemClock(lambda: self.wall, lambda: self.ticks)

    def run(self, seconds: float) -> None:
        self.wall += round(seconds * 1e9)
        self.ticks += round(seconds * 1e9)


def test_the_clock_is_the_machines() -> None:
    machine = Machine()
    clock = machine.clock()
    for seconds in (0, 1, 3_600, 0.000_001):
        machine.run(seconds)
        assert clock.now() == machine.wall // 1_000


def test_a_clock_that_is_set_forward_is_followed_at_once() -> None:
    machine = Machine()
    clock = machine.clock()
    machine.wall += 7_200_000_000_000
    assert clock.now() == machine.wall // 1_000


def test_a_clock_that_is_set_back_is_waited_for_at_half_speed_and_never_goes_back() -> None:
    machine = Machine()
    clock = machine.clock()
    before = clock.now()
    machine.wall -= 60_000_000_000
    assert clock.now() == before
    machine.run(10)
    assert clock.now() == before + 5_000_000
    machine.run(109)
    assert machine.wall // 1_000 < clock.now() == before + 59_500_000
    machine.run(2)
    assert clock.now() == machine.wall // 1_000
