"""Copies of the database: consistent, and durable before they have their name."""

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Final

from obelisk_daemon.errors import StorageUnavailableError

_SPARE: Final = 16 << 20
"""Bytes that stay free beside a copy, for what the daemon writes meanwhile."""
_STEPS: Final = 10_000
"""Of SQLite's machine, between two looks at whether to stop."""


def copy_database(file: Path, target: Path, is_stopped: Callable[[], bool] = lambda: False) -> None:
    """Copy the database to a file that is there as a whole or not at all, mode 0600; an older one there is replaced.

    The source may be in use: the copy is one snapshot of it, and no write waits for it (DESIGN.md section 9).

    Raises:
        StorageUnavailableError: `storage_full`: there is no room; `copy_failed`, also when it is stopped.
    """
    _require_room(file, target)
    draft = target.with_name(f"{target.name}.part")
    draft.unlink(missing_ok=True)
    try:
        os.close(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
        _vacuum_into(file, draft, is_stopped)
        _sync(draft)
        draft.replace(target)
        _sync(target.parent)
    except (OSError, sqlite3.Error) as error:
        raise StorageUnavailableError("copy_failed", f"{file} can't be copied to {target}: {error}") from error
    finally:
        draft.unlink(missing_ok=True)


def _vacuum_into(file: Path, draft: Path, is_stopped: Callable[[], bool]) -> None:
    # not `query_only`: that forbids VACUUM INTO as well
    connection = sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)
    connection.set_progress_handler(is_stopped, _STEPS)
    try:
        connection.execute("VACUUM INTO ?", (str(draft),))
    finally:
        connection.close()


def _require_room(file: Path, target: Path) -> None:
    needed = sum(part.stat().st_size for part in (file, Path(f"{file}-wal")) if part.exists()) + _SPARE
    space = os.statvfs(target.parent)
    free = space.f_bavail * space.f_frsize
    if free < needed:
        raise StorageUnavailableError(
            "storage_full", f"a copy of {file} may need {needed} bytes, and {target.parent} has {free} free"
        )


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
