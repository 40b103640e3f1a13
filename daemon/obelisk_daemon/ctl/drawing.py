"""Lines that are drawn again and again at the same place of a terminal."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from obelisk_daemon.ctl.screen import Screen
from obelisk_daemon.ctl.tree_view import Part

_A_SECOND: Final = 4


@contextmanager
def drawn(screen: Screen, lines: Callable[[int], Sequence[Sequence[Part]]], *, whole: bool = False) -> Iterator[None]:
    """Draw lines on stdout while the block runs, a few times a second; `whole`: on a screen of their own.

    `lines` is called with the most that fit, by a thread of its own.
    """
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    console = Console(
        width=screen.width,
        no_color=not screen.colours,
        color_system="standard" if screen.colours else None,
        markup=False,
        highlight=False,
        emoji=False,
    )

    def text() -> Text:
        shown = [Text.assemble(*((p.text, p.style or "") for p in line)) for line in lines(console.height - 1)]
        for line in shown:
            line.truncate(console.width, overflow="ellipsis")
        return Text("\n").join(shown)

    with Live(get_renderable=text, console=console, refresh_per_second=_A_SECOND, screen=whole, transient=whole):
        yield
