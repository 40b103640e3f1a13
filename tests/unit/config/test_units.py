"""Durations and byte sizes."""

import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from obelisk_config import format_duration, format_size, parse_duration, parse_size
from obelisk_config.units import DURATION_PATTERN, SIZE_PATTERN


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("250ms", timedelta(milliseconds=250)),
        ("30s", timedelta(seconds=30)),
        ("5m", timedelta(minutes=5)),
        ("1h", timedelta(hours=1)),
        ("7d", timedelta(days=7)),
        ("1d2h3m4s5ms", timedelta(days=1, hours=2, minutes=3, seconds=4, milliseconds=5)),
        ("90s", timedelta(minutes=1, seconds=30)),
        ("0s", timedelta()),
    ],
)
def test_a_duration_is_the_sum_of_its_parts(text: str, duration: timedelta) -> None:
    assert parse_duration(text) == duration


@pytest.mark.parametrize(
    "text", ["", "s", "30", "30 s", " 30s", "-1s", "+1s", "1.5s", "30S", "1s1s", "1s1m", "1ms1s", "٣s", "1s\n", "1w"]
)
def test_anything_else_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration"):
        parse_duration(text)


def test_a_duration_beyond_what_python_holds_is_refused() -> None:
    with pytest.raises(ValueError, match="longer than"):
        parse_duration("999999999999d")


@given(st.integers(0, 10**14))
def test_a_duration_reads_back_as_it_was_written(milliseconds: int) -> None:
    duration = timedelta(milliseconds=milliseconds)
    assert parse_duration(format_duration(duration)) == duration


@pytest.mark.parametrize(("text", "size"), [("0B", 0), ("1KiB", 1024), ("256MiB", 256 << 20), ("4GiB", 4 << 30)])
def test_a_size_is_its_number_times_its_unit(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "1", "1MB", "1mib", "1 MiB", "1.5MiB", "-1B", "1MiB1KiB", "٣B"])
def test_anything_else_is_no_size(text: str) -> None:
    with pytest.raises(ValueError, match="is not a byte size"):
        parse_size(text)


@given(st.integers(0, 10**15 - 1))
def test_a_size_reads_back_as_it_was_written(size: int) -> None:
    assert parse_size(format_size(size)) == size


def is_read(parse: Callable[[str], object], text: str) -> bool:
    try:
        parse(text)
    except ValueError:
        return False
    return True


@given(st.text("1dhms ", max_size=8) | st.from_regex(DURATION_PATTERN, fullmatch=True, alphabet="1dhms"))
@example("9" * 12 + "ms")
@example("9" * 13 + "ms")
def test_a_pattern_says_what_a_duration_is(text: str) -> None:
    assume(not re.search("1{8}", text))  # what is longer than any duration can be
    assert is_read(parse_duration, text) == bool(re.fullmatch(DURATION_PATTERN, text))


@given(st.text("1BKMGi ", max_size=8) | st.from_regex(SIZE_PATTERN, fullmatch=True))
@example("9" * 15 + "GiB")
@example("9" * 16 + "B")
def test_a_pattern_says_what_a_size_is(text: str) -> None:
    assert is_read(parse_size, text) == bool(re.fullmatch(SIZE_PATTERN, text))
