"""What a command prints: tables and lines for people, or exactly one JSON document for programs."""

import json
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import Any, Final

from obelisk_daemon.ctl.failure import CtlError
from obelisk_daemon.ctl.progress import Progress, progress
from obelisk_daemon.ctl.screen import Screen, relative, screen_of, short_time, style_of_state

_CONTROLS: Final = {code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0)) if code not in (9, 10)}


def _now() -> datetime:
    return datetime.fromtimestamp(time.time_ns() / 1e9, UTC)


class Output:
    """Writes to stdout and stderr; with `as_json`, stdout gets one document and people's text goes nowhere."""

    def __init__(self, *, as_json: bool, now: Callable[[], datetime] = _now) -> None:
        self.as_json = as_json
        self.screen = Screen() if as_json else screen_of(sys.stdout, os.environ)
        self._now = now

    def document(self, document: Mapping[str, Any]) -> None:
        """Print a JSON document."""
        sys.stdout.write(to_text(document) + "\n")
        sys.stdout.flush()

    def line(self, text: str) -> None:
        """Print a line for people; what guests wrote can't steer the terminal."""
        if not self.as_json:
            sys.stdout.write(printable(text) + "\n")
            sys.stdout.flush()

    def _put(self, head: str, text: str, style: str | None) -> None:
        if not self.as_json:
            sys.stdout.write(head + self.screen.styled(printable(text), style) + "\n")
            sys.stdout.flush()

    def note(self, text: str) -> None:
        """Tell people something beside the output."""
        sys.stderr.write(printable(text) + "\n")
        sys.stderr.flush()

    def failure(self, error: CtlError) -> None:
        """Print an error: to people what is wrong, to programs its code."""
        self.note(f"obelisk-ctl: {error}")
        if self.as_json:
            self.document({**error.told, "error": {"code": error.code, "message": str(error)}})

    def fields(self, fields: Mapping[str, object]) -> None:
        """Print names and values, one a line; values that are None or empty are left out."""
        shown = {name: value for name, value in fields.items() if value not in (None, "", [], {})}
        width = max(map(len, shown), default=0)
        for name, value in shown.items():
            first, *rest = (value if isinstance(value, str) else to_text(value)).split("\n")
            if name.endswith("_at") and self.screen.is_terminal:
                first = f"{first} ({self.when(first)})"
            self._put(f"{name:<{width}}  ", first, style_of_state(first) if name == "state" else None)
            for line in rest:
                self.line(f"{'':<{width}}  {line}")

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Print a table, or that there is nothing to show. Put the columns that matter most first.

        Columns of times take them as the API gives them; `ctl.tables` knows by its title what a column holds.
        """
        if not rows:
            self.note("none")
            return
        cells = [[self._cell(title, cell) for title, cell in zip(columns, row, strict=True)] for row in rows]
        from obelisk_daemon.ctl.tables import table_lines

        for line in table_lines(columns, cells, self.screen):
            sys.stdout.write(line + "\n")
        sys.stdout.flush()

    def when(self, text: str) -> str:
        """Write a time of the API: to people at a terminal how long ago it was, else to the second."""
        return relative(text, self._now()) if self.screen.is_terminal else short_time(text)

    def progress(self, text: str, *, total: float | None = None) -> AbstractContextManager[Progress]:
        """Show the progress of what the block does, where a person looks on; `done` of the total counts as it likes."""
        return progress(text, Screen() if self.as_json else screen_of(sys.stderr, os.environ), total=total)

    def _cell(self, title: str, text: str) -> str:
        from obelisk_daemon.ctl.tables import kind_of

        written = self.when(text) if kind_of(title) == "time" else text
        return printable(written).replace("\n", "\\n").replace("\t", " ")


def to_text(value: object) -> str:
    """Write JSON on one line, with the characters as they are."""
    return json.dumps(value, ensure_ascii=False)


def printable(text: str) -> str:
    """Write control characters as escapes, but for tab and line end."""
    return text.translate(_CONTROLS)


def shortened(text: str, length: int) -> str:
    """Cut a long text."""
    return text if len(text) <= length else text[: length - 1] + "…"
