"""How fast executions are taken: `submit`. They are due in an hour, so that nothing else is done meanwhile."""

import asyncio
import json
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Final

from tests.bench.client import IDS, Client, connected, repeat, share
from tests.bench.daemon import manifest, scratch
from tests.bench.floor import commits
from tests.bench.measuring import Done, beside, measure, processor, row
from tests.bench.rows import Row
from tests.bench.run import Run

FIBO: Final = "testing:fibo/fibo.fibo"
_CLIENTS: Final = 50
_SECONDS: Final = 3.0
_BATCH: Final = 500
_BATCHES: Final = 100
_BATCHING: Final = 4


def submit(run: Run) -> Iterator[Row]:
    """Measure 50 clients that submit one call after the other, each to its acknowledgement, and batches of 500."""
    with scratch() as directory, run.daemon(directory, manifest(["fibo-activity"]), "submit") as daemon:
        socket = directory / "api.sock"
        asyncio.run(_single(socket, _SECONDS / 3))
        samples, raw = run.in_turns(
            lambda: measure(daemon, lambda: asyncio.run(_single(socket, _SECONDS))), partial(commits, directory)
        )
        asyncio.run(_batches(socket, 1))
        batches, raw_again = run.in_turns(
            lambda: measure(daemon, lambda: asyncio.run(_batches(socket, _BATCHES))), partial(commits, directory)
        )
    measured = row(f"submit: single, {_CLIENTS} clients", "1/s", samples, run.rate_goal(3_000, raw))
    yield beside(measured, raw, "raw commits of one row")
    yield from processor("submit: single", samples)
    batched = row(f"submit: batches of {_BATCH}, {_BATCHING} clients", "1/s", batches, run.rate_goal(25_000, raw_again))
    compared = beside(batched, raw_again, "raw commits of one row")
    yield compared._replace(note=f"p50 and p99 are those of a batch; {compared.note}")
    yield from processor("submit: batches", batches)


async def _single(socket: Path, seconds: float) -> Done:
    async with connected([socket], _CLIENTS) as clients:
        latencies = await repeat(clients, _one, seconds)
        return Done(len(latencies), latencies)


async def _batches(socket: Path, number: int) -> Done:
    """Submit so many batches, made before the clock starts."""
    bodies = [_batch() for _ in range(number)]
    async with connected([socket], _BATCHING) as clients:
        began = time.perf_counter()
        latencies = await share(clients, [partial(_submitted, body) for body in bodies])
        return Done(_BATCH * number, latencies, time.perf_counter() - began)


def _batch() -> str:
    call = {"ffqn": FIBO, "params": [10], "due_in": "1h"}
    return json.dumps({"executions": [{"execution_id": IDS.execution(), **call} for _ in range(_BATCH)]})


async def _submitted(body: str, client: Client) -> None:
    status, answer = await client.request("POST", "/v1/executions/batch", body)
    assert (status, json.loads(answer)["created"]) == (200, _BATCH), answer


async def _one(client: Client) -> None:
    await client.submit(FIBO, [10], due_in="1h")
