"""Workflows that wait: `sleepers`, 10,000 durable timers due one after the other, and `hot`, due all at once."""

import asyncio
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Final

from tests.bench.bare_loop import BareLoop
from tests.bench.client import Client, connected, share
from tests.bench.daemon import Daemon, manifest, scratch
from tests.bench.floor import commits
from tests.bench.measuring import Done, beside, counter, measure, percentile, row, rss_bytes
from tests.bench.reading import Delay, delays
from tests.bench.rows import Goal, Row
from tests.bench.run import Run

NAP: Final = "testing:sleeper/sleeper.nap"
NUMBER: Final = 10_000
_CLIENTS: Final = 50
_BETWEEN: Final = 0.002
"""Seconds from one timer to the next."""
_PROBE: Final = 500
_ROOM: Final = 3.0
"""Seconds between the last submission and the first timer, at least."""
_LATENESS: Final = 25.0
_EACH: Final = 30.0
_GUEST: Final = 4.0
"""KiB of its memory that the guest touches: one page."""
_RESUMED: Final = 5_000


def sleepers(run: Run) -> Iterator[Row]:
    """Measure by how much workflows are late that sleep till one instant each, 500 a second."""
    found: list[Delay] = []
    samples = []
    for _ in range(run.rounds):
        with scratch() as directory, run.daemon(directory, _manifest(), "sleepers") as daemon:
            since, last = _submit(daemon, NUMBER, _BETWEEN)
            samples.append(measure(daemon, partial(_wait, daemon, last)))
            found += delays(daemon, since)
    measured = row(f"sleepers: {NUMBER:,}, due over {NUMBER * _BETWEEN:.0f} s", "1/s", samples)
    yield measured._replace(note="what there is to do")
    yield _lateness("its response is recorded", [one.answered - one.due for one in found])
    yield _lateness("the workflow has finished", [one.finished - one.due for one in found])


def hot(run: Run) -> Iterator[Row]:
    """Measure the memory of 10,000 workflows that are parked, and how fast they finish when all are due at once."""
    each, rates, raw, bares, late, samples = [], [], [], [], [], []
    for _ in range(run.rounds):
        with scratch() as directory, run.daemon(directory, _manifest(), "hot") as daemon:
            _wait(daemon, _submit(daemon, 100, 0.0)[1])
            before = rss_bytes(daemon.process.pid)
            since, last = _submit(daemon, NUMBER, 0.0)
            parked = counter(daemon, "obelisk_executor_hot")
            assert parked == NUMBER, f"{parked} are parked"
            each.append((rss_bytes(daemon.process.pid) - before) / NUMBER / 1024 - _GUEST)
            samples.append(measure(daemon, partial(_wait, daemon, last)))
            found = delays(daemon, since)
            assert len(found) == NUMBER
            raw.append(commits(directory))
            bares.append(BareLoop(directory / "bare.db").parallel(1_000, 1))
        late += [one.finished - one.due for one in found]
        rates.append(NUMBER / (max(one.finished for one in found) - found[0].due))
    yield Row("hot: each of 10,000 parked, beside its memory", Run.median(each), "KiB", goal=Goal(_EACH, most=True))
    measured = row("hot: all due at once, from then to their end", "1/s", samples, run.rate_goal(_RESUMED, raw))
    late.sort()
    p50, p99 = 1_000 * percentile(late, 0.5), 1_000 * percentile(late, 0.99)
    yield beside(measured._replace(value=Run.median(rates), p50=p50, p99=p99), bares, "calls of the bare loop")


def _manifest() -> str:
    return manifest(["sleeper"], max_hot=2 * NUMBER)


def _lateness(till: str, late: Sequence[float]) -> Row:
    ordered = sorted(late)
    p50, p99 = 1_000 * percentile(ordered, 0.5), 1_000 * percentile(ordered, 0.99)
    return Row(f"sleepers: lateness till {till}", p99, "ms", p50=p50, p99=p99, goal=Goal(_LATENESS, most=True))


def _submit(daemon: Daemon, number: int, between: float) -> tuple[float, float]:
    """Submit workflows that sleep till instants that are `between` seconds apart; the first is after all are asleep.

    Give when that began, and the last instant.
    """
    socket = daemon.directory / "api.sock"
    rate = asyncio.run(_naps(socket, [0.0] * min(number, _PROBE)))
    since = _now()
    first = since + _ROOM + 1.5 * number / rate
    due = [first + between * place for place in range(number)]
    asyncio.run(_naps(socket, due))
    while counter(daemon, "obelisk_executor_hot") < number:
        assert _now() < first, "they were not asleep in time"
        time.sleep(0.1)
    return since, due[-1]


async def _naps(socket: Path, due: Sequence[float]) -> float:
    """Submit them; give how many a second."""
    began = _now()
    async with connected([socket], _CLIENTS) as clients:
        await share(clients, [partial(_nap, at) for at in due])
    return len(due) / (_now() - began)


async def _nap(due: float, client: Client) -> None:
    await client.submit(NAP, [max(1, round(1_000 * (due - _now())))])


def _wait(daemon: Daemon, last: float) -> Done:
    """Wait till the last one is due and all have finished."""
    time.sleep(max(0.0, last - _now()))
    while counter(daemon, "obelisk_executor_hot") + counter(daemon, "obelisk_executor_running") > 0:
        time.sleep(0.2)
    return Done(NUMBER)


def _now() -> float:
    return time.time_ns() / 1e9
