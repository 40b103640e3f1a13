"""What retention costs those who submit meanwhile: 100,000 executions to delete, and one client."""

import statistics
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Final

from obelisk_daemon.clock import Instant
from tests.bench.daemon import Daemon, manifest, running, scratch
from tests.bench.filling import Filling, fill
from tests.bench.rows import Row
from tests.bench.run import Run

FINISHED: Final = 100_000
FIBO: Final = "testing:fibo/fibo.fibo"
QUIET: Final = 8.0
"""Seconds, before the removal begins."""
BUSY: Final = 30.0
"""Seconds at most, of the removal."""
_OLD: Final = timedelta(days=40)


def retention(_run: Run) -> Iterator[Row]:
    """Measure submitting, each time to its acknowledgement, before and while they are deleted."""
    text = manifest(["fibo-activity"])
    with scratch() as directory:
        (directory / "state").mkdir(mode=0o700)
        until = Instant((time.time_ns() // 1_000) - _OLD // timedelta(microseconds=1))
        fill(directory / "state" / "obelisk.db", Filling(FINISHED, live=0, until=until))
        with running(directory, f'{text}\n[retention]\nfinished = "never"\n') as (daemon, _):
            _submit_while(daemon, _for_seconds(1))  # what is compiled and opened at first is not measured
            without = _submit_while(daemon, _for_seconds(QUIET))
            assert _removed(daemon) == 0
            (directory / "obelisk.toml").write_text(f'{text}\n[retention]\nfinished = "30d"\n')
            verdict = daemon.client.post("/v1/manifest/reload").raise_for_status().json()
            assert verdict["outcome"] in ("active", "unchanged"), verdict
            began = time.perf_counter()
            in_time = _for_seconds(BUSY)
            meanwhile = _submit_while(daemon, lambda: in_time() and _removed(daemon) < FINISHED)
            rate = _removed(daemon) / (time.perf_counter() - began)
    yield Row(f"deleted, of {FINISHED:,} executions", rate, "1/s")
    for name, times in (("without", without), ("with", meanwhile)):
        yield Row(f"submit p50, {name} retention at work", _percentile(times, 50), "ms")
        yield Row(f"submit p99, {name} retention at work", _percentile(times, 99), "ms")
    yield Row("p99 with / without", _percentile(meanwhile, 99) / _percentile(without, 99), "")


def _submit_while(daemon: Daemon, goes_on: Callable[[], bool]) -> list[float]:
    times = []
    while goes_on():
        for _ in range(50):
            began = time.perf_counter()
            daemon.submit(FIBO, [10])
            times.append(1_000 * (time.perf_counter() - began))
    return times


def _for_seconds(seconds: float) -> Callable[[], bool]:
    ends = time.perf_counter() + seconds
    return lambda: time.perf_counter() < ends


def _removed(daemon: Daemon) -> float:
    shown = daemon.client.get("/metrics").raise_for_status().text
    (line,) = (
        one for one in shown.splitlines() if one.startswith('obelisk_retention_removed_total{what="executions"}')
    )
    return float(line.split()[-1])


def _percentile(times: list[float], percent: int) -> float:
    return statistics.quantiles(times, n=100)[percent - 1]
