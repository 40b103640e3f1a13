"""Progress of long work, on stderr and on a terminal only: programs and logs see nothing of it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from obelisk_daemon.ctl.screen import Screen

if TYPE_CHECKING:  # rich is only imported where it draws
    from rich.progress import Progress as Bars
    from rich.progress import TaskID


class Progress:
    """How far the work is. Without a total there is no bar, just a sign of life and the time that it took."""

    def __init__(self, bars: "Bars | None" = None, task: "TaskID | None" = None) -> None:
        self._bars = bars
        self._task = task

    def update(self, *, done: float | None = None, total: float | None = None, text: str | None = None) -> None:
        """Show what has changed; what is None stays as it was."""
        if self._bars is not None and self._task is not None:
            self._bars.update(self._task, completed=done, total=total, description=text)


@contextmanager
def progress(text: str, screen: Screen, *, total: float | None = None) -> Iterator[Progress]:
    """Show the progress of what the block does; it vanishes at the end. `screen` is that of stderr."""
    if not screen.is_terminal:
        yield Progress()
        return
    from rich.console import Console
    from rich.progress import BarColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bars

    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        TextColumn("{task.percentage:>3.0f}%" if total is not None else ""),
        TimeElapsedColumn(),
    )
    console = Console(stderr=True, width=screen.width, no_color=not screen.colours, markup=False, highlight=False)
    with Bars(*columns, console=console, transient=True) as bars:
        yield Progress(bars, bars.add_task(text, total=total))
