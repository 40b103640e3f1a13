"""Workflows that call activities one after the other: `serial`, `parallel`, `three-step`, and guests in languages."""

import asyncio
import itertools
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Final

from tests.bench.bare_loop import BareLoop
from tests.bench.client import Client, connected, repeat, share
from tests.bench.daemon import Daemon, manifest, scratch
from tests.bench.floor import commits
from tests.bench.measuring import Done, Sample, beside, measure, row
from tests.bench.rows import Goal, Row
from tests.bench.run import Run

FIBOA: Final = "testing:fibo/workflow.fiboa"
SERIAL_CALLS: Final = 500
SERIAL_GOAL: Final = 0.65
"""Of the bare loop."""
_WORKFLOWS: Final = 100
_CALLS: Final = 10
_CLIENTS: Final = 50
_SECONDS: Final = 3.0
_ALONE: Final = 200
_WAT: Final = ("fibo-activity", "fibo-workflow")


def serial(run: Run) -> Iterator[Row]:
    """Measure one workflow of 500 calls, beside the bare loop."""
    with scratch() as directory, run.daemon(directory, manifest(list(_WAT)), "serial") as daemon:
        _warm_up(daemon)
        bare = BareLoop(directory / "bare.db")
        samples, bares, raw = run.in_turns(partial(_serial, daemon), bare.serial, partial(commits, directory))
    yield from _beside("serial: fiboa(10, 500)", samples, bares, run.rate_goal(1_000, raw))


def parallel(run: Run) -> Iterator[Row]:
    """Measure 100 workflows of 10 calls, submitted in one request, beside the bare loop."""
    with scratch() as directory, run.daemon(directory, manifest(list(_WAT)), "parallel") as daemon:
        _parallel(daemon)
        bare = BareLoop(directory / "bare.db")
        samples, bares, raw = run.in_turns(partial(_parallel, daemon), bare.parallel, partial(commits, directory))
    yield from _beside("parallel: 100 workflows x 10 calls", samples, bares, run.rate_goal(2_500, raw))


def three_step(run: Run) -> Iterator[Row]:
    """Measure workflows of three calls, through the API: one client alone, and 50."""
    with scratch() as directory, run.daemon(directory, manifest(list(_WAT)), "three-step") as daemon:
        socket = directory / "api.sock"
        asyncio.run(_three_steps_for(socket, _SECONDS / 3))
        bare = BareLoop(directory / "bare.db")
        alone, many, bares, raw = run.in_turns(
            lambda: measure(daemon, lambda: asyncio.run(_three_steps_alone(socket))),
            lambda: measure(daemon, lambda: asyncio.run(_three_steps_for(socket, _SECONDS))),
            lambda: bare.parallel(6 * _CLIENTS, 3) / 3,
            partial(commits, directory),
        )
    first = row("three-step: one client", "1/s", alone)
    assert first.p50 is not None
    yield first
    yield Row("three-step: one client, p50", first.p50, "ms", goal=Goal(4 * run.slowness(raw), most=True))
    concurrent = row(f"three-step: {_CLIENTS} clients", "1/s", many, run.rate_goal(500, raw))
    yield beside(concurrent, bares, "the bare loop")


def language(guest: str) -> Callable[[Run], Iterator[Row]]:
    """Make the workload of `serial` with the workflow in another language."""

    def measured(run: Run) -> Iterator[Row]:
        """Measure what `serial` does, with the workflow in another language."""
        with scratch() as directory, run.daemon(directory, manifest(["fibo-activity", guest]), guest) as daemon:
            _warm_up(daemon)
            bare = BareLoop(directory / "bare.db")
            samples, bares = run.in_turns(partial(_serial, daemon), bare.serial)
        yield beside(row(f"serial with {guest}", "calls/s", samples), bares, "the bare loop, with a guest in WAT")

    return measured


def _beside(name: str, samples: Sequence[Sample], bares: Sequence[float], goal: Goal) -> Iterator[Row]:
    measured = beside(row(name, "calls/s", samples, goal), bares, "the bare loop")
    yield measured
    assert measured.floor is not None
    yield Row(f"{name.partition(':')[0]} / bare loop", measured.floor, "x", goal=Goal(SERIAL_GOAL))


def _warm_up(daemon: Daemon) -> None:
    assert daemon.result(daemon.submit(FIBOA, [10, 100])) == {"ok": 55}


def _serial(daemon: Daemon) -> Sample:
    done: list[str] = []

    def work() -> Done:
        done.append(daemon.submit(FIBOA, [10, SERIAL_CALLS]))
        assert daemon.result(done[0]) == {"ok": 55}
        return Done(SERIAL_CALLS)

    return measure(daemon, work, lambda: _between_responses(daemon, done))


def _parallel(daemon: Daemon) -> Sample:
    done: list[str] = []

    async def work() -> Done:
        async with connected([daemon.directory / "api.sock"], _CLIENTS) as clients:
            done.extend(await clients[0].submit_many(FIBOA, [10, _CALLS], _WORKFLOWS))
            await share(clients, [partial(_finished, execution_id) for execution_id in done])
        return Done(_WORKFLOWS * _CALLS)

    return measure(daemon, lambda: asyncio.run(work()), lambda: _between_responses(daemon, done))


async def _finished(execution_id: str, client: Client) -> None:
    assert await client.result(execution_id) == {"ok": 55}


async def _three_steps(client: Client) -> None:
    assert await client.run(FIBOA, [10, 3]) == {"ok": 55}


async def _three_steps_alone(socket: Path) -> Done:
    async with connected([socket], 1) as clients:
        return Done(_ALONE, await share(clients, [_three_steps] * _ALONE))


async def _three_steps_for(socket: Path, seconds: float) -> Done:
    async with connected([socket], _CLIENTS) as clients:
        latencies = await repeat(clients, _three_steps, seconds)
        return Done(len(latencies), latencies)


def _between_responses(daemon: Daemon, workflows: Sequence[str]) -> list[float]:
    """Give the seconds from one result of an activity to the next, as the workflows' logs tell."""
    found: list[float] = []
    for execution_id in workflows:
        page = daemon.client.get(f"/v1/executions/{execution_id}/responses", params={"limit": 500})
        times = [datetime.fromisoformat(one["created_at"]) for one in page.raise_for_status().json()["responses"]]
        found += [(after - before).total_seconds() for before, after in itertools.pairwise(times)]
    return found
