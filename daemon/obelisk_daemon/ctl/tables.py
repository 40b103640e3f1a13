"""Tables that fit the terminal. On a pipe nothing is cut.

A column's title says what is in it. The first columns matter most: where even shortened ones don't fit, the last
ones are left out.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Final, Literal, TypeAlias

from obelisk_daemon.ctl.screen import Screen, style_of_state

Kind: TypeAlias = Literal["id", "name", "state", "time", "text"]
"""Ids and names are cut in the middle, since both ends tell something; ids last, since people copy them."""
_KINDS: Final[dict[str, Kind]] = {
    "ID": "id",
    "PARENT": "id",
    "EXECUTION": "id",
    "FUNCTION": "name",
    "DIGEST": "name",
    "PATH": "name",
    "STATE": "state",
    "OUTCOME": "state",
    "CREATED": "time",
    "CHANGED": "time",
    "ACTIVATED": "time",
    "STARTED": "time",
    "SEEN": "time",
    "EXPIRES": "time",
    "OLDEST": "time",
    "WHEN": "time",
    "DUE": "time",
}
_GAP: Final = "  "
_FLOORS: Final[dict[Kind, int]] = {"id": 12, "name": 12, "text": 10}
"""The least a column is shortened to. The others are short, and worth nothing in parts."""


def kind_of(title: str) -> Kind:
    """Tell what a column of this title holds."""
    return _KINDS.get(title, "text")


def table_lines(columns: Sequence[str], rows: Sequence[Sequence[str]], screen: Screen) -> Iterator[str]:
    """Lay out a table: a line of titles, then a line a row."""
    kinds = [kind_of(title) for title in columns]
    natural = [max(width_of(cell) for cell in cells) for cells in zip(columns, *rows, strict=True)]
    widths = natural if screen.width is None else _fitted(natural, kinds, columns, screen.width)
    shown = list(zip(kinds, widths, strict=False))
    yield _line([(title, "bold") for title in columns], shown, screen)
    for row in rows:
        cells = [
            (cell, style_of_state(cell) if kind == "state" else None) for cell, kind in zip(row, kinds, strict=True)
        ]
        yield _line(cells, shown, screen)


def width_of(text: str) -> int:
    """Count the columns that a text takes on a terminal."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def cut_end(text: str, width: int) -> str:
    """Shorten a text to so many columns of a terminal, and show that it is shortened."""
    return text if width_of(text) <= width else _first(text, width - 1) + "…"


def cut_middle(text: str, width: int) -> str:
    """Shorten a text in its middle, nearer to its start: of ids and functions the end tells more."""
    if width_of(text) <= width:
        return text
    head = (width - 1) // 3
    return _first(text, head) + "…" + _first(text[::-1], width - 1 - head)[::-1]


def _line(cells: Sequence[tuple[str, str | None]], shown: Sequence[tuple[Kind, int]], screen: Screen) -> str:
    parts = []
    for (text, style), (kind, width) in zip(cells, shown, strict=False):
        cut: Callable[[str, int], str] = cut_middle if kind in ("id", "name") else cut_end
        written = cut(text, width)
        parts.append(screen.styled(written, style) + " " * (width - width_of(written)))
    return _GAP.join(parts).rstrip()


def _fitted(natural: Sequence[int], kinds: Sequence[Kind], titles: Sequence[str], room: int) -> list[int]:
    """Choose the widths: first shorten what is not an id, then ids, then leave the last columns out."""
    floors = [
        min(width, max(len(title), _FLOORS.get(kind, width)))
        for width, kind, title in zip(natural, kinds, titles, strict=True)
    ]
    for count in range(len(natural), 0, -1):
        widths = list(natural[:count])
        over = sum(widths) + len(_GAP) * (count - 1) - room
        for shortens_ids in (False, True):
            chosen = [at for at in range(count) if shortens_ids or kinds[at] != "id"]
            over = _shorten(widths, floors, chosen, over)
        if over <= 0 or count == 1:
            break
    return [min(width, room) for width in widths]


def _shorten(widths: list[int], floors: Sequence[int], chosen: Sequence[int], over: int) -> int:
    """Take columns from the widest ones until enough is gone; give how much is still too much."""
    while over > 0:
        spare = [at for at in chosen if widths[at] > floors[at]]
        if not spare:
            return over
        widths[max(spare, key=lambda at: widths[at])] -= 1
        over -= 1
    return over


def _first(text: str, width: int) -> str:
    if text.isascii():
        return text[:width]
    from rich.cells import set_cell_size

    return set_cell_size(text, width).rstrip()
