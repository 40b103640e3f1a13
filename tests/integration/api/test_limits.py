"""What clients may take of the server: connections, time, bytes. Deadlines are short, and the tests wait for ends."""

import asyncio
import contextlib
import logging
import socket
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import msgspec
import pytest

from obelisk_config import Token
from obelisk_daemon.api.identity import Access
from obelisk_daemon.api.listeners import TcpListener, UnixListener
from obelisk_daemon.api.server import ApiServer
from obelisk_daemon.api.slots import DEFAULT_LIMITS, Limits
from tests.fakes.api import FIBO, FakeWorld, execution_id
from tests.fakes.clock import ManualClock
from tests.fakes.serving import access, talking, until_watched
from tests.fakes.tokens import holder

pytestmark = pytest.mark.anyio
TOKEN, HOLDER = holder("ci", "admin")
BEARER = {"authorization": f"Bearer {TOKEN}"}
HEAD = b"GET /v1/healthz HTTP/1.1\r\nHost: localhost\r\n"
ID = execution_id()
QUICK = Limits(header_seconds=0.05, body_seconds=0.05, idle_seconds=0.05, write_seconds=0.05)
FAR = 30.0
"""Seconds after which something that should have happened is a failed test."""

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@asynccontextmanager
async def served(
    world: FakeWorld, path: Path, limits: Limits = DEFAULT_LIMITS, known: Access | None = None
) -> AsyncIterator[ApiServer]:
    listeners = [UnixListener(path), TcpListener("127.0.0.1", 0)]
    server = ApiServer(world.services(), listeners, known or access(HOLDER), limits=limits)
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


def port_of(server: ApiServer) -> int:
    return int(server.addresses[1].rpartition(":")[2])


@asynccontextmanager
async def connected(server: ApiServer) -> AsyncIterator[Streams]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port_of(server))
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def rest(reader: asyncio.StreamReader) -> bytes:
    """Read to the end; a connection that is reset has ended, too."""
    async with asyncio.timeout(FAR):
        with contextlib.suppress(ConnectionError):
            return await reader.read()
    return b""


async def test_a_thousand_slow_clients_do_not_stop_the_api_on_tcp_nor_on_the_unix_socket(
    world: FakeWorld, path: Path
) -> None:
    limits = Limits(connections=200, per_peer=150)
    async with served(world, path, limits) as server:
        with ExitStack() as stack:
            to_tcp = [await begun(stack, ("127.0.0.1", port_of(server)), number) for number in range(1_000)]
            to_unix = [await begun(stack, str(path), number) for number in range(1_000)]
            for _ in range(3):  # each by a connection of its own
                async with httpx.AsyncClient(base_url=f"http://{server.addresses[1]}", timeout=FAR) as client:
                    assert (await client.get("/v1/me", headers=BEARER)).status_code == 200
                async with talking(path) as client:
                    assert (await client.get("/v1/me")).status_code == 200
            unix, tcp = (acceptor.slots for acceptor in server._acceptors)
            assert len(tcp) <= 150
            assert len(unix) <= 200
            assert (tcp.refused, unix.refused) == (0, 0)
            for slow in (*to_tcp[:850], *to_unix[:800]):
                assert await ended(slow)  # the oldest had to go
        assert (tcp.closed >= 850, unix.closed >= 800) == (True, True)


async def begun(stack: ExitStack, address: str | tuple[str, int], number: int) -> socket.socket:
    """Connect, and begin a request that is never ended."""
    family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
    slow = stack.enter_context(socket.socket(family, socket.SOCK_STREAM))
    slow.setblocking(False)
    await asyncio.get_running_loop().sock_connect(slow, address)
    slow.send(HEAD[: 1 + number % len(HEAD)])
    return slow


async def ended(slow: socket.socket) -> bool:
    async with asyncio.timeout(FAR):
        try:
            return await asyncio.get_running_loop().sock_recv(slow, 1) == b""
        except ConnectionError:
            return True


async def test_a_header_has_to_end_in_time_however_slowly_it_comes(world: FakeWorld, path: Path) -> None:
    limits = Limits(header_seconds=1.0)
    async with served(world, path, limits) as server, connected(server) as (reader, writer):

        async def drip() -> None:
            for byte in b"GET /v1/healthz?" + b"x" * 5_000:  # longer than anybody waits, shorter than what is too long
                writer.write(bytes([byte]))
                await asyncio.sleep(0.02)

        dripping = asyncio.create_task(drip())
        answer = await rest(reader)
        assert not dripping.done()
        dripping.cancel()
    assert answer.startswith(b"HTTP/1.1 408 ")


async def test_a_header_that_stops_is_answered_with_408(world: FakeWorld, path: Path) -> None:
    async with served(world, path, QUICK) as server, connected(server) as (reader, writer):
        writer.write(HEAD)
        answer = await rest(reader)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b'"code":"too_slow"' in answer


async def test_who_says_nothing_is_closed_without_an_answer(world: FakeWorld, path: Path) -> None:
    async with served(world, path, QUICK) as server, connected(server) as (reader, _):
        assert await rest(reader) == b""


async def test_a_connection_that_was_used_may_wait_for_longer_than_a_header(world: FakeWorld, path: Path) -> None:
    limits = Limits(header_seconds=0.05, idle_seconds=FAR)
    async with served(world, path, limits) as server, connected(server) as (reader, writer), connected(server) as other:
        writer.write(HEAD + b"\r\n")
        await reader.readuntil(b'{"status":"ok"}')
        assert await rest(other[0]) == b""  # so the time for a header is over
        writer.write(HEAD + b"\r\n")
        await reader.readuntil(b'{"status":"ok"}')


async def test_a_body_has_to_end_in_time(world: FakeWorld, path: Path, caplog: pytest.LogCaptureFixture) -> None:
    head = f"PUT /v1/executions/{ID} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\n"
    async with served(world, path, QUICK) as server, connected(server) as (reader, writer):
        writer.write(head.encode() + b"Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{")
        assert await rest(reader) == b""
    assert world.submitted == 0
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


async def test_the_body_of_a_refused_request_has_to_end_in_time_too(world: FakeWorld, path: Path) -> None:
    limits = Limits(header_seconds=0.05)
    async with served(world, path, limits) as server, connected(server) as (reader, writer):
        writer.write(f"PUT /v1/executions/{ID} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{{".encode())
        assert (await rest(reader)).startswith(b"HTTP/1.1 401 ")


async def test_who_takes_nothing_of_an_answer_is_closed(world: FakeWorld, path: Path) -> None:
    limits = Limits(write_seconds=0.05)
    async with served(world, path, limits) as server, connected(server) as (_, writer):
        asked = HEAD.replace(b"healthz", b"openapi.json") + f"Authorization: Bearer {TOKEN}\r\n\r\n".encode()
        for _ in range(200):
            writer.write(asked)
        async with asyncio.timeout(FAR):
            while not (connections := server._server.server_state.connections):  # type: ignore[union-attr]
                await asyncio.sleep(0)
            while connections:
                await asyncio.sleep(0.01)


async def test_what_is_no_http_is_told_so(world: FakeWorld, path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with served(world, path) as server, connected(server) as (reader, writer):
        writer.write(b"\x16\x03\x01\x00\xa5\r\n\r\n")
        answer = await rest(reader)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b'"code":"malformed_request"' in answer
    assert caplog.records == []


async def test_a_body_that_is_no_http_ends_the_request(
    world: FakeWorld, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    head = f"PUT /v1/executions/{ID} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\n"
    async with served(world, path) as server, connected(server) as (reader, writer):
        writer.write(head.encode() + b"Transfer-Encoding: chunked\r\n\r\nzzz\r\n")
        assert (await rest(reader)).startswith(b"HTTP/1.1 400 ")
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


async def test_a_stream_ends_when_its_token_is_taken_out_of_the_manifest(world: FakeWorld, path: Path) -> None:
    world.create(ID, FIBO, 3)
    tokens: list[Token] = [HOLDER]
    known = msgspec.structs.replace(access(), tokens=lambda: tokens)
    async with served(world, path, known=known) as server:  # noqa: SIM117 - the client needs its address
        async with httpx.AsyncClient(base_url=f"http://{server.addresses[1]}", timeout=FAR) as client:
            waiting = asyncio.create_task(client.get(f"/v1/executions/{ID}/result?wait=60", headers=BEARER))
            await until_watched(world)
            server._check.recheck()
            assert not waiting.done()
            tokens.clear()
            with pytest.raises(httpx.RemoteProtocolError):
                await waiting
            assert (await client.get("/v1/me", headers=BEARER)).status_code == 401
            tokens.append(HOLDER)
            assert (await client.get("/v1/me", headers=BEARER)).status_code == 200


async def test_a_stream_ends_when_its_token_expires(world: FakeWorld, path: Path) -> None:
    world.create(ID, FIBO, 3)
    clock = ManualClock()
    token, mortal = holder("mortal", "read", datetime(2026, 1, 2, 3, 4, 6, tzinfo=UTC))
    async with served(world, path, known=access(mortal, clock=clock)) as server:  # noqa: SIM117 - as above
        async with httpx.AsyncClient(base_url=f"http://{server.addresses[1]}", timeout=FAR) as client:
            asking = client.get(f"/v1/executions/{ID}/result?wait=60", headers={"authorization": f"Bearer {token}"})
            waiting = asyncio.create_task(asking)
            await until_watched(world)
            clock.advance(timedelta(seconds=1))
            with pytest.raises(httpx.RemoteProtocolError):
                await waiting
