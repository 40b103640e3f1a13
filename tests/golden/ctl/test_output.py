from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from msgspec.structs import replace
from syrupy.assertion import SnapshotAssertion

from obelisk_daemon.api.services import ExecutorInfo
from obelisk_daemon.clock import Instant
from obelisk_daemon.execution.events import (
    ChildFinished,
    ChildRequest,
    HistoryEvent,
    JoinNext,
    JoinSetCreate,
    JoinSetRequest,
    Locked,
    RetryPolicy,
    TemporarilyFailed,
)
from obelisk_daemon.execution.outcome import Returned
from obelisk_daemon.ids import ExecutionId, ExecutorId, RunId
from obelisk_daemon.storage.capacity import KnownExecutor, Queue
from obelisk_daemon.storage.generations import ALL
from obelisk_daemon.storage.hosts import KnownHost
from tests.fakes.api import DIGEST, FIBO, FIBOA, START, FakeWorld, execution_id
from tests.fakes.serving import ctl_at, serving

pytestmark = pytest.mark.anyio
RETRY = RetryPolicy(5, 0.1, 2.0, 60.0, 0.1, ("error",))
LOCKED = Locked(ExecutorId("Exr_x"), RunId("Run_x"), 1, DIGEST, 3, 30_000_000, RETRY)


@pytest.fixture
def world() -> FakeWorld:
    """A finished workflow, its child, a failed activity and one that waits to be tried again."""
    world = FakeWorld()
    one, child = execution_id(1), ExecutionId(f"{execution_id(1)}.o:1_1")
    world.create(one, FIBOA, 10, 1)
    request = JoinSetRequest("o:1", ChildRequest(child, str(FIBO.ffqn), [10]))
    world.add(one, LOCKED, HistoryEvent(JoinSetCreate("o:1")), HistoryEvent(request), HistoryEvent(JoinNext("o:1")))
    world.create(child, FIBO, 10, parent=one)
    world.add(child, LOCKED)
    world.finish(child, {"ok": 55})
    world.respond(one, "o:1", ChildFinished(child, Returned({"ok": 55})))
    world.finish(one, {"ok": 55})
    world.create(execution_id(2), FIBO, 3)
    world.add(execution_id(2), LOCKED)
    world.log(execution_id(2), "about to \x1b[31mfail")
    world.fail(execution_id(2), "wasm trap: unreachable")
    world.create(execution_id(3), FIBO, 4)
    world.add(execution_id(3), LOCKED, TemporarilyFailed(1, "no route", Instant(START + 9_000_000), "error"))
    world.queued = (
        Queue("fibo", 7, 3, Instant(START), 5, max_running=4, max_pending=100),
        Queue("gone", 1, 0),
        Queue(ALL, 8, 3, Instant(START), 5, max_pending=1_000),
    )
    here = ExecutorId("Exr_01JZZZZZZZZZZZZZZZZZZZZZZZ")
    seen = Instant(START + 1_000_000)
    other = KnownExecutor(ExecutorId("Exr_x"), "old-host", "gpus", ("gpu",), 4, Instant(START), seen, 1, 2)
    world.known_executors = (other, replace(other, executor_id=here, host="new-host", running=0))
    host = KnownHost("new-host", "0.1.0", Instant(START), seen, Instant(START + (1 << 40)), 3, draining=True)
    gone = replace(host, host="old-host", lease_until=Instant(0), generation=None, draining=False)
    world.known_hosts = (host, gone)
    world.local_executors = (
        ExecutorInfo(name="gpus", executor_id=here, labels=("eu", "gpu"), max_running=8, running=5, hot=6),
    )
    return world


@pytest.fixture
async def path(world: FakeWorld, tmp_path: Path) -> AsyncIterator[Path]:
    async with serving(world, tmp_path / "api.sock"):
        yield tmp_path / "api.sock"


COMMANDS = {
    "status": ("status",),
    "list": ("list",),
    "queues": ("queues",),
    "executors": ("executors",),
    "drain": ("drain", "old-host"),
    "drain undone": ("drain", "new-host", "--undo"),
    "drain nobody": ("drain", "nobody"),
    "list finished": ("list", "--state", "finished", "--limit", "2"),
    "list top level": ("list", "--top-level"),
    "show finished": ("show", execution_id(1)),
    "show failed": ("show", execution_id(2)),
    "show pending": ("show", execution_id(3)),
    "events": ("events", execution_id(1)),
    "some events": ("events", execution_id(1), "--from", "1", "--limit", "2"),
    "responses": ("responses", execution_id(1)),
    "responses none": ("responses", execution_id(2), "--limit", "3"),
    "logs": ("logs", execution_id(2)),
    "result": ("result", execution_id(1)),
    "result failed": ("result", execution_id(2)),
    "result pending": ("result", execution_id(3)),
    "follow": ("submit", "fibo-workflow.fiboa", "[10, 1]", "--id", execution_id(1), "--follow"),
    "follow again": ("follow", execution_id(1)),
    "follow failed with logs": ("follow", execution_id(2), "--logs"),
    "top": ("top",),
    "cancel": ("cancel", execution_id(3)),
    "components": ("components",),
    "functions": ("functions",),
}


@pytest.mark.parametrize("command", COMMANDS)
async def test_people_see_this(command: str, path: Path, snapshot: SnapshotAssertion) -> None:
    run = await ctl_at(path, *COMMANDS[command])
    assert (run.code, trimmed(run.out, path), run.err) == snapshot


@pytest.mark.parametrize("command", COMMANDS)
async def test_programs_see_this(command: str, path: Path, snapshot: SnapshotAssertion) -> None:
    run = await ctl_at(path, *COMMANDS[command], "--json")
    assert run.out.count("\n") == 1
    assert (run.code, run.out) == snapshot


@pytest.mark.parametrize("command", ["list", "show failed", "functions"])
async def test_people_at_a_narrow_terminal_see_this(
    command: str, path: Path, snapshot: SnapshotAssertion, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("obelisk_daemon.ctl.output.relative", lambda text, _: f"{text[17:19]} s ago")
    run = await ctl_at(path, *COMMANDS[command], terminal=80)
    assert (run.code, run.out, run.err) == snapshot


async def test_no_color_is_honoured(path: Path) -> None:
    assert "\x1b" in (await ctl_at(path, "list", terminal=80)).out
    assert "\x1b" not in (await ctl_at(path, "list", terminal=80, NO_COLOR="1")).out
    assert "\x1b" not in (await ctl_at(path, "list", "--json", terminal=80)).out


def trimmed(out: str, path: Path) -> str:
    """Leave out what differs from run to run and the padding that tables end with."""
    return "\n".join(line.rstrip() for line in out.replace(str(path), "PATH").split("\n"))
