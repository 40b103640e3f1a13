"""The workloads, given to our daemons through their HTTP API by a client that costs little, since it shares the CPU."""

import asyncio
import json
import secrets
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from obelisk_daemon.ids import IdSource
from tests.bench.peers.usage import processor_seconds

FIBOA = "testing:fibo/workflow.fiboa"
_IDS = IdSource(lambda: time.time_ns() // 1_000_000, secrets.randbits)


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


class Client:
    """One connection, one request at a time, kept open."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def run(self, steps: int) -> float:
        """Submit a workflow, wait for its result, and give the seconds that it took."""
        began = time.perf_counter()
        path = f"/v1/executions/{_IDS.execution()}"
        status, body = await self._request("PUT", path, json.dumps({"ffqn": FIBOA, "params": [10, steps]}))
        assert status == 201, body
        status, body = await self._request("GET", f"{path}/result?wait=60")
        assert (status, json.loads(body)) == (200, {"ok": 55}), body
        return time.perf_counter() - began

    async def _request(self, method: str, path: str, body: str = "") -> tuple[int, bytes]:
        head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        self._writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode())
        lines = (await self._reader.readuntil(b"\r\n\r\n")).lower().split(b"\r\n")
        (length,) = [int(line[15:]) for line in lines if line.startswith(b"content-length:")]
        return int(lines[0].split()[1]), await self._reader.readexactly(length)

    def close(self) -> None:
        self._writer.close()


async def measure(sockets: Sequence[Path], shape: Shape, processes: Processes) -> Pass:
    """Run both workloads, warmed up: the serial one on the first daemon, the other's clients spread over all."""
    opened = [await asyncio.open_unix_connection(str(sockets[i % len(sockets)])) for i in range(shape.concurrent)]
    clients = [Client(*streams) for streams in opened]
    await clients[0].run(shape.steps // 5)
    serial = shape.steps / await clients[0].run(shape.steps)
    await _many(clients, shape.short, shape.seconds / 3)
    daemons, server = processor_seconds(processes.daemons), processor_seconds(processes.server)
    began = time.perf_counter()
    latencies = await _many(clients, shape.short, shape.seconds)
    took = time.perf_counter() - began
    for client in clients:
        client.close()
    return Pass(
        serial,
        len(latencies) / took,
        latencies,
        (processor_seconds(processes.daemons) - daemons) / took,
        (processor_seconds(processes.server) - server) / took,
    )


async def _many(clients: Sequence[Client], steps: int, seconds: float) -> list[float]:
    until = time.perf_counter() + seconds

    async def one(client: Client) -> list[float]:
        found = []
        while time.perf_counter() < until:
            found.append(await client.run(steps))
        return found

    return [latency for found in await asyncio.gather(*map(one, clients)) for latency in found]
