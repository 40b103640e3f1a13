"""From the command to ready, and what a daemon uses that has nothing to do: `start`."""

import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Final

from obelisk_daemon.clock import Instant
from tests import guests
from tests.bench.daemon import manifest, running, scratch
from tests.bench.filling import Filling, fill
from tests.bench.measuring import cpu_seconds, rss_bytes
from tests.bench.reloading import many
from tests.bench.rows import Goal, Row
from tests.bench.run import Run

COMPONENTS: Final = 10
UNFINISHED: Final = 10_000
_READY: Final = 0.7
_READY_KILLED: Final = 1.0
_FIRST_STEP: Final = 0.5
_RSS: Final = 90.0
_CPU: Final = 0.5
_IDLE: Final = 10.0
"""Seconds for which nothing is done, after as many for what is done in the background at first."""
_LANGUAGES: Final = ("fibo-activity", "fibo-python")


def start(run: Run) -> Iterator[Row]:
    """Measure the time to ready: with nothing compiled, with all compiled, and with much that is unfinished."""
    with scratch() as directory:
        text = many(directory, COMPONENTS)
        (cold,) = run.in_turns(partial(_cold, text))
        yield Row(f"start: cold, {COMPONENTS} components", Run.median(cold), "s")
        _ready(directory, text)
        (warm,) = run.in_turns(partial(_ready, directory, text))
        yield Row(f"start: warm, {COMPONENTS} components", Run.median(warm), "s", goal=Goal(_READY, most=True))
        memory, processor = _idle(directory, text)
        yield Row("start: memory at rest", memory, "MiB", goal=Goal(_RSS, most=True))
        yield Row("start: processor at rest", processor, "%", goal=Goal(_CPU, most=True))
    with scratch() as directory:
        text = manifest(["fibo-activity", "fibo-workflow"])
        _ready(directory, text)
        _fill(directory)
        (unfinished,) = run.in_turns(partial(_ready, directory, text))
        yield Row(f"start: warm, {UNFINISHED:,} unfinished", Run.median(unfinished), "s")
        (killed,) = run.in_turns(partial(_after_a_kill, directory, text))
        ready, step = ([one[place] for one in killed] for place in (0, 1))
        yield Row(
            f"start: killed, {UNFINISHED:,} unfinished", Run.median(ready), "s", goal=Goal(_READY_KILLED, most=True)
        )
        yield Row("start: from there to the end of a call", Run.median(step), "s", goal=Goal(_FIRST_STEP, most=True))
    with scratch() as directory:
        text = manifest(list(_LANGUAGES))
        yield Row("start: cold, a guest in Python", _ready(directory, text), "s")
        (python,) = run.in_turns(partial(_ready, directory, text))
        yield Row("start: warm, a guest in Python", Run.median(python), "s")


def _ready(directory: Path, text: str) -> float:
    with running(directory, text) as (_, seconds):
        return seconds


def _after_a_kill(directory: Path, text: str) -> tuple[float, float]:
    """Kill a daemon, and measure the next one: to ready, and from there to the result of its first call."""
    with running(directory, text) as (daemon, _):
        daemon.process.kill()
    with running(directory, text) as (daemon, seconds):
        began = time.perf_counter()
        daemon.result(daemon.submit("testing:fibo/fibo.fibo", [10]))
        return seconds, time.perf_counter() - began


def _cold(text: str) -> float:
    with scratch() as directory:
        return _ready(directory, text)


def _idle(directory: Path, text: str) -> tuple[float, float]:
    with running(directory, text) as (daemon, _):
        time.sleep(_IDLE)
        used = cpu_seconds(daemon.process.pid)
        time.sleep(_IDLE)
        used = cpu_seconds(daemon.process.pid) - used
        return rss_bytes(daemon.process.pid) / (1 << 20), 100 * used / _IDLE


def _fill(directory: Path) -> None:
    activity = ("testing:fibo/fibo.fibo", "fibo-activity", guests.digest("fibo-activity"))
    workflow = ("testing:fibo/workflow.fiboa", "fibo-workflow", guests.digest("fibo-workflow"))
    wanted = Filling(0, UNFINISHED, until=Instant(time.time_ns() // 1_000), activity=activity, workflow=workflow)
    fill(directory / "state" / "obelisk.db", wanted)
