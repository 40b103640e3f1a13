"""Restate's server, and its SDK in a process beside it, as their documentation starts them; settings are theirs."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Final, Literal, TypeAlias

from tests.bench.client import Client, connected
from tests.bench.peers.environment import npm_with, python_with
from tests.bench.peers.load import Pass, Processes, Shape, measure

SERVER: Final = "@restatedev/restate-server@1.7.12"
SDK: Final = "restate-sdk==1.3.0"
Form: TypeAlias = Literal["calls", "steps"]
_APP: Final = Path(__file__).with_name("restate_app.py")
_SECONDS: Final = 60.0


@contextmanager
def restate(directory: Path) -> Iterator[Path]:
    """Run both on a directory; give the socket that takes calls."""
    server = npm_with("restate-server", SERVER) / "restate-server-linux-x64" / "bin" / "restate-server"
    python = python_with("restate", SDK, "hypercorn==0.18.0")
    port = _free_port()
    settings = {
        "RESTATE_BASE_DIR": str(directory),
        "RESTATE_NODE_NAME": "n",
        "RESTATE_LISTEN_MODE": "unix",
        "RESTATE_DISABLE_TELEMETRY": "true",
    }
    hypercorn = [python, "-m", "hypercorn", f"{_APP.stem}:app", "--bind", f"127.0.0.1:{port}", "--log-level", "ERROR"]
    with ExitStack() as stack:
        stack.enter_context(_process([server], env=os.environ | settings))
        stack.enter_context(_process(hypercorn, cwd=_APP.parent))
        asyncio.run(_register(directory / "n" / "admin.sock", port))
        yield directory / "n" / "ingress.sock"


def measured(ingress: Path, form: Form, shape: Shape) -> Pass:
    """Give it the workloads, with steps of one form."""
    return asyncio.run(measure([ingress], shape, partial(_run, form), Processes()))


async def _run(form: Form, steps: int, client: Client) -> None:
    status, body = await client.request("POST", f"/bench/{form}", json.dumps(steps))
    assert (status, json.loads(body)) == (200, 55), body


async def _register(admin: Path, port: int) -> None:
    """Tell the server where the SDK is, as soon as both are there."""
    until = time.perf_counter() + _SECONDS
    wanted = json.dumps({"uri": f"http://127.0.0.1:{port}"})
    while True:
        try:
            async with connected([admin], 1) as clients:
                status, body = await clients[0].request("POST", "/deployments", wanted)
        except OSError as error:
            status, body = 0, str(error).encode()
        if status == 201:
            return
        assert time.perf_counter() < until, body
        await asyncio.sleep(0.2)


@contextmanager
def _process(command: list[object], **options: object) -> Iterator[None]:
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    words = [str(word) for word in command]
    with subprocess.Popen(words, start_new_session=True, **quiet, **options) as process:
        try:
            yield
        finally:
            os.killpg(process.pid, signal.SIGKILL)  # hypercorn has processes of its own


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
