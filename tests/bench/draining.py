"""A queue of 100,000 executions that is there when the daemon starts: `backlog`."""

import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Final

from obelisk_daemon.clock import Instant
from tests import guests
from tests.bench.bare_loop import BareLoop
from tests.bench.daemon import Daemon, manifest, scratch
from tests.bench.filling import Filling, fill
from tests.bench.floor import commits
from tests.bench.measuring import Done, beside, measure, row, rss_bytes
from tests.bench.reading import number_finished, spans
from tests.bench.rows import Goal, Row
from tests.bench.run import Run

NUMBER: Final = 100_000
_ACTIVITY: Final = "testing:fibo/fibo.fibo"
_RATE: Final = 3_000
_FLAT: Final = 16.0
"""MiB that the daemon may grow by while it works off the last nine tenths of the queue."""


def backlog(run: Run) -> Iterator[Row]:
    """Measure how fast a queue of 100,000 calls of an activity gets shorter, and whether memory stays as it is."""
    samples, grown, raw, bares = [], [], [], []
    for _ in range(run.rounds):
        with scratch() as directory:
            raw.append(commits(directory))
            bares.append(BareLoop(directory / "bare.db").parallel(1_000, 1))
            _queue(directory)
            with run.daemon(directory, manifest(["fibo-activity"]), "backlog") as daemon:
                memory: list[tuple[int, int]] = []
                samples.append(measure(daemon, partial(_drain, daemon, memory), partial(_times, daemon)))
                grown.append(_growth(memory))
    drained = row(f"backlog: {NUMBER:,} queued, worked off", "1/s", samples, run.rate_goal(_RATE, raw))
    yield beside(drained, bares, "the bare loop")
    yield Row("backlog: growth of the daemon meanwhile", Run.median(grown), "MiB", goal=Goal(_FLAT, most=True))


def _queue(directory: Path) -> None:
    (directory / "state").mkdir(mode=0o700)
    activity = (_ACTIVITY, "fibo-activity", guests.digest("fibo-activity"))
    now = Instant(time.time_ns() // 1_000)
    fill(directory / "state" / "obelisk.db", Filling(0, 0, until=now, activity=activity, queued=NUMBER))


def _drain(daemon: Daemon, memory: list[tuple[int, int]]) -> Done:
    """Wait till all have finished; note how many had and the bytes of the daemon, again and again."""
    before = done = number_finished(daemon, "fibo-activity")
    while done < NUMBER:
        time.sleep(0.5)
        done = number_finished(daemon, "fibo-activity")
        memory.append((done, rss_bytes(daemon.process.pid)))
    return Done(NUMBER - before)


def _growth(memory: Sequence[tuple[int, int]]) -> float:
    """Give the MiB by which the daemon was larger at most than when a tenth was done."""
    after = [size for done, size in memory if done >= NUMBER // 10]
    return (max(after) - after[0]) / (1 << 20)


def _times(daemon: Daemon) -> list[float]:
    """Give the seconds from the lock of each to its end."""
    return [ended - began for _, began, ended in spans(daemon, "fibo-activity")]
