"""The state directory, held by one daemon at a time."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from obelisk_daemon.errors import OperatorError


@contextmanager
def hold(directory: Path) -> Iterator[None]:
    """Make the directory if it isn't there, and hold it exclusively as long as the context lasts.

    The lock is the kernel's, on an open file that no child process inherits: it ends with this process however that
    ends, which is what allows the next daemon to take over at once.

    Raises:
        OperatorError: `state_dir_in_use`, naming the holder, or `state_dir_unusable`.
    """
    try:
        directory.mkdir(mode=0o750, parents=True, exist_ok=True)
        lock = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
    except OSError as error:
        message = f"the state directory {directory} can't be used: {error.strerror}"
        raise OperatorError("state_dir_unusable", message) from error
    try:
        _lock(lock, directory)
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(lock)


def _lock(lock: int, directory: Path) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.pread(lock, 32, 0).decode(errors="replace").strip() or "unknown"
        raise OperatorError(
            "state_dir_in_use", f"the state directory {directory} is in use by the obeliskd with process id {holder}"
        ) from None
