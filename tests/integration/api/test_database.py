"""`/v1/db` and `obelisk-ctl db` over a real server."""

import asyncio
import base64
import hashlib
import json
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from obelisk_daemon.api.listeners import TcpListener, UnixListener
from obelisk_daemon.api.server import ApiServer
from obelisk_daemon.api.slots import Limits
from obelisk_daemon.errors import ConflictError, StorageUnavailableError
from obelisk_daemon.storage.database import Backup
from tests.fakes.api import FakeWorld
from tests.fakes.database import DAMAGE
from tests.fakes.serving import access, ctl, ctl_at
from tests.fakes.tokens import holder

pytestmark = pytest.mark.anyio
FAR = 30.0
"""Seconds after which something that should have happened is a failed test."""


class Endless:
    """A database whose backup never ends; `closed` is set when the API has let go of it."""

    def __init__(self) -> None:
        self.closed = asyncio.Event()

    async def back_up(self) -> Backup:
        return Backup(1 << 40, bytes(32), self._chunks(), self.closed.set)

    async def _chunks(self) -> AsyncIterator[bytes]:
        while True:
            await asyncio.sleep(0)  # as one that reads a file: in between, others have their turn
            yield bytes(1 << 16)


async def test_the_database_is_measured(http: httpx.AsyncClient) -> None:
    document = (await http.get("/v1/db/stats")).json()
    assert document["rows"]["event"] == 9_700
    assert document["not_counted"] == ["log_line"]


async def test_a_check_is_full_when_it_is_asked_to_be(world: FakeWorld, http: httpx.AsyncClient) -> None:
    assert (await http.post("/v1/db/check")).json()["ok"] is True
    world.database.damage.append(DAMAGE)
    report = (await http.post("/v1/db/check", json={"full": True})).json()
    assert (report["ok"], report["damage"][0]["table"]) == (False, "execution")
    assert world.database.full == [False, True]
    assert (await http.post("/v1/db/check", json={"ful": True})).status_code == 400


async def test_free_space_is_given_back(http: httpx.AsyncClient) -> None:
    answer = await http.post("/v1/db/vacuum")
    assert (answer.status_code, answer.json()["freed_bytes"]) == (200, 12_288)


async def test_a_backup_is_sent_with_its_length_and_its_digest(world: FakeWorld, http: httpx.AsyncClient) -> None:
    answer = await http.post("/v1/db/backup")
    digest = base64.b64encode(hashlib.sha256(world.database.copy).digest()).decode()
    assert answer.content == world.database.copy
    assert answer.headers["content-length"] == str(len(world.database.copy))
    assert answer.headers["repr-digest"] == f"sha-256=:{digest}:"
    assert answer.headers["content-type"] == "application/vnd.sqlite3"
    assert world.database.closed == 1


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ConflictError("backup_running", "a backup is being made or sent already"), 409),
        (StorageUnavailableError("storage_full", "no room"), 507),
    ],
)
async def test_a_refused_backup_is_a_problem(
    world: FakeWorld, http: httpx.AsyncClient, error: Exception, status: int
) -> None:
    world.database.error = error
    answer = await http.post("/v1/db/backup")
    assert (answer.status_code, answer.json()["detail"]) == (status, str(error))


async def test_a_backup_whose_reader_goes_is_closed(world: FakeWorld, path: Path) -> None:
    world.database = endless = Endless()  # type: ignore[assignment]
    server = ApiServer(world.services(), [UnixListener(path)], access())
    await server.start()
    reader, writer = await asyncio.open_unix_connection(path)
    writer.write(b"POST /v1/db/backup HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n")
    await reader.readexactly(100_000)
    assert not endless.closed.is_set()
    writer.transport.abort()
    async with asyncio.timeout(FAR):
        await endless.closed.wait()
    await server.stop()


async def test_a_backup_whose_reader_takes_nothing_gives_way(world: FakeWorld, path: Path) -> None:
    world.database = endless = Endless()  # type: ignore[assignment]
    server = ApiServer(world.services(), [UnixListener(path)], access(), limits=Limits(write_seconds=0.05))
    await server.start()
    _, writer = await asyncio.open_unix_connection(path)
    writer.write(b"POST /v1/db/backup HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n")
    async with asyncio.timeout(FAR):
        await endless.closed.wait()
    writer.transport.abort()
    await server.stop()


async def test_the_openapi_document_says_that_a_backup_is_a_file(http: httpx.AsyncClient) -> None:
    document = (await http.get("/v1/openapi.json")).json()
    assert list(document["paths"]["/v1/db/backup"]["post"]["responses"]["200"]["content"]) == [
        "application/vnd.sqlite3"
    ]


@pytest.fixture
async def socket(world: FakeWorld, http: httpx.AsyncClient, path: Path) -> Path:
    """Give the socket on which the world is served."""
    return path


async def test_ctl_writes_a_backup_durably_and_for_its_owner_only(
    world: FakeWorld, socket: Path, tmp_path: Path
) -> None:
    run = await ctl_at(socket, "db", "backup", str(tmp_path / "b.db"), "--json")
    assert (run.code, run.err) == (0, "")
    assert json.loads(run.out) == {
        "file": str(tmp_path / "b.db"),
        "bytes": len(world.database.copy),
        "sha256": hashlib.sha256(world.database.copy).hexdigest(),
    }
    assert (tmp_path / "b.db").read_bytes() == world.database.copy
    assert stat.S_IMODE((tmp_path / "b.db").stat().st_mode) == 0o600
    assert not (tmp_path / "b.db.part").exists()


async def test_ctl_keeps_a_file_that_is_there_unless_it_is_told_to_replace_it(
    world: FakeWorld, socket: Path, tmp_path: Path
) -> None:
    file = tmp_path / "b.db"
    file.write_text("old")
    run = await ctl_at(socket, "db", "backup", str(file))
    assert (run.code, run.out) == (1, "")
    assert "--force replaces it" in run.err
    assert file.read_text() == "old"
    assert (await ctl_at(socket, "db", "backup", str(file), "--force")).code == 0
    assert file.read_bytes() == world.database.copy


async def test_ctl_keeps_nothing_of_a_backup_that_was_damaged_on_the_way(
    world: FakeWorld, socket: Path, tmp_path: Path
) -> None:
    (tmp_path / "b.db").write_text("old")
    world.database.told_sha256 = bytes(32)
    run = await ctl_at(socket, "db", "backup", str(tmp_path / "b.db"), "--force")
    assert run.code == 65
    assert "is not what the daemon sent" in run.err
    assert (tmp_path / "b.db").read_text() == "old"
    assert not (tmp_path / "b.db.part").exists()


@pytest.mark.parametrize("name", ["missing/b.db", "b.db"])
async def test_ctl_says_why_it_can_not_write_before_a_copy_is_made(
    world: FakeWorld, socket: Path, tmp_path: Path, name: str
) -> None:
    (tmp_path / "b.db.part").write_text("of another one")
    run = await ctl_at(socket, "db", "backup", str(tmp_path / name))
    assert run.code == 1
    assert ("can't be written" if "/" in name else "delete it then") in run.err
    assert world.database.closed == 0
    assert (tmp_path / "b.db.part").read_text() == "of another one"


async def test_ctl_tells_a_refusal_and_leaves_no_file(world: FakeWorld, socket: Path, tmp_path: Path) -> None:
    world.database.error = StorageUnavailableError("storage_full", "no room for the copy")
    run = await ctl_at(socket, "db", "backup", str(tmp_path / "b.db"))
    assert run.code != 0
    assert "no room for the copy" in run.err
    assert not list(tmp_path.glob("b.db*"))


async def test_ctl_tells_damage_by_its_exit_code(world: FakeWorld, socket: Path) -> None:
    assert (await ctl_at(socket, "db", "check")).code == 0
    world.database.damage.append(DAMAGE)
    assert (await ctl_at(socket, "db", "check", "--full")).code == 1
    assert world.database.full == [False, True]


async def test_ctl_gives_its_token_for_a_backup(world: FakeWorld, tmp_path: Path) -> None:
    token, known = holder("ci", "admin")
    server = ApiServer(world.services(), [TcpListener("127.0.0.1", 0)], access(known))
    await server.start()
    url = f"http://{server.addresses[0]}"
    try:
        command = ("--url", url, "db", "backup", str(tmp_path / "b.db"))
        assert (await asyncio.to_thread(ctl, *command)).code == 77
        run = await asyncio.to_thread(lambda: ctl(*command, OBELISK_TOKEN=token))
        assert (run.code, run.err) == (0, "")
    finally:
        await server.stop()
    assert (tmp_path / "b.db").read_bytes() == world.database.copy
