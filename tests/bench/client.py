"""A client of the API that costs little, since it shares the processor with the daemon: plain HTTP/1.1, kept open."""

import asyncio
import json
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from obelisk_daemon.ids import IdSource

IDS = IdSource(lambda: time.time_ns() // 1_000_000, secrets.randbits)


class Client:
    """One connection, one request at a time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def submit(self, ffqn: str, params: Sequence[object], **more: object) -> str:
        """Submit a call, and give its id; `more` are further keys of the submission."""
        execution_id = IDS.execution()
        call = {"ffqn": ffqn, "params": params, **more}
        status, body = await self.request("PUT", f"/v1/executions/{execution_id}", json.dumps(call))
        assert status == 201, body
        return execution_id

    async def submit_many(self, ffqn: str, params: Sequence[object], number: int) -> list[str]:
        """Submit a call so many times in one request, and give the ids."""
        ids = [str(IDS.execution()) for _ in range(number)]
        calls = [{"execution_id": one, "ffqn": ffqn, "params": params} for one in ids]
        status, body = await self.request("POST", "/v1/executions/batch", json.dumps({"executions": calls}))
        assert (status, json.loads(body)["created"]) == (200, number), body
        return ids

    async def result(self, execution_id: str) -> Any:
        """Wait for the result of an execution."""
        status = 202
        while status == 202:
            status, body = await self.request("GET", f"/v1/executions/{execution_id}/result?wait=60")
        assert status == 200, body
        return json.loads(body)

    async def run(self, ffqn: str, params: Sequence[object]) -> Any:
        """Submit a call and wait for its result."""
        return await self.result(await self.submit(ffqn, params))

    async def get(self, path: str) -> Any:
        """Get a document."""
        status, body = await self.request("GET", path)
        assert status == 200, body
        return json.loads(body)

    async def request(self, method: str, path: str, body: str = "") -> tuple[int, bytes]:
        """Send a request, and give the status and the body of its answer."""
        content = body.encode()
        kind = f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n" if content else ""
        self._writer.write(f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n{kind}\r\n".encode() + content)
        lines = (await self._reader.readuntil(b"\r\n\r\n")).lower().split(b"\r\n")
        (length,) = [int(line[15:]) for line in lines if line.startswith(b"content-length:")]
        return int(lines[0].split()[1]), await self._reader.readexactly(length)

    def close(self) -> None:
        """Close the connection."""
        self._writer.close()


@asynccontextmanager
async def connected(sockets: Sequence[Path], number: int) -> AsyncIterator[list[Client]]:
    """Give so many clients, spread over the sockets."""
    opened = [await asyncio.open_unix_connection(str(sockets[i % len(sockets)])) for i in range(number)]
    clients = [Client(*streams) for streams in opened]
    try:
        yield clients
    finally:
        for client in clients:
            client.close()


async def share(clients: Sequence[Client], work: Iterable[Callable[[Client], Awaitable[object]]]) -> list[float]:
    """Have the clients do all of the work, each one piece after the other; give the seconds that each piece took."""
    left, took = iter(work), []

    async def one(client: Client) -> None:
        for piece in left:
            began = time.perf_counter()
            await piece(client)
            took.append(time.perf_counter() - began)

    await asyncio.gather(*map(one, clients))
    return took


async def repeat(clients: Sequence[Client], work: Callable[[Client], Awaitable[object]], seconds: float) -> list[float]:
    """Have each client do a piece of work again and again for so many seconds; give the seconds that each took."""
    until = time.perf_counter() + seconds

    def pieces() -> Iterable[Callable[[Client], Awaitable[object]]]:
        while time.perf_counter() < until:
            yield work

    return await share(clients, pieces())
