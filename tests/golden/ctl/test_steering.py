"""What obelisk-ctl prints of cancelling, pausing, retrying, stubs, delays and failures."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from syrupy.assertion import SnapshotAssertion

from obelisk_daemon.clock import Instant
from obelisk_daemon.execution.events import (
    ChildRequest,
    DelayFinished,
    DelayRequest,
    Finished,
    HistoryEvent,
    HistoryItem,
    JoinNext,
    JoinNextTooMany,
    JoinNextTry,
    JoinSetCreate,
    JoinSetRequest,
    Locked,
    Paused,
    Persist,
    RetryPolicy,
    Schedule,
    Stub,
    Unlocked,
    Unpaused,
)
from obelisk_daemon.execution.outcome import Evidence, Failed, FailureRecord, HttpExchange, Returned
from obelisk_daemon.ids import DelayId, ExecutionId, ExecutorId, FailureId, RunId, delay_id
from tests.fakes.api import APPROVE, DIGEST, FIBO, FIBOA, START, FakeWorld, execution_id
from tests.fakes.serving import ctl_at, serving
from tests.golden.ctl.test_output import trimmed

pytestmark = pytest.mark.anyio
RUNNING, RACE, FAILED, STUB, PAUSED, NEW = map(execution_id, range(1, 7))
DELAYS = [delay_id(RUNNING, "g:1", number) for number in (1, 2)]
CHILD = ExecutionId(f"{RACE}.g:1_1")
APPROVAL = ExecutionId(f"{RACE}.g:1_3")
DELAY = DelayId(delay_id(RACE, "g:1", 2))
SOON = Instant(START + 60_000_000)
RETRY = RetryPolicy(5, 0.1, 2.0, 60.0, 0.1, ("error",))
LOCKED = Locked(ExecutorId("Exr_x"), RunId("Run_x"), 1, DIGEST, 3, 30_000_000, RETRY)
REQUESTS = (
    HttpExchange("GET", "https://api.example.com/rates", Instant(START), 12_345, 503, None, None, 0, 17),
    HttpExchange("POST", "http://10.0.0.1/", Instant(START), 10, None, "HTTP-request-denied", "a private address"),
    HttpExchange("GET", "https://slow.example.com/", Instant(START), 2_000_000, 200, "dropped"),
)
ROOT, MIDDLE, LEAF = (FailureId(f"Err_01JZZZZZZZZZZZZZZZZZZZZZ0{number}") for number in (1, 2, 3))


def race(world: FakeWorld) -> None:
    """A workflow that does everything that can be told."""

    def asks(*items: HistoryItem) -> None:
        world.add(RACE, *map(HistoryEvent, items))

    world.create(RACE, FIBOA, 10, 1)
    world.add(RACE, LOCKED)
    asks(
        Persist("random_u64", (0, 9), 7),
        JoinSetCreate("g:1"),
        JoinSetRequest("g:1", ChildRequest(CHILD, str(FIBO.ffqn), [10])),
        JoinSetRequest("g:1", DelayRequest(DELAY, ("in", 60_000_000), SOON)),
        JoinSetRequest("g:1", ChildRequest(APPROVAL, str(APPROVE.ffqn), [7])),
        Schedule(execution_id(9), str(FIBO.ffqn), [3], ("in", 60_000_000), SOON),
        JoinNextTry("g:1", "pending"),
        Stub(APPROVAL, {"ok": True}, "ok"),
        JoinNext("g:1"),
    )
    world.add(RACE, Unlocked("paused", SOON), Paused("operator"), Unpaused("operator"), LOCKED)
    world.respond(RACE, "g:1", DelayFinished(DELAY, cancelled=True))
    asks(JoinNext("g:1", closing=True, outcome=Returned({"ok": 55})), JoinNextTooMany("g:1"))
    world.finish(RACE, {"ok": 55})


def failures(world: FakeWorld) -> None:
    """A failure that another failure caused, which has a cause that is not there any more."""
    world.create(FAILED, FIBOA, 10, 1)
    evidence = Evidence("Traceback (most recent call last):\nRuntimeError: \x1b[31mno", REQUESTS, http_left_out=2)
    world.record(FAILED, FailureRecord(ROOT, "child_failed", "a child failed", cause=MIDDLE))
    world.record(
        ExecutionId(f"{FAILED}.o:1_1"),
        FailureRecord(MIDDLE, "trap", "unreachable", "0: fibo!fib\n1: fibo!main", LEAF, evidence),
    )
    world.add(FAILED, Finished(Failed("child_failed", ROOT, "a child failed")))


@pytest.fixture
def world() -> FakeWorld:
    world = FakeWorld()
    world.create(RUNNING, FIBOA, 10, 1)
    world.not_cancellable.add(RUNNING)
    world.awaited = 2
    for number, delay in enumerate(DELAYS):
        world.delay(delay, "g:1", Instant(START + (2 - number) * 60_000_000))
    race(world)
    failures(world)
    world.create(STUB, APPROVE, 7)
    world.create(PAUSED, FIBO, 3)
    world.add(PAUSED, Paused("operator"))
    return world


@pytest.fixture
async def path(world: FakeWorld, tmp_path: Path) -> AsyncIterator[Path]:
    async with serving(world, tmp_path / "api.sock"):
        yield tmp_path / "api.sock"


COMMANDS = {
    "cancel refused": ("cancel", RUNNING),
    "cancel forced": ("cancel", RUNNING, "--force"),
    "cancel what waits for others": ("cancel", STUB),
    "cancel finished": ("cancel", RACE),
    "pause": ("pause", RUNNING),
    "pause again": ("pause", PAUSED),
    "resume": ("resume", PAUSED),
    "resume again": ("resume", RUNNING),
    "retry": ("retry", FAILED, "--id", NEW),
    "retry unfinished": ("retry", RUNNING),
    "bulk": ("bulk", "pause", "--ffqn", "shop:"),
    "bulk counted": ("bulk", "cancel", "--lifecycle", "paused", "--dry-run"),
    "bulk without a filter": ("bulk", "cancel"),
    "stub": ("stub", STUB, '{"ok": true}'),
    "stub of another type": ("stub", STUB, "true"),
    "error": ("error", ROOT),
    "delays": ("delays", RUNNING),
    "delays none": ("delays", RACE),
    "delay cancel": ("delay", "cancel", DELAYS[0]),
    "delay cancel again": ("delay", "cancel", DELAY),
    "delay pause": ("delay", "pause", DELAYS[0]),
    "delay resume": ("delay", "resume", DELAYS[0]),
    "submit later": ("submit", "fibo-activity.fibo", "[3]", "--id", NEW, "--in", "5m"),
    "submit at the wrong time": ("submit", "fibo-activity.fibo", "[3]", "--id", NEW, "--at", "noon"),
    "follow": ("submit", "fibo-workflow.fiboa", "[10, 1]", "--id", RACE, "--follow"),
    "events": ("events", RACE),
    "show failed": ("show", FAILED),
    "show paused": ("show", PAUSED),
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


async def test_a_retried_execution_shows_which_one_it_repeats(path: Path, snapshot: SnapshotAssertion) -> None:
    await ctl_at(path, "retry", FAILED, "--id", NEW)
    assert (await ctl_at(path, "show", NEW)).out == snapshot


async def test_a_paused_delay_is_listed_as_such(path: Path, snapshot: SnapshotAssertion) -> None:
    await ctl_at(path, "delay", "pause", DELAYS[0])
    assert trimmed((await ctl_at(path, "delays", RUNNING)).out, path) == snapshot
