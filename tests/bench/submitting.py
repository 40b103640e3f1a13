"""How fast executions are taken: `submit`. They are due in an hour, so that nothing else is done meanwhile."""

import asyncio
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Final

from tests.bench.client import Client, connected, repeat
from tests.bench.daemon import manifest, scratch
from tests.bench.floor import commits
from tests.bench.measuring import Done, measure, row
from tests.bench.rows import Row
from tests.bench.run import Run

FIBO: Final = "testing:fibo/fibo.fibo"
_CLIENTS: Final = 50
_SECONDS: Final = 3.0


def submit(run: Run) -> Iterator[Row]:
    """Measure 50 clients that submit one after the other, each to its acknowledgement."""
    with scratch() as directory, run.daemon(directory, manifest(["fibo-activity"]), "submit") as daemon:
        socket = directory / "api.sock"
        asyncio.run(_single(socket, _SECONDS / 3))
        samples, raw = run.in_turns(
            lambda: measure(daemon, lambda: asyncio.run(_single(socket, _SECONDS))), partial(commits, directory)
        )
    measured = row(f"submit: single, {_CLIENTS} clients", "1/s", samples, run.rate_goal(3_000, raw))
    yield measured._replace(floor=measured.value / Run.median(raw), note="floor: raw commits of one row")


async def _single(socket: Path, seconds: float) -> Done:
    async with connected([socket], _CLIENTS) as clients:
        latencies = await repeat(clients, _one, seconds)
        return Done(len(latencies), latencies)


async def _one(client: Client) -> None:
    await client.submit(FIBO, [10], due_in="1h")
