"""What a run's guest prints and logs, kept until the run's next append takes it."""

from collections.abc import Callable
from typing import Final, Literal

from obelisk_daemon.clock import Clock
from obelisk_daemon.storage.records import LogLine

Level = Literal["trace", "debug", "info", "warn", "error", "stdout", "stderr"]
_LONGEST_LINE: Final = 16 * 1024
_LINE_COST: Final = 256
"""Bytes that a line counts beside its text, for its place in the database and the time to write it there."""


_PIECE_LINES: Final = 250
_PIECE_CHARACTERS: Final = 1 << 16
"""How many lines, and about how much text, are written within some milliseconds."""


class LogBuffer:
    """Lines of one run, up to `limit` bytes in all (`_LINE_COST` for each); a last line says that the rest is dropped.

    `is_muted` is asked at every line: a replay must not store what was stored before. `asked` counts what the guest had
    asked of its journal by then. `forward` sees each line too.
    """

    def __init__(
        self,
        clock: Clock,
        limit: int,
        *,
        is_muted: Callable[[], bool] = lambda: False,
        asked: Callable[[], int] = lambda: 0,
        forward: Callable[[Level, str], None] | None = None,
    ) -> None:
        self._clock = clock
        self._left = limit
        self._limit = limit
        self._is_muted = is_muted
        self._forward = forward
        self._asked = asked
        self._lines: list[tuple[int, LogLine]] = []
        self._partial: dict[Literal["stdout", "stderr"], bytes] = {}

    def line(self, level: Level, message: str) -> None:
        """Keep one line."""
        if self._is_muted() or self._left <= 0:
            return
        kept = message[:_LONGEST_LINE]
        self._left -= len(kept.encode()) + _LINE_COST
        if self._left <= 0:
            level, kept = "warn", f"the limit of {self._limit} bytes of logs is reached: the rest is dropped"
        self._lines.append((self._asked(), LogLine(self._clock.now(), level, kept)))
        if self._forward is not None:
            self._forward(level, kept)

    def output(self, stream: Literal["stdout", "stderr"], data: bytes) -> None:
        """Keep what the guest writes to a stream, line by line."""
        if self._left <= 0:
            return
        *whole, rest = (self._partial.get(stream, b"") + data).split(b"\n")
        for text in whole:
            self.line(stream, text.decode(errors="replace"))
        while len(rest) >= _LONGEST_LINE:
            self.line(stream, rest[:_LONGEST_LINE].decode(errors="replace"))
            rest = rest[_LONGEST_LINE:]
        self._partial[stream] = rest

    def tail(self, stream: Literal["stdout", "stderr"], lines: int) -> str:
        """Give the last lines of a stream that nobody has taken yet."""
        written = [line.message for _, line in self._lines if line.level == stream]
        return "\n".join([*written, *self._rest(stream)][-lines:])

    def take_recorded(self) -> tuple[LogLine, ...]:
        """Hand over the lines from before the guest's latest request: once that is recorded, a replay mutes them."""
        asked = self._asked()
        taken = tuple(line for before, line in self._lines if before < asked)
        self._lines = self._lines[len(taken) :]
        return taken

    def take(self, *, flush: bool = False) -> tuple[LogLine, ...]:
        """Hand over what there is; with `flush` also lines without their end."""
        if flush:
            self.end_lines()
        taken, self._lines = tuple(line for _, line in self._lines), []
        return taken

    def end_lines(self) -> None:
        """Take what a stream holds without its end for a whole line: the guest writes no more."""
        for stream in tuple(self._partial):
            for rest in self._rest(stream):
                self.line(stream, rest)
        self._partial.clear()

    def _rest(self, stream: Literal["stdout", "stderr"]) -> list[str]:
        rest = self._partial.get(stream)
        return [rest.decode(errors="replace")] if rest else []


def in_pieces(lines: tuple[LogLine, ...]) -> list[tuple[LogLine, ...]]:
    """Divide lines into pieces that are each written in no time; there is one at least."""
    pieces, first, size = [], 0, 0
    for place, line in enumerate(lines):
        if place - first == _PIECE_LINES or size > _PIECE_CHARACTERS:
            pieces.append(lines[first:place])
            first, size = place, 0
        size += len(line.message)
    return [*pieces, lines[first:]]
