"""What obelisk-ctl prints of replays, WIT, the audit log and shells, and of the files that it writes."""

import re
from collections.abc import AsyncIterator
from pathlib import Path
from unittest.mock import patch

import pytest
from syrupy.assertion import SnapshotAssertion

from obelisk_daemon.api.listeners import TcpListener, UnixListener
from obelisk_daemon.api.server import ApiServer
from obelisk_daemon.execution.events import Paused
from tests.fakes.api import FIBO, FIBOA, FakeWorld, execution_id
from tests.fakes.serving import Run, access, ctl_at
from tests.fakes.tokens import holder
from tests.golden.ctl.test_output import LOCKED, trimmed

pytestmark = pytest.mark.anyio
RUNNING, HELD = map(execution_id, range(1, 3))
TOKEN, ADMIN = holder("boss", "admin")
TABLES = '[[activity]]\nname = "a"\npath = "one.wasm"\ndigest = "sha256:00"\n'
COMMANDS = {
    "upgrade": ("upgrade", RUNNING),
    "upgrade of an activity": ("upgrade", HELD),
    "replay": ("replay", RUNNING),
    "replay without anything": ("replay",),
    "wit": ("wit", "fibo-workflow.fiboa"),
    "wit of none": ("wit", "fibbo"),
    "completion": ("completion", "bash"),
    "completion of another shell": ("completion", "tcsh"),
    "audit": ("audit",),
    "init": ("init", "--manifest", "DIR/new.toml", "--activity", "DIR/one.wasm"),
    "init where one is": ("init", "--manifest", "DIR/obelisk.toml"),
    "manifest pin": ("manifest", "pin", "--manifest", "DIR/obelisk.toml"),
    "manifest pin of none": ("manifest", "pin", "b", "--manifest", "DIR/obelisk.toml"),
    "token new": ("token", "new", "--role", "operate", "--name", "ci"),
    "token new of no role": ("token", "new", "--role", "boss"),
    "ui": ("ui", "--url", "TCP"),
}


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[ApiServer]:
    world = FakeWorld()
    world.create(RUNNING, FIBOA, 10, 1)
    world.add(RUNNING, LOCKED)
    world.create(HELD, FIBO, 3)
    world.add(HELD, Paused("operator"))
    (tmp_path / "one.wasm").write_bytes(b"\0asm\1\0\0\0")
    (tmp_path / "obelisk.toml").write_text(TABLES)
    server = ApiServer(
        world.services(), [UnixListener(tmp_path / "api.sock"), TcpListener("127.0.0.1", 0)], access(ADMIN)
    )
    await server.start()
    yield server
    await server.stop()


async def ran(server: ApiServer, directory: Path, *arguments: str) -> tuple[int, str, str]:
    """Run a command; what differs from run to run is left out of what it printed."""
    tcp, socket = f"http://{server.addresses[1]}", directory / "api.sock"
    given = [argument.replace("DIR", str(directory)).replace("TCP", tcp) for argument in arguments]
    if arguments[0] == "audit":  # of something that was done
        await ctl_at(socket, "cancel", HELD)
    with patch("secrets.token_bytes", bytes):
        run: Run = await ctl_at(socket, *given, **({"OBELISK_TOKEN": TOKEN} if "TCP" in arguments else {}))

    def left(text: str) -> str:
        text = trimmed(text, socket).replace(str(directory), "DIR").replace(tcp, "TCP").replace(TOKEN, "TOKEN")
        return re.sub(r"uid=\d+", "uid=0", text)

    return run.code, left(run.out), left(run.err)


@pytest.mark.parametrize("command", COMMANDS)
async def test_people_see_this(command: str, served: ApiServer, tmp_path: Path, snapshot: SnapshotAssertion) -> None:
    assert await ran(served, tmp_path, *COMMANDS[command]) == snapshot


@pytest.mark.parametrize("command", COMMANDS)
async def test_programs_see_this(command: str, served: ApiServer, tmp_path: Path, snapshot: SnapshotAssertion) -> None:
    code, out, _ = await ran(served, tmp_path, *COMMANDS[command], "--json")
    assert out.count("\n") == 1
    assert (code, out) == snapshot
