"""Requests in their plain form and those that come with them on one connection, as raw bytes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from tests.fakes.api import FIBO, FakeWorld, execution_id
from tests.fakes.serving import serving, until_watched

pytestmark = pytest.mark.anyio
HEALTH = b"GET /v1/healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
CALL = b'{"ffqn":"fibo-activity.fibo","params":[3]}'
SUBMIT = (
    b"PUT /v1/executions/%b HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
)
WAIT = b"GET /v1/executions/%b/result?wait=30 HTTP/1.1\r\nHost: localhost\r\n\r\n" % execution_id().encode()


class Talk:
    """A connection, and what was answered on it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def answer(self) -> tuple[int, bytes]:
        async with asyncio.timeout(30):
            head = (await self.reader.readuntil(b"\r\n\r\n")).lower()
            length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
            return int(head.split()[1]), await self.reader.readexactly(length)


@asynccontextmanager
async def talk(world: FakeWorld, path: Path) -> AsyncIterator[Talk]:
    async with serving(world, path):
        reader, writer = await asyncio.open_unix_connection(str(path))
        try:
            yield Talk(reader, writer)
        finally:
            writer.transport.abort()


def submission(number: int) -> bytes:
    return SUBMIT % (execution_id(number).encode(), len(CALL)) + CALL


async def test_requests_one_after_the_other_on_a_connection_are_answered(world: FakeWorld, path: Path) -> None:
    async with talk(world, path) as it:
        for number in (1, 2):
            it.send(submission(number))
            assert (await it.answer())[0] == 201
        it.send(HEALTH)
        assert await it.answer() == (200, b'{"status":"ok"}')


async def test_requests_that_come_in_one_piece_are_answered_in_order(world: FakeWorld, path: Path) -> None:
    async with talk(world, path) as it:
        it.send(submission(1) + HEALTH + submission(2) + submission(1))
        assert [(await it.answer())[0] for _ in range(4)] == [201, 200, 201, 200]


async def test_what_comes_while_a_request_is_answered_waits_for_its_turn(world: FakeWorld, path: Path) -> None:
    world.create(execution_id(), FIBO, 3)
    async with talk(world, path) as it:
        it.send(WAIT)
        await until_watched(world)
        it.send(HEALTH)
        it.send(submission(2) + HEALTH[:20])
        for _ in range(20):
            await asyncio.sleep(0)
        assert world.submitted == 0
        world.finish(execution_id(), {"ok": 2})
        assert [await it.answer() for _ in range(2)] == [(200, b'{"ok":2}'), (200, b'{"status":"ok"}')]
        assert (await it.answer())[0] == 201
        it.send(HEALTH[20:])
        assert (await it.answer())[0] == 200


@pytest.mark.parametrize("at", [1, 20, 60, len(submission(1)) - 1])
async def test_a_request_that_comes_in_two_pieces_is_answered(world: FakeWorld, path: Path, at: int) -> None:
    async with talk(world, path) as it:
        it.send(submission(1)[:at])
        await it.writer.drain()
        await asyncio.sleep(0)
        it.send(submission(1)[at:])
        assert (await it.answer())[0] == 201
        it.send(HEALTH)
        assert (await it.answer())[0] == 200


async def test_what_follows_a_plain_request_and_is_no_http_is_refused(world: FakeWorld, path: Path) -> None:
    async with talk(world, path) as it:
        it.send(HEALTH + b"nonsense\r\n\r\n")
        assert (await it.answer())[0] == 200
        status, problem = await it.answer()
        assert (status, b"malformed_request" in problem) == (400, True)
        assert await it.reader.read() == b""


async def test_a_client_that_leaves_is_waited_for_no_more(world: FakeWorld, path: Path) -> None:
    world.create(execution_id(), FIBO, 3)
    async with talk(world, path) as it:
        it.send(WAIT)
        await until_watched(world)
        it.writer.transport.abort()
        async with asyncio.timeout(30):
            while world.watcher.waiting:
                await asyncio.sleep(0)


async def test_an_answer_has_its_date_and_the_headers_of_every_answer(http: httpx.AsyncClient) -> None:
    answer = await http.get("/v1/healthz")
    assert "date" in answer.headers
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-store"
