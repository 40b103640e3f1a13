"""Instants as text."""

import pytest

from obelisk_daemon.clock import Instant, from_rfc3339, to_rfc3339
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
