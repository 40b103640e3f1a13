"""Durations and byte sizes as people write them: `"250ms"`, `"1m30s"`, `"256MiB"`."""

import re
from datetime import timedelta
from functools import lru_cache
from typing import Final

_DURATION_UNITS: Final = {
    "d": timedelta(days=1),
    "h": timedelta(hours=1),
    "m": timedelta(minutes=1),
    "s": timedelta(seconds=1),
    "ms": timedelta(milliseconds=1),
}
_SIZE_UNITS: Final = {"GiB": 1 << 30, "MiB": 1 << 20, "KiB": 1 << 10, "B": 1}
DURATION_PATTERN: Final = "(?=.)" + "".join(f"([0-9]{{1,12}}{unit})?" for unit in _DURATION_UNITS)
"""What a duration is, but for its range, as a regular expression of Python and of ECMAScript."""
SIZE_PATTERN: Final = "[0-9]{1,15}(B|KiB|MiB|GiB)"
"""The same of a size."""
_DURATION: Final = re.compile(r"(?:[0-9]{1,12}(?:ms|[smhd]))+", re.ASCII)
_DURATION_PART: Final = re.compile(r"([0-9]+)(ms|[smhd])", re.ASCII)
_SIZE: Final = re.compile(r"([0-9]{1,15})(B|KiB|MiB|GiB)", re.ASCII)


@lru_cache(maxsize=1_024)
def parse_duration(text: str) -> timedelta:
    """Read a duration: whole numbers each followed by ms, s, m, h or d, the largest unit first.

    Raises:
        ValueError: it isn't one.
    """
    if not _DURATION.fullmatch(text):
        raise ValueError(f'"{text[:80]}" is not a duration')
    parts = _DURATION_PART.findall(text)
    order = [list(_DURATION_UNITS).index(unit) for _, unit in parts]
    if order != sorted(set(order)):
        raise ValueError(f'"{text[:80]}" is not a duration: each unit once, the largest first')
    try:
        return sum((int(number) * _DURATION_UNITS[unit] for number, unit in parts), timedelta())
    except OverflowError:
        raise ValueError(f'"{text[:80]}" is longer than any duration can be') from None


def format_duration(duration: timedelta) -> str:
    """Write a duration as `parse_duration` reads it. Parts under a millisecond are dropped."""
    rest, text = duration, ""
    for unit, length in _DURATION_UNITS.items():
        number, rest = divmod(rest, length)
        text += f"{number}{unit}" if number else ""
    return text or "0s"


def parse_size(text: str) -> int:
    """Read a byte size: one whole number followed by B, KiB, MiB or GiB.

    Raises:
        ValueError: it isn't one.
    """
    match = _SIZE.fullmatch(text)
    if match is None:
        raise ValueError(f'"{text[:80]}" is not a byte size')
    return int(match[1]) * _SIZE_UNITS[match[2]]


def format_size(size: int) -> str:
    """Write a byte size in the largest unit that divides it."""
    unit = next(unit for unit, factor in _SIZE_UNITS.items() if size % factor == 0 and (size or factor == 1))
    return f"{size // _SIZE_UNITS[unit]}{unit}"
