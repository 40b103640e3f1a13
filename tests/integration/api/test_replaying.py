"""Replay and export over HTTP and with obelisk-ctl: what goes over the wire, and what the command says."""

import json
from pathlib import Path

import httpx
import pytest

from obelisk_daemon.api.replaying import MAX_COMPONENT
from obelisk_daemon.execution.saved_log import read_document
from tests.fakes.api import DIGEST, FIBOA, FakeWorld, execution_id
from tests.fakes.serving import ctl, ctl_at

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("http")]
ID = execution_id()
URL = f"/v1/executions/{ID}"
COMPONENT = b"\0asm" + bytes(10 << 20)


@pytest.fixture(autouse=True)
def finished(world: FakeWorld) -> None:
    world.create(ID, FIBOA, 10, 3)
    world.finish(ID, {"ok": 55})


async def test_a_replay_without_a_body_is_on_the_current_code(http: httpx.AsyncClient) -> None:
    answer = await http.post(f"{URL}/replay")
    assert (answer.status_code, answer.json()) == (
        200,
        {
            "execution_id": ID,
            "component_digest": DIGEST,
            "passed": True,
            "verdict": "finished_equal",
            "version": 1,
            "summary": 'finished equal: {"ok":55}',
            "result": {"ok": 55},
        },
    )


async def test_a_component_in_the_body_may_be_larger_than_other_bodies(http: httpx.AsyncClient) -> None:
    answer = await http.post(f"{URL}/replay", content=COMPONENT, headers={"content-type": "application/wasm"})
    document = answer.json()
    assert (answer.status_code, document["passed"], document["verdict"]) == (200, False, "diverges")
    assert (document["version"], document["expected"]) == (3, "a call of one")
    assert document["got"] == f"{len(COMPONENT)} bytes"


async def test_a_component_that_is_too_large_is_refused(http: httpx.AsyncClient) -> None:
    answer = await http.post(f"{URL}/replay", content=b"\0asm" + bytes(MAX_COMPONENT))
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")


async def test_a_component_that_is_none_is_the_caller_s_mistake(http: httpx.AsyncClient) -> None:
    answer = await http.post(f"{URL}/replay", content=b"<html>")
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_component")


@pytest.mark.parametrize(("method", "part"), [("POST", "replay"), ("GET", "export")])
async def test_an_execution_that_is_not_there_is_not_found(http: httpx.AsyncClient, method: str, part: str) -> None:
    answer = await http.request(method, f"/v1/executions/{execution_id(9)}/{part}")
    assert (answer.status_code, answer.json()["code"]) == (404, "execution_not_found")


async def test_an_export_is_a_log_that_can_be_read_again(world: FakeWorld, http: httpx.AsyncClient) -> None:
    answer = await http.get(f"{URL}/export")
    document = answer.json()
    assert answer.status_code == 200
    assert (document["format"], document["format_version"], document["ffqn"]) == ("obelisk-log", 1, str(FIBOA.ffqn))
    assert [event["type"] for event in document["events"]] == ["created", "finished"]
    saved = read_document(answer.content)
    assert saved.entries == world.logs[ID]
    assert saved.execution_id == ID


async def test_ctl_says_that_a_replay_passed(path: Path) -> None:
    run = await ctl_at(path, "replay", ID)
    assert (run.code, run.out, run.err) == (0, f'{ID} finished equal: {{"ok":55}}\n', "")


async def test_ctl_says_where_a_component_diverges_and_exits_with_1(path: Path, tmp_path: Path) -> None:
    (tmp_path / "new.wasm").write_bytes(COMPONENT)
    told = f"diverges at version 3: expected a call of one, got {len(COMPONENT)} bytes"
    run = await ctl_at(path, "replay", ID, "--component", str(tmp_path / "new.wasm"))
    assert (run.code, run.out) == (1, f"{ID} {told}\n")
    run = await ctl_at(path, "replay", ID, "--component", str(tmp_path / "new.wasm"), "--json")
    assert (run.code, json.loads(run.out)["summary"]) == (1, told)


async def test_ctl_tells_a_file_that_is_no_component(path: Path, tmp_path: Path) -> None:
    (tmp_path / "page.html").write_bytes(b"<html>")
    run = await ctl_at(path, "replay", ID, "--component", str(tmp_path / "page.html"))
    assert (run.code, run.err) == (65, "obelisk-ctl: this is not a WebAssembly component\n")
    run = await ctl_at(path, "replay", ID, "--component", str(tmp_path / "none.wasm"))
    assert (run.code, run.out) == (65, "")
    assert "none.wasm can't be read: No such file" in run.err


@pytest.mark.parametrize(
    "arguments", [(), ("--log", "l.json"), (ID, "--log", "l.json", "--component", "c.wasm"), ("--component", "c.wasm")]
)
async def test_ctl_wants_an_id_or_a_log_with_a_component(arguments: tuple[str, ...]) -> None:
    run = ctl("replay", *arguments)
    assert (run.code, run.out) == (64, "")
    assert "give" in run.err


async def test_ctl_writes_an_export_to_a_file(world: FakeWorld, path: Path, tmp_path: Path) -> None:
    file = tmp_path / "log.json"
    run = await ctl_at(path, "events", ID, "--export", str(file))
    assert (run.code, run.out, run.err) == (0, f"wrote 2 events of {ID} to {file}\n", "")
    assert read_document(file.read_bytes()).entries == world.logs[ID]
    run = await ctl_at(path, "events", ID, "--export", str(file), "--json")
    assert json.loads(run.out) == {"execution_id": ID, "file": str(file), "events": 2}


async def test_ctl_prints_an_export_for_a_pipe(world: FakeWorld, path: Path) -> None:
    run = await ctl_at(path, "events", ID, "--export", "-")
    assert run.code == 0
    assert read_document(run.out.encode()).entries == world.logs[ID]


async def test_ctl_tells_a_file_that_it_can_not_write(path: Path, tmp_path: Path) -> None:
    run = await ctl_at(path, "events", ID, "--export", str(tmp_path / "no" / "log.json"))
    assert (run.code, run.out) == (1, "")
    assert "can't write" in run.err
