"""Whether the files of a database that is open are still those under their names.

SQLite writes on to a file that was deleted or replaced, and nobody would ever find what it commits there.
"""

import os
from pathlib import Path
from typing import Final, NamedTuple

_SUFFIXES: Final = ("", "-wal")


class _Identity(NamedTuple):
    device: int
    inode: int


class OpenFiles:
    """The files of a database, as they were when it was opened. Made by the connection that writes."""

    def __init__(self, file: Path) -> None:
        self._known = {path: _identity(path) for path in (f"{file}{suffix}" for suffix in _SUFFIXES)}

    def missing(self) -> str | None:
        """Give a file that was deleted, or has another in its place."""
        return next((path for path, known in self._known.items() if _identity(path) != known), None)


def _identity(path: str) -> _Identity | None:
    try:
        found = os.stat(path)  # noqa: PTH116 - twice for each commit: a Path takes three times as long
    except OSError:
        return None
    return _Identity(found.st_dev, found.st_ino)
