import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from obelisk_daemon.execution.events import HistoryEvent, JoinSetCreate
from obelisk_daemon.ids import child_id
from tests.fakes.api import FIBO, FIBOA, FakeWorld, execution_id
from tests.fakes.serving import Run, ctl_at, serving, until_followed
from tests.integration.api.test_executions import LOCKED

pytestmark = pytest.mark.anyio
ID = execution_id()


@pytest.fixture
async def path(world: FakeWorld, path: Path) -> AsyncIterator[Path]:
    world.create(ID, FIBOA, 3, 1)
    async with serving(world, path):
        yield path


async def followed(world: FakeWorld, path: Path, *options: str, **how: int) -> Run:
    """Follow while a workflow calls an activity and ends."""
    running = asyncio.create_task(ctl_at(path, "follow", ID, *options, **how))
    await until_followed(world)
    world.add(ID, LOCKED)
    world.create(child_id(ID, "o:1", 1), FIBO, 3, parent=ID)
    world.log(ID, "half way")
    world.finish(child_id(ID, "o:1", 1), {"ok": 2})
    world.finish(ID, {"ok": 55})
    return await running


async def test_on_a_pipe_each_event_is_a_line_and_the_result_comes_last(world: FakeWorld, path: Path) -> None:
    run = await followed(world, path)
    lines = run.out.splitlines()
    assert [line.split()[1] for line in lines[:-1]] == ["created", "locked", "finished"]
    assert (run.code, lines[-1]) == (0, '{"ok": 55}')


async def test_what_guests_log_is_shown_when_it_is_wanted(world: FakeWorld, path: Path) -> None:
    run = await followed(world, path, "--logs")
    assert any(line.endswith("info                   half way") for line in run.out.splitlines())


async def test_programs_get_one_document(world: FakeWorld, path: Path) -> None:
    run = await followed(world, path, "--json")
    assert json.loads(run.out) == {"execution_id": ID, "result": {"ok": 55}}
    assert run.out.count("\n") == 1
    assert "locked" in run.err


async def test_at_a_terminal_the_tree_is_drawn_and_the_result_printed(world: FakeWorld, path: Path) -> None:
    run = await followed(world, path, "--logs", terminal=80)
    assert run.code == 0
    assert "fibo-workflow.fiboa" in run.out
    assert "└─ " in run.out
    assert "fibo-activity@1.2.0.fibo" in run.out
    assert "half way" in run.out
    assert run.out.endswith('{"ok": 55}\n')


async def test_the_exit_code_says_that_it_failed(world: FakeWorld, path: Path) -> None:
    world.fail(ID, "unreachable")
    assert (await ctl_at(path, "follow", ID)).code == 1
    assert (await ctl_at(path, "follow", ID, terminal=80)).code == 1


async def test_an_execution_that_is_not_there_is_told_on_an_empty_screen(path: Path) -> None:
    run = await ctl_at(path, "follow", execution_id(9), terminal=80)
    assert (run.code, run.out) == (1, "")
    assert "there is no execution" in run.err


async def test_following_goes_on_where_it_was_when_the_daemon_is_restarted(world: FakeWorld, tmp_path: Path) -> None:
    path = tmp_path / "restarted.sock"
    world.create(ID, FIBOA, 3, 1)
    async with serving(world, path):
        running = asyncio.create_task(ctl_at(path, "follow", ID))
        await until_followed(world)
        world.add(ID, LOCKED)
    again = FakeWorld()
    again.logs, again.now = world.logs, world.now
    again.add(ID, HistoryEvent(JoinSetCreate("o:1")))
    async with serving(again, path):
        await until_followed(again)
        again.finish(ID, {"ok": 2})
        run = await running
    assert [line.split()[1] for line in run.out.splitlines()[:-1]] == ["created", "locked", "asked", "finished"]
    assert "lost the daemon" in run.err or run.err == ""


async def test_the_time_that_was_given_ends_it(world: FakeWorld, path: Path) -> None:
    run = await ctl_at(path, "follow", ID, "--timeout", "300ms")
    assert run.code == 75


async def test_top_prints_once_on_a_pipe(path: Path) -> None:
    run = await ctl_at(path, "top")
    assert run.code == 0
    assert run.out.startswith("obeliskd 0.1.0  unix:")
    assert "1 pending, 2 blocked" in run.out


async def test_top_gives_programs_one_document(path: Path) -> None:
    document = json.loads((await ctl_at(path, "top", "--json")).out)
    assert set(document) == {"status", "queues", "executors"}
    assert document["status"]["generation"] == 3


async def test_top_prints_once_at_a_terminal_when_that_is_wanted(path: Path) -> None:
    run = await ctl_at(path, "top", "--once", terminal=80)
    assert (run.code, "\x1b" in run.out) == (0, False)
