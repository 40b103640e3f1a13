import asyncio
from pathlib import Path

import httpx
import pytest

from obelisk_daemon.api.live import daemon, streams, window
from obelisk_daemon.api.live.documents import GenerationChange
from obelisk_daemon.deployment.manifest_file import Drift
from obelisk_daemon.ids import child_id
from tests.fakes.api import FIBO, FIBOA, FakeWorld, execution_id
from tests.fakes.serving import serving, talking
from tests.fakes.streaming import names, stream
from tests.integration.api.test_executions import LOCKED

pytestmark = pytest.mark.anyio
ID = execution_id()
FOLLOW = "/v1/follow"
START = ["generation", "drift", "load"]


@pytest.fixture(autouse=True)
def _short_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(daemon, "_LOAD_SECONDS", 0.2)


async def test_who_begins_is_told_how_all_stands(http: httpx.AsyncClient, world: FakeWorld) -> None:
    world.manifest.drifting = (Drift("http", "/srv/http.wasm", "it differs"),)
    async with stream(http, FOLLOW) as reader:
        generation, drift, load = await reader.take(3)
    assert [generation.event, drift.event, load.event] == START
    assert generation.data["generation"] == 3
    assert drift.data["drift"] == [{"subject": "http", "path": "/srv/http.wasm", "message": "it differs"}]
    assert load.data["executions"] == {"pending": 1, "blocked": 2}
    assert (load.data["running"], load.data["hot"]) == (2, 1)
    assert load.data["rates"] == {"submitted": 0.0, "started": 0.0, "finished": 0.0}


async def test_what_executions_become_is_told(http: httpx.AsyncClient, world: FakeWorld) -> None:
    child = child_id(ID, "o:1", 1)
    async with stream(http, FOLLOW) as reader:
        await reader.take(3)
        world.create(ID, FIBOA, 3, 1)
        (made,) = await reader.take(1)
        world.create(child, FIBO, 3, parent=ID)
        world.finish(child, {"err": 1})
        (ended,) = await reader.take(1)
    assert (made.event, made.data["execution_id"], made.data["ffqn"]) == ("execution", ID, str(FIBOA.ffqn))
    assert (made.data["state"], made.data["lifecycle"]) == ("pending_at", "active")
    assert (ended.data["state"], ended.data["outcome"], ended.data["parent_id"]) == ("finished", "err", ID)


async def test_of_all_that_an_execution_becomes_within_a_window_the_last_is_told(
    http: httpx.AsyncClient, world: FakeWorld
) -> None:
    async with stream(http, FOLLOW) as reader:
        await reader.take(3)
        world.create(execution_id(2), FIBO, 3)
        await reader.take(1)
        world.create(ID, FIBO, 3)
        world.add(ID, LOCKED)
        world.finish(ID, {"ok": 1})
        messages = await reader.until("load")
    assert [m.data["state"] for m in messages if m.event == "execution"] == ["finished"]


async def test_the_rates_of_a_second_are_told_and_then_that_nothing_happens(
    http: httpx.AsyncClient, world: FakeWorld
) -> None:
    async with stream(http, FOLLOW, executions="none") as reader:
        await reader.take(3)
        for number in range(1, 11):
            world.create(execution_id(number), FIBO, 3)
        world.finish(ID, {"ok": 1})
        busy, idle = await reader.take(2)
    assert busy.data["rates"]["finished"] > 0
    assert busy.data["rates"]["submitted"] == pytest.approx(10 * busy.data["rates"]["finished"], rel=0.1)
    assert idle.data["rates"] == {"submitted": 0.0, "started": 0.0, "finished": 0.0}


@pytest.mark.parametrize(("executions", "told"), [("all", 2), ("top_level", 1), ("none", 0)])
async def test_a_client_says_of_which_executions_it_wants_to_hear(
    http: httpx.AsyncClient, world: FakeWorld, executions: str, told: int
) -> None:
    async with stream(http, FOLLOW, executions=executions) as reader:
        await reader.take(3)
        world.create(ID, FIBOA, 3, 1)
        world.create(child_id(ID, "o:1", 1), FIBO, 3, parent=ID)
        messages = await reader.until("load")
    assert names(messages) == ["execution"] * told + ["load"]


async def test_a_client_that_comes_back_misses_nothing(http: httpx.AsyncClient, world: FakeWorld) -> None:
    async with stream(http, FOLLOW) as reader:
        await reader.take(3)
        world.create(ID, FIBO, 3)
        (last,) = await reader.take(1)
    world.create(execution_id(2), FIBO, 3)
    async with stream(http, FOLLOW, after=last.id) as reader:
        (missed,) = await reader.take(1)
    assert (missed.event, missed.data["execution_id"]) == ("execution", execution_id(2))


@pytest.mark.parametrize("after", ["01JZZZZZZZZZZZZZZZZZZZZZZY-1-1", "x", "-", "01JZZZZZZZZZZZZZZZZZZZZZZZ-1-99", "-1"])
async def test_a_client_of_an_earlier_process_has_to_read_anew(
    http: httpx.AsyncClient, world: FakeWorld, after: str
) -> None:
    async with stream(http, FOLLOW, after=after) as reader:
        assert names(await reader.take(4)) == ["reset", *START]


async def test_when_nobody_listens_for_long_nothing_is_made_any_more(
    http: httpx.AsyncClient, world: FakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(daemon, "LINGER_SECONDS", 0.001)
    async with stream(http, FOLLOW) as reader:
        (_, _, last) = await reader.take(3)
        assert world.live.daemon.is_on
    async with asyncio.timeout(10):
        while world.live.daemon.is_on:
            await asyncio.sleep(0.001)
    async with stream(http, FOLLOW, after=last.id) as reader:
        assert (await reader.take(1))[0].event == "reset"


async def test_what_becomes_of_the_manifest_is_told_and_its_drift_looked_at(
    http: httpx.AsyncClient, world: FakeWorld
) -> None:
    async with stream(http, FOLLOW) as reader:
        await reader.take(3)
        change = GenerationChange(generation=4, activated_at="2026-01-02T03:04:05Z", cause="file")
        world.live.daemon.announce("generation", change)
        world.live.daemon.announce("manifest", world.manifest.verdict)
        world.manifest.drifting = (Drift("http", "/srv/http.wasm", "it differs"),)
        messages = await reader.until("drift")
    assert names(messages) == ["generation", "manifest", "drift"]
    assert messages[0].data == {"generation": 4, "activated_at": "2026-01-02T03:04:05Z", "cause": "file"}
    assert messages[1].data == {"outcome": "active", "generation": 4}


async def test_a_burst_of_more_than_is_kept_has_everybody_read_anew(
    http: httpx.AsyncClient, world: FakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(window, "MOST_WAITING", 3)
    async with stream(http, FOLLOW) as reader:
        await reader.take(3)
        for number in range(1, 7):
            world.create(execution_id(number), FIBO, 3)
        assert names(await reader.take(1)) == ["reset"]
        world.finish(ID, {"ok": 1})
        assert (await reader.take(1))[0].data["state"] == "finished"


async def test_more_changes_than_fit_a_window_are_told_in_the_next_ones(
    http: httpx.AsyncClient, world: FakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(window, "BATCH", 2)
    async with stream(http, FOLLOW) as reader:
        await reader.take(3)
        for number in range(1, 6):
            world.create(execution_id(number), FIBO, 3)
        told = [message async for message in reader.of("execution", 5)]
    assert {m.data["execution_id"] for m in told} == {execution_id(number) for number in range(1, 6)}


class _Silent:
    """A client that asks for a stream and then reads nothing, as one whose machine hangs."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def at(cls, path: Path) -> "_Silent":
        reader, writer = await asyncio.open_unix_connection(str(path), limit=1)
        writer.write(b"GET /v1/follow HTTP/1.1\r\nHost: localhost\r\n\r\n")
        silent = cls(reader, writer)
        while b"event: load" not in (await reader.read(4_096)):
            pass
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        return silent


def _fill(world: FakeWorld) -> None:
    """Say more than the buffers between the daemon and a client take."""
    for _ in range(4):
        world.live.daemon.announce("manifest", {"text": "x" * 500_000})


async def test_a_client_that_reads_nothing_is_cut_off_and_nobody_else_waits_for_it(
    world: FakeWorld, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "PATIENCE_SECONDS", 0.2)
    async with serving(world, path), talking(path) as http, stream(http, FOLLOW) as other:
        await other.take(3)
        silent = await _Silent.at(path)
        _fill(world)
        assert names(await other.take(4)) == ["manifest"] * 4
        async with asyncio.timeout(10):
            while len(world.live.streams) > 1:
                await asyncio.sleep(0.001)
        silent.writer.transport.resume_reading()  # type: ignore[attr-defined]
        with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
            await silent.reader.readexactly(3_000_000)
        silent.writer.close()
        world.create(ID, FIBO, 3)
        assert (await other.until("execution"))[-1].data["execution_id"] == ID


async def test_a_client_that_falls_behind_what_is_kept_is_told_that_it_lost_some(
    world: FakeWorld, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving(world, path):
        silent = await _Silent.at(path)
        _fill(world)
        await _until_stuck(world)
        monkeypatch.setattr(window, "MOST_MESSAGES", 2)
        _fill(world)
        silent.writer.transport.resume_reading()  # type: ignore[attr-defined]
        received = b""
        async with asyncio.timeout(10):
            while b"event: lost" not in received:
                received = received[-20:] + await silent.reader.read(65_536)
        silent.writer.close()


async def test_a_server_stops_at_once_though_a_client_reads_nothing(world: FakeWorld, path: Path) -> None:
    async with serving(world, path) as server:
        silent = await _Silent.at(path)
        _fill(world)
        await _until_stuck(world)
        async with asyncio.timeout(3):
            await server.stop()
        silent.writer.close()


async def _until_stuck(world: FakeWorld) -> None:
    """Wait until a send doesn't end at once: then the buffers are full."""
    async with asyncio.timeout(10):
        while not any(stream.patience for stream in world.live.streams._open):
            await asyncio.sleep(0)
