"""What a stream is: a terminal with a width and colours, or a pipe, where nothing is cut, coloured or relative."""

import shutil
from collections.abc import Mapping
from datetime import datetime
from typing import Final, NamedTuple, TextIO

_STYLES: Final = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "blue": "34", "magenta": "35"}
_STYLES_OF_STATES: Final = {
    "ok": "green",
    "active": "green",
    "ready": "green",
    "pending_at": "yellow",
    "locked": "blue",
    "running": "blue",
    "blocked": "blue",
    "paused": "magenta",
    "cancelling": "yellow",
    "cancelled": "yellow",
    "evicted": "yellow",
    "err": "red",
    "failed": "red",
    "refused": "red",
    "timed_out": "red",
    "trap": "red",
    "out_of_fuel": "red",
    "out_of_memory": "red",
    "limit_exceeded": "red",
    "nondeterminism": "red",
    "child_failed": "red",
    "rejected": "red",
    "uncategorized": "red",
}
_UNITS: Final = ((86_400, "d"), (3_600, "h"), (60, "m"), (1, "s"))


class Screen(NamedTuple):
    """How to write to a stream. Without a `width` it is a pipe."""

    width: int | None = None
    colours: bool = False

    @property
    def is_terminal(self) -> bool:
        """Tell if a person looks at it."""
        return self.width is not None

    def styled(self, text: str, style: str | None) -> str:
        """Colour a text, where there are colours."""
        if not self.colours or style is None or not text.strip():
            return text
        return f"\x1b[{_STYLES[style]}m{text}\x1b[0m"


def screen_of(stream: TextIO, environ: Mapping[str, str]) -> Screen:
    """Look at a stream. `NO_COLOR` is honoured, as no-color.org asks for, and a terminal that can't do anything."""
    try:
        terminal = stream.isatty()
    except ValueError:  # it is closed
        terminal = False
    if not terminal:
        return Screen()
    plain = environ.get("NO_COLOR") or environ.get("TERM") == "dumb"
    return Screen(shutil.get_terminal_size().columns, not plain)


def style_of_state(state: str) -> str | None:
    """Choose the colour of a state, which may have its lifecycle after a comma: that is what matters then."""
    return _STYLES_OF_STATES.get(state.rpartition(",")[2].strip())


def spoken(seconds: float) -> str:
    """Write a duration by its one or two greatest units: `45s`, `3m20s`, `2h5m`, `6d`."""
    left = round(seconds)
    for position, (size, unit) in enumerate(_UNITS):
        if left < size:
            continue
        count, rest = divmod(left, size)
        if count >= 10 or position + 1 == len(_UNITS):  # the smaller unit tells little then
            return f"{count}{unit}"
        small_size, small_unit = _UNITS[position + 1]
        smaller = rest // small_size
        return f"{count}{unit}" + (f"{smaller}{small_unit}" if smaller else "")
    return "0s"


def relative(text: str, now: datetime) -> str:
    """Write a time of the API as people say it: `3m20s ago`, `in 2h`, `now`. What is no time stays as it is."""
    try:
        seconds = (datetime.fromisoformat(text) - now).total_seconds()
    except (ValueError, TypeError):
        return text
    if abs(seconds) < 1:
        return "now"
    return f"in {spoken(seconds)}" if seconds > 0 else f"{spoken(-seconds)} ago"


def short_time(text: str) -> str:
    """Write a time of the API to the second."""
    return f"{text[:19]}Z" if text[19:20] in (".", "Z") else text
