"""Bytes that clients may send to the API: it answers them or closes, and goes on serving the others."""

import asyncio
import logging
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fakes.api import FIBO, FakeWorld, execution_id
from tests.fakes.serving import serving, talking

BODY = f'{{"ffqn": "{FIBO.ffqn}", "params": [3]}}'.encode()
SUBMIT = b"PUT /v1/executions/%s HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%s" % (
    execution_id().encode(), len(BODY), BODY,
)  # fmt: skip
GOOD = [
    SUBMIT,
    b"GET /v1/executions?limit=5&state=finished&tag=a%3Db HTTP/1.1\r\nHost: localhost\r\nLast-Event-ID: 3\r\n\r\n",
    b"POST /v1/executions/bulk HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    b'GET /ui/api.js HTTP/1.1\r\nHost: localhost\r\nOrigin: http://localhost\r\nIf-None-Match: "x"\r\n\r\n' * 2,
]
FAR = 30.0


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    """Draw bytes, or a good request with some of its bytes replaced."""
    good = draw(st.sampled_from(GOOD))
    start, length = draw(st.integers(0, len(good))), draw(st.integers(0, 30))
    return (
        draw(st.binary(max_size=300))
        if draw(st.booleans())
        else (good[:start] + draw(st.binary(max_size=12)) + good[start + length :])
    )


async def exchanged(path: Path, data: bytes) -> bytes:
    reader, writer = await asyncio.open_unix_connection(str(path))
    writer.write(data)
    writer.write_eof()
    try:
        async with asyncio.timeout(FAR):
            return await reader.read()
    except ConnectionError:
        return b""
    finally:
        writer.transport.abort()
        await asyncio.sleep(0)


def test_whatever_bytes_a_client_sends_they_are_answered_and_others_are_served(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path, loop = tmp_path / "api.sock", asyncio.new_event_loop()
    serves = serving(FakeWorld(), path)
    loop.run_until_complete(serves.__aenter__())

    @settings(max_examples=200, deadline=None)
    @given(requests())
    def send(data: bytes) -> None:
        answer = loop.run_until_complete(exchanged(path, data))
        assert answer == b"" or answer.startswith(b"HTTP/1.1 ")
        assert not answer.startswith(b"HTTP/1.1 5")

    send()

    async def healthy() -> int:
        async with talking(path) as client:
            return (await client.get("/v1/healthz")).status_code

    assert loop.run_until_complete(healthy()) == 200
    loop.run_until_complete(serves.__aexit__(None, None, None))
    loop.close()
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []
