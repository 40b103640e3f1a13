"""Where a daemon's time goes: py-spy in an environment of its own, and what it found as a text."""

import signal
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.bench.peers.environment import python_with

_MOST: Final = 40
_OURS: Final = "obelisk_daemon"


@contextmanager
def profiled(pid: int, name: str, directory: Path | None) -> Iterator[None]:
    """Take a profile of a process meanwhile: `NAME.folded`, for a flame graph, and `NAME.txt`; without a place, none.

    Linux lets only root look into a process that it did not start itself.
    """
    if directory is None:
        yield
        return
    spy = python_with("py-spy", "py-spy==0.4.1").with_name("py-spy")
    directory.mkdir(parents=True, exist_ok=True)
    folded = directory / f"{name}.folded"
    options = ["--format", "raw", "--rate", "500", "--function", "--threads", "--nonblocking", "--output", str(folded)]
    process = subprocess.Popen([spy, "record", "--pid", str(pid), *options], stdout=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(60)
    (directory / f"{name}.txt").write_text(summary(folded.read_text()))


def summary(folded: str) -> str:
    """Sum up stacks with their counts: by thread, by function alone, and by ours with all that it called."""
    threads: Counter[str] = Counter()
    alone: Counter[str] = Counter()
    within: Counter[str] = Counter()
    for line in folded.splitlines():
        stack, _, count = line.rpartition(" ")
        frames = stack.split(";")
        threads[frames[0]] += int(count)
        alone[frames[-1]] += int(count)
        within.update(dict.fromkeys((one for one in frames[1:] if _OURS in one), int(count)))
    total = max(1, threads.total())
    tables = {"by thread": threads, "in the function itself": alone, "in ours, with all that it calls": within}
    return "\n".join(_table(title, counts, total) for title, counts in tables.items())


def _table(title: str, counts: Counter[str], total: int) -> str:
    lines = [f"{100 * count / total:6.1f} %  {name}\n" for name, count in counts.most_common(_MOST)]
    return f"{title}\n{''.join(lines)}"
