"""What guests that mean harm cost everybody else: the time from a submit to its result beside each of them.

It is compared with the time beside as many clients whose activity means no harm: they cost something, too.
"""

import statistics
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Final

from tests.bench.daemon import Daemon, manifest, running, scratch
from tests.bench.rows import Goal, Row
from tests.bench.run import Run
from tests.hostile.guests import HOSTILE

FIBO: Final = "testing:fibo/fibo.fibo"
EACH: Final = 4.0
"""Seconds with each of them; twice as long without."""
AT_ONCE: Final = 2


def hostile(_run: Run) -> Iterator[Row]:
    """Measure an activity beside two of its kind and beside two of each that means harm; and the daemon's memory."""
    with scratch() as directory:
        text = manifest(["fibo-activity"]) + "".join(one.entry(name, directory) for name, one in HOSTILE.items())
        with running(directory, text) as (daemon, _):
            _calls(daemon, 1.0)  # what is opened at first is not measured
            yield _row("a call, alone", _calls(daemon, EACH), 1.0)
            times = _beside(daemon, lambda: daemon.submit(FIBO, [10]), 2 * EACH)
            harmless = _percentile(times, 99)
            yield _row("a call, beside two that mean no harm", times, 1.0)
            for name in HOSTILE:
                times = _beside(daemon, partial(daemon.submit, f"test:hostile/{name}.run", []), EACH)
                yield _row(
                    f"a call, beside two of {name}", times, _percentile(times, 99) / harmless, Goal(2.0, most=True)
                )
            status = Path(f"/proc/{daemon.process.pid}/status").read_text()
            (peak,) = [int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")]
            yield Row("the daemon's memory at its peak", peak / 1024, "MiB", goal=Goal(700, most=True))


def _row(name: str, times: list[float], ratio: float, goal: Goal | None = None) -> Row:
    """Tell by how much the 99th percentile is longer than beside guests that mean no harm."""
    return Row(name, ratio, "times", p50=_percentile(times, 50), p99=_percentile(times, 99), goal=goal)


def _beside(daemon: Daemon, submit: Callable[[], str], seconds: float) -> list[float]:
    stop = threading.Event()

    def again_and_again() -> None:
        while not stop.is_set():
            daemon.result(submit())

    with ThreadPoolExecutor(AT_ONCE) as threads:
        others = [threads.submit(again_and_again) for _ in range(AT_ONCE)]
        try:
            times = _calls(daemon, seconds)
        finally:
            stop.set()
        for other in others:
            other.result()
    return times


def _calls(daemon: Daemon, seconds: float) -> list[float]:
    times, ends = [], time.perf_counter() + seconds
    while time.perf_counter() < ends:
        began = time.perf_counter()
        daemon.result(daemon.submit(FIBO, [10]))
        times.append(1_000 * (time.perf_counter() - began))
    return times


def _percentile(times: list[float], percent: int) -> float:
    return statistics.quantiles(times, n=100)[percent - 1]
