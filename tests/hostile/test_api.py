"""Requests by somebody who means harm, as bytes on a connection: each is refused with a reason, and none is two."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest

from tests.fakes.api import FIBO, FakeWorld, execution_id
from tests.fakes.serving import serving, talking

pytestmark = pytest.mark.anyio
ID = execution_id(1)
HIDDEN = f"PUT /v1/executions/{execution_id(2)} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{{}}"
CALL = json.dumps({"ffqn": str(FIBO.ffqn), "params": [3]})
FAR = 30.0


@pytest.fixture
def world() -> FakeWorld:
    return FakeWorld()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "api.sock"


@pytest.fixture
async def http(world: FakeWorld, path: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with serving(world, path), talking(path) as client:
        yield client


async def answers(path: Path, data: bytes) -> list[str]:
    """Send bytes on a connection of their own, and give the first line of each answer until it is closed."""
    reader, writer = await asyncio.open_unix_connection(str(path))
    writer.write(data)
    writer.write_eof()
    async with asyncio.timeout(FAR):
        received = (await reader.read()).decode("latin-1")
    writer.close()
    return [line for line in received.split("\r\n") if line.startswith("HTTP/1.1 ")]


SMUGGLED = {
    "two lengths": f"Content-Length: 0\r\nContent-Length: {len(HIDDEN)}\r\n\r\n{HIDDEN}",
    "two lengths in one": f"Content-Length: 0, {len(HIDDEN)}\r\n\r\n{HIDDEN}",
    "a length with a sign": f"Content-Length: +{len(HIDDEN)}\r\n\r\n{HIDDEN}",
    "a length below zero": f"Content-Length: -1\r\n\r\n{HIDDEN}",
    "a length in hexadecimal": f"Content-Length: 0x1\r\n\r\n{HIDDEN}",
    "a length with other digits": f"Content-Length: \u00b2\r\n\r\n{HIDDEN}",
    "a huge length": f"Content-Length: {'9' * 30}\r\n\r\n{HIDDEN}",
    "another coding": f"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n{HIDDEN}",
    "a coding that is none": f"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n{HIDDEN}",
    "a coding twice": f"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{HIDDEN}",
    "a space before the colon": f"Content-Length : {len(HIDDEN)}\r\n\r\n{HIDDEN}",
    "a header without a name": f": x\r\n\r\n{HIDDEN}",
    "a zero in a header": f"X: a\0b\r\n\r\n{HIDDEN}",
    "a chunk size with a sign": f"Transfer-Encoding: chunked\r\n\r\n+0\r\n\r\n{HIDDEN}",
    "a huge chunk size": f"Transfer-Encoding: chunked\r\n\r\n{'f' * 40}\r\n\r\n{HIDDEN}",
    "a chunk size with an underscore": f"Transfer-Encoding: chunked\r\n\r\n0_0\r\n\r\n{HIDDEN}",
}


@pytest.mark.parametrize("shape", SMUGGLED)
async def test_a_request_whose_end_can_be_read_in_two_ways_is_refused_and_the_connection_closed(
    world: FakeWorld, path: Path, shape: str
) -> None:
    async with serving(world, path):
        data = f"POST /v1/executions/{ID}/cancel HTTP/1.1\r\nHost: localhost\r\n{SMUGGLED[shape]}".encode("latin-1")
        assert await answers(path, data) == ["HTTP/1.1 400 Bad Request"]
    assert world.submitted == 0


async def test_a_length_beside_a_coding_ends_with_the_coding_and_hides_no_request(world: FakeWorld, path: Path) -> None:
    """RFC 9112 lets a server take the coding; the hidden request is then no more than the next one of this client."""
    head = f"GET /v1/healthz HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(HIDDEN) + 5}\r\n"
    async with serving(world, path):
        said = await answers(path, f"{head}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n{HIDDEN}".encode())
    assert said[0] in ("HTTP/1.1 200 OK", "HTTP/1.1 400 Bad Request")
    assert world.submitted == 0


async def test_a_body_that_nobody_reads_is_not_taken_for_the_next_request(world: FakeWorld, path: Path) -> None:
    async with serving(world, path):
        head = f"GET /v1/healthz HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(HIDDEN)}\r\n\r\n"
        said = await answers(path, f"{head}{HIDDEN}GET /v1/status HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    assert set(said) == {"HTTP/1.1 200 OK"}
    assert world.submitted == 0


@pytest.mark.parametrize(
    "line",
    ["GET /v1/healthz HTTP/9.9", "GET http://evil.test/v1/healthz", "GET  /v1/healthz HTTP/1.1", "G\0T / HTTP/1.1",
     "GET /v1/healthz HTTP/1.1\r\nHost: localhost\r\n folded: yes\r\n\tagain", "\r\n\r\n\r\n\x16\x03\x01"],
)  # fmt: skip
async def test_a_line_that_is_not_plainly_http_is_refused_or_read_as_one_request(
    world: FakeWorld, path: Path, line: str
) -> None:
    async with serving(world, path):
        said = await answers(path, f"{line}\r\nHost: localhost\r\n\r\n".encode())
    assert len(said) <= 1
    assert not said or said[0].split()[1] in ("200", "400", "404")


@pytest.mark.parametrize(
    "page",
    ["/ui/..%2f..%2fetc%2fpasswd", "/ui/../../etc/passwd", "/ui/%2e%2e/%2e%2e/etc/passwd", "/ui/..", "/ui//etc/passwd",
     "/ui/..%5c..%5cpasswd", "/ui/api.js%00.html", "/ui/%252e%252e%252fpasswd", "/../../etc/passwd", "//etc/passwd"],
)  # fmt: skip
async def test_no_path_leads_out_of_the_pages(world: FakeWorld, path: Path, page: str) -> None:
    async with serving(world, path):
        said = await answers(path, f"GET {page} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
    assert said == ["HTTP/1.1 404 Not Found"]


ZEROES = "0" * 26
IDS = {
    "60,000 digits": "E_" + "0" * 60_000,
    "beyond 128 bits": "E_" + "Z" * 26,
    "a small e": f"e_{ZEROES}",
    "digits of full width": "E_" + "\uff10" * 26,
    "the sign of Kelvin": f"E_{ZEROES[1:]}\u212a",
    "a line end": f"E_{ZEROES}\n",
    "a zero": f"E_{ZEROES}\0",
    "a child with a number of 5,000 digits": f"E_{ZEROES}.o:{'9' * 5_000}_1",
    "the directory above": "..",
    "the directory above, encoded twice": "%2e%2e",
    "a prefix": "E_",
    "a picture": "\U0001f600",
}


@pytest.mark.parametrize("text", IDS.values(), ids=IDS)
async def test_an_id_that_is_none_is_refused_without_being_repeated_at_length(
    http: httpx.AsyncClient, world: FakeWorld, text: str
) -> None:
    for answer in (
        await http.put(f"/v1/executions/{quote(text, safe='')}", content=CALL),
        await http.get(f"/v1/executions/{quote(text, safe='')}"),
    ):
        assert answer.status_code in (400, 404, 405, 414, 422)
        assert len(answer.content) < 1_000
    assert world.submitted == 0


@pytest.mark.parametrize(
    "twin", ["testing:fib\u043e/fibo.fibo", "testing:fibo/fibo.\uff46ibo", "testing:fibo/fibo.fi\u200bbo"]
)
async def test_a_function_whose_name_looks_like_another_is_none(
    http: httpx.AsyncClient, world: FakeWorld, twin: str
) -> None:
    answer = await http.put(f"/v1/executions/{ID}", json={"ffqn": twin, "params": [3]})
    assert 400 <= answer.status_code < 500
    assert world.submitted == 0


def call(params: str, more: str = "") -> str:
    """Write a call whose parameters are this text."""
    return f'{{"ffqn": "{FIBO.ffqn}", "params": {params}{more}}}'


NESTED = "[" * 100_000 + "]" * 100_000
BODIES = {
    "arrays without end": NESTED,
    "parameters without end": call(NESTED),
    "objects without end": '{"a":' * 50_000 + "1" + "}" * 50_000,
    "a number of 100,000 digits": call(f"[{'9' * 100_000}]"),
    "an exponent beyond all floats": call("[1e999999]"),
    "a priority of 5,000 digits": call("[3]", f', "priority": {"9" * 5_000}'),
    "a text for parameters": call('"3"'),
    "a number for a name": '{"ffqn": 3, "params": [3]}',
    "null": "null",
    "an array": "[]",
    "a text": '"x"',
    "an empty object": "{}",
    "nothing": "",
    "NaN": "NaN",
    "half a character for a name": '{"ffqn": "\\ud800", "params": []}',
    "half a character for a parameter": call('["\\ud800"]'),
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
async def test_a_body_that_nests_counts_or_means_too_much_is_refused(
    http: httpx.AsyncClient, world: FakeWorld, body: str
) -> None:
    answer = await http.put(f"/v1/executions/{ID}", content=body)
    assert 400 <= answer.status_code < 500, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert len(answer.content) < 2_000
    assert world.submitted == 0


QUERIES = {
    "a limit of 5,000 digits": "limit=" + "9" * 5_000,
    "a limit below zero": "limit=-1",
    "a limit as a float": "limit=1e9",
    "a limit in digits of full width": "limit=\uff11",
    "a long cursor": "cursor=" + "A" * 60_000,
    "a zero as a cursor": "cursor=%00",
    "a long tag": "tag=" + "a" * 30_000,
    "a year beyond all": "created_after=9999999-01-01",
    "bytes that are no text": "ffqn=" + "%F0%28%8C%28" * 100,
}


@pytest.mark.parametrize("query", QUERIES.values(), ids=QUERIES)
async def test_a_query_that_is_out_of_range_is_refused_or_finds_nothing(http: httpx.AsyncClient, query: str) -> None:
    answer = await http.get(f"/v1/executions?{query}")
    assert answer.status_code in (200, 400, 414, 422), answer.text
    assert answer.status_code != 200 or answer.json()["executions"] == []
    assert len(answer.content) < 2_000
