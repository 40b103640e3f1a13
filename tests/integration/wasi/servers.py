"""Servers on loopback: httpbin in a process of its own, and one that does exactly what a test says."""

import asyncio
import re
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

_HTTPBIN = """
from werkzeug.serving import make_server
from httpbin import app
server = make_server("127.0.0.1", 0, app, threaded=True)
print(server.server_port, flush=True)
server.serve_forever()
"""

_PATIENCE = 20.0

Script = Callable[[bytes, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@contextmanager
def httpbin() -> Iterator[int]:
    """Run httpbin until the block is left; give its port."""
    command = [sys.executable, "-W", "ignore", "-c", _HTTPBIN]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline())
        finally:
            process.kill()


class Scripted:
    """Answers each request as the test says, and remembers what it got."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.port = 0
        self.heads: list[bytes] = []
        self.connections = 0
        self.closed = asyncio.Event()
        """Set when a client has closed a connection."""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                self.heads.append(head)
                await self.script(head, reader, writer)
                await writer.drain()
                if writer.is_closing():
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self.closed.set()
            writer.close()


@asynccontextmanager
async def scripted(script: Script, trust: ssl.SSLContext | None = None) -> AsyncIterator[Scripted]:
    """Serve until the block is left, then close every connection. A block that hangs fails."""
    state = Scripted(script)
    served: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        served[task] = writer
        await state.serve(reader, writer)

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=trust)
    state.port = server.sockets[0].getsockname()[1]
    try:
        async with asyncio.timeout(_PATIENCE):
            yield state
    finally:
        server.close()
        for writer in served.values():
            writer.transport.abort()
        await asyncio.gather(*served)
        await server.wait_closed()


def answer(body: bytes = b"ok", status: str = "200 OK", *headers: str) -> bytes:
    """Write a whole response."""
    lines = "".join(f"{header}\r\n" for header in headers)
    return f"HTTP/1.1 {status}\r\ncontent-length: {len(body)}\r\n{lines}\r\n".encode() + body


def always(data: bytes, *, close: bool = False) -> Script:
    """Make a script that answers every request with these bytes."""

    async def script(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_body(head, reader)
        writer.write(data)
        if close:
            writer.close()

    return script


async def never(_head: bytes, reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    """Answer nothing, until the client gives up."""
    await reader.read()


async def read_body(head: bytes, reader: asyncio.StreamReader) -> bytes:
    """Read a request's body as its head says."""
    length = re.search(rb"(?i)^content-length: (\d+)\r$", head, re.MULTILINE)
    if length:
        return await reader.readexactly(int(length[1]))
    body = b""
    while b"transfer-encoding" in head.lower():
        size = int(await reader.readuntil(b"\r\n"), 16)
        body += (await reader.readexactly(size + 2))[:-2]
        if size == 0:
            break
    return body
