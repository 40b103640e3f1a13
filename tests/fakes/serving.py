"""A real API server on a unix socket, and runs of the real `obelisk-ctl` against it."""

import asyncio
import contextlib
import io
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

import httpx

from obelisk_config import Token
from obelisk_daemon.api.auditing import Audit
from obelisk_daemon.api.identity import Access
from obelisk_daemon.api.listeners import UnixListener
from obelisk_daemon.api.server import ApiServer
from obelisk_daemon.clock import Clock
from obelisk_daemon.ctl.main import main
from obelisk_daemon.storage.audit import AuditLog
from tests.fakes.api import FakeWorld
from tests.fakes.audit import FakeAuditLog
from tests.fakes.clock import ManualClock


class Run(NamedTuple):
    """How a run of obelisk-ctl ended."""

    code: int
    out: str
    err: str


def access(*tokens: Token, dev: bool = False, clock: Clock | None = None, log: AuditLog | None = None) -> Access:
    """Let in whoever has one of the tokens; the unix socket needs none."""
    clock = clock or ManualClock()
    return Access(clock, lambda: tokens, Audit(log or FakeAuditLog(), clock), dev)


@asynccontextmanager
async def serving(world: FakeWorld, path: Path) -> AsyncIterator[ApiServer]:
    """Serve a world on a unix socket."""
    server = ApiServer(world.services(), [UnixListener(path)], access())
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


@asynccontextmanager
async def talking(path: Path) -> AsyncIterator[httpx.AsyncClient]:
    """Talk HTTP to a unix socket."""
    # there is no TLS, and to read its certificates takes 20 ms
    transport = httpx.AsyncHTTPTransport(uds=str(path), verify=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost", timeout=30) as client:
        yield client


class TerminalIO(io.StringIO):
    """What is written to it is seen by a person."""

    def isatty(self) -> bool:
        return True


def ctl(*arguments: str, stdin: str = "", terminal: int | None = None, **environ: str) -> Run:
    """Run obelisk-ctl in this process; with `terminal`, stdout is one of so many columns."""
    out, err = io.StringIO() if terminal is None else TerminalIO(), io.StringIO()
    code: object = None
    with (
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        patch.object(sys, "stdin", io.StringIO(stdin)),
        patch.dict("os.environ", {"COLUMNS": str(terminal or 100), "TERM": "xterm", "NO_COLOR": "", **environ}),
    ):
        try:
            main(arguments)
        except SystemExit as ended:
            code = ended.code
    return Run(code if isinstance(code, int) else 0 if code is None else 1, out.getvalue(), err.getvalue())


async def ctl_at(path: Path, *arguments: str, **how: Any) -> Run:
    """Run obelisk-ctl in a thread against the socket that this loop serves; `how` is as for `ctl`."""
    return await asyncio.to_thread(lambda: ctl("--url", f"unix:{path}", *arguments, **how))


async def until_watched(world: FakeWorld) -> None:
    """Wait until a request waits for something."""
    async with asyncio.timeout(10):
        while not world.watcher.waiting:
            await asyncio.sleep(0)


async def until_followed(world: FakeWorld) -> None:
    """Wait until a client follows."""
    async with asyncio.timeout(10):
        while not len(world.live.streams):
            await asyncio.sleep(0)
