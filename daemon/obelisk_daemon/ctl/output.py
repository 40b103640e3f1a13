"""What a command prints: tables and lines for people, or exactly one JSON document for programs."""

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any, Final

from obelisk_daemon.ctl.failure import CtlError

_WIDE: Final = 1_000
"""Columns of a table that no terminal shows: nothing is cut off for a pipe."""
_CONTROLS: Final = {code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0)) if code not in (9, 10)}


class Output:
    """Writes to stdout and stderr; with `as_json`, stdout gets one document and people's text goes nowhere."""

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json

    def document(self, document: Mapping[str, Any]) -> None:
        """Print a JSON document."""
        sys.stdout.write(to_text(document) + "\n")
        sys.stdout.flush()

    def line(self, text: str) -> None:
        """Print a line for people; what guests wrote can't steer the terminal."""
        if not self.as_json:
            sys.stdout.write(printable(text) + "\n")
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
            self.line(f"{name:<{width}}  {first}")
            for line in rest:
                self.line(f"{'':<{width}}  {line}")

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Print a table, or that there is nothing to show."""
        if not rows:
            self.note("none")
            return
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None, pad_edge=False, header_style="bold")
        for column in columns:
            table.add_column(column, overflow="fold")
        for row in rows:
            table.add_row(*(Text(printable(cell)) for cell in row))
        terminal = sys.stdout.isatty()
        Console(markup=False, highlight=False, emoji=False, width=None if terminal else _WIDE).print(table)


def to_text(value: object) -> str:
    """Write JSON on one line, with the characters as they are."""
    return json.dumps(value, ensure_ascii=False)


def printable(text: str) -> str:
    """Write control characters as escapes, but for tab and line end."""
    return text.translate(_CONTROLS)


def shortened(text: str, length: int) -> str:
    """Cut a long text."""
    return text if len(text) <= length else text[: length - 1] + "…"
