"""Processor time of processes, which tells what is the limit; and how busy the machine is with others."""

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

_TICK: Final = os.sysconf("SC_CLK_TCK")


def processor_seconds(pids: Iterable[int]) -> float:
    """Add up what processes have used, and their children, also those that have ended."""
    parents = _parents()
    return sum(_with_children(pid, parents) for pid in pids)


def load() -> str:
    """Tell the load average of the last minute: all that ran or wanted to, ours among it."""
    return f"load average {os.getloadavg()[0]:.1f}"


def _with_children(pid: int, parents: dict[int, list[int]]) -> float:
    fields = _stat(pid)
    own = sum(map(int, fields[11:15])) / _TICK if fields else 0.0  # utime, stime, and those of children that ended
    return own + sum(_with_children(child, parents) for child in parents.get(pid, ()))


def _parents() -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    for directory in Path("/proc").iterdir():
        if directory.name.isdigit() and (fields := _stat(int(directory.name))):
            found.setdefault(int(fields[1]), []).append(int(directory.name))
    return found


def _stat(pid: int) -> list[str]:
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return []
