"""obelisk-ctl and tokens: making them, and using them against a server on TCP."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path

import pytest

from obelisk_config import Token, load
from obelisk_config.tokens import is_token, sha256_of
from obelisk_daemon.api.listeners import TcpListener
from obelisk_daemon.api.server import ApiServer
from tests.fakes.api import FakeWorld, execution_id
from tests.fakes.serving import Run, access, ctl
from tests.fakes.tokens import holder

pytestmark = pytest.mark.anyio
READER, READING = holder("dashboard", "read")


@pytest.fixture
async def url(world: FakeWorld) -> AsyncIterator[str]:
    """Serve a world on TCP to whoever has the token of a reader."""
    server = ApiServer(world.services(), [TcpListener("127.0.0.1", 0)], access(READING))
    await server.start()
    yield server.addresses[0]
    await server.stop()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "token"
    file.write_text(READER + "\n")
    return file


async def run(*arguments: str) -> Run:
    return await asyncio.to_thread(ctl, *arguments)


async def test_a_token_from_a_file_or_the_environment_is_sent(
    url: str, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (await run("--url", url, "status", "--token-file", str(file))).code == 0
    assert (await run("--url", url, "--token-file", str(file), "status")).code == 0
    monkeypatch.setenv("OBELISK_TOKEN", READER)
    assert (await run("--url", url, "status")).code == 0


async def test_without_a_token_the_exit_code_is_77_and_how_to_name_one_is_told(url: str) -> None:
    ended = await run("--url", url, "status", "--json")
    assert ended.code == 77
    assert json.loads(ended.out)["error"]["code"] == "unauthenticated"
    assert "--token-file" in ended.err


async def test_a_reader_that_cancels_is_told_which_role_that_needs(url: str, file: Path) -> None:
    ended = await run("--url", url, "--token-file", str(file), "cancel", execution_id())
    assert ended.code == 77
    assert "needs the role operate, and dashboard has the role read" in ended.err


async def test_the_address_of_the_web_pages_has_the_token_in_its_fragment(url: str, file: Path) -> None:
    ended = await run("--url", url, "ui", "--token-file", str(file))
    assert (ended.code, ended.out) == (0, f"http://{url}/#token={READER}\n")
    assert "as dashboard, in the role read" in ended.err
    told = json.loads((await run("--url", url, "ui", "--token-file", str(file), "--json")).out)
    assert told == {"address": f"http://{url}/#token={READER}", "name": "dashboard", "role": "read"}
    assert (await run("--url", "unix:/nowhere", "ui")).code == 64


def test_a_new_token_is_shown_once_with_its_table() -> None:
    ended = ctl("token", "new", "--role", "operate", "--name", "ci")
    token, _, table = ended.out.partition("\n\n")
    assert ended.code == 0
    assert is_token(token)
    (read,) = load(table.encode(), Path("obelisk.toml")).tokens
    assert read == Token("ci", "operate", sha256_of(token))
    assert ctl("token", "new", "--role", "operate", "--name", "ci").out.partition("\n")[0] != token


def test_a_new_token_is_added_to_a_manifest_which_never_has_the_token_itself(tmp_path: Path) -> None:
    manifest = tmp_path / "obelisk.toml"
    manifest.write_text("# mine\n\n[daemon]\nlisten = ['127.0.0.1:5005']  # for us\n")
    arguments = ("token", "new", "--role", "admin", "--expires", "90d", "--add-to", str(manifest), "--json")
    told = json.loads(ctl(*arguments).out)
    text = manifest.read_text()
    (read,) = load(text.encode(), manifest).tokens
    assert (read.name, read.sha256) == (told["name"], sha256_of(told["token"]))
    assert isinstance(read.expires, datetime)
    assert told["token"] not in text
    assert text.startswith("# mine\n\n[[token]]\n")
    assert text.endswith("[daemon]\nlisten = ['127.0.0.1:5005']  # for us\n")
    assert len(load(manifest.read_bytes(), manifest).tokens) == 1
    assert ctl(*arguments[:-1], "--name", read.name).code == 64
    assert manifest.read_text() == text


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("--role", "root"), 64),
        ((), 64),
        (("--role", "read", "--expires", "soon"), 64),
        (("--role", "read", "--expires", "999999999d"), 64),
        (("--role", "read", "--add-to", "/nowhere/obelisk.toml"), 65),
    ],
)
def test_what_can_not_be_made_says_why(arguments: tuple[str, ...], code: int) -> None:
    ended = ctl("token", "new", *arguments)
    assert (ended.code, ended.out) == (code, "")
    assert "obelisk-ctl: " in ended.err
