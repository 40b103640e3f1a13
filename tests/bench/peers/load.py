"""The workloads, given to our daemons, or to another system that speaks HTTP, through their API."""

import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple, TypeAlias

from tests.bench.client import Client, connected, repeat
from tests.bench.peers.usage import processor_seconds

FIBOA = "testing:fibo/workflow.fiboa"
Run: TypeAlias = Callable[[int, Client], Awaitable[None]]
"""Runs a workflow of so many steps, and checks its result."""


class Shape(NamedTuple):
    """One workflow of `steps`; workflows of `short` steps, so many `concurrent`, for so many `seconds`."""

    steps: int = 500
    short: int = 3
    concurrent: int = 50
    seconds: float = 3.0


class Processes(NamedTuple):
    """Whose processor time is of interest: the daemons', and the database server's."""

    daemons: Sequence[int] = ()
    server: Sequence[int] = ()


class Pass(NamedTuple):
    """What one pass measured: steps a second, workflows a second, the seconds of each, and cores in use meanwhile."""

    serial: float
    rate: float
    latencies: Sequence[float]
    daemon_cores: float = 0.0
    server_cores: float = 0.0


async def measure(sockets: Sequence[Path], shape: Shape, run: Run, processes: Processes) -> Pass:
    """Run both workloads, warmed up: the serial one on the first socket, the other's clients spread over all."""
    async with connected(sockets, shape.concurrent) as clients:
        await run(shape.steps // 5, clients[0])
        began = time.perf_counter()
        await run(shape.steps, clients[0])
        serial = shape.steps / (time.perf_counter() - began)
        short = partial(run, shape.short)
        await repeat(clients, short, shape.seconds / 3)
        daemons, server = processor_seconds(processes.daemons), processor_seconds(processes.server)
        began = time.perf_counter()
        latencies = await repeat(clients, short, shape.seconds)
        took = time.perf_counter() - began
    return Pass(
        serial,
        len(latencies) / took,
        latencies,
        (processor_seconds(processes.daemons) - daemons) / took,
        (processor_seconds(processes.server) - server) / took,
    )


async def run_fiboa(steps: int, client: Client) -> None:
    """Run our workflow."""
    assert await client.run(FIBOA, [10, steps]) == {"ok": 55}
