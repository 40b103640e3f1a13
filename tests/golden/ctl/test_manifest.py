"""What `obelisk-ctl manifest` prints, to people and to programs."""

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
from syrupy.assertion import SnapshotAssertion

from obelisk_daemon.deployment.control import HostState, VerdictReport
from obelisk_daemon.deployment.manifest_file import Drift, LastRefusal
from obelisk_daemon.deployment.reports import PlanReport
from tests.fakes.api import FIBOA, FakeWorld
from tests.fakes.manifest import DIAGNOSTIC, LISTEN, NEW, OLD, PLAN, REFUSED_TEXT, TOKEN
from tests.fakes.serving import Run, ctl_at, serving

pytestmark = pytest.mark.anyio
REFUSED_PLAN = PlanReport(
    outcome="refused",
    generation=3,
    token=TOKEN,
    stage="validated",
    diagnostics=[DIAGNOSTIC],
    text=REFUSED_TEXT,
    settings=[LISTEN],
)
REFUSED = VerdictReport(outcome="refused", generation=3, stage="validated", diagnostics=[DIAGNOSTIC], text=REFUSED_TEXT)
UNCHANGED = VerdictReport(outcome="unchanged", generation=3, message="generation 3 is this file already")
COMMANDS = {
    "status": ("status",),
    "plan": ("plan",),
    "history": ("history",),
    "history, the newest": ("history", "--limit", "1"),
    "show": ("show",),
    "show an old one": ("show", "2"),
    "show one that is not there": ("show", "9"),
    "diff": ("diff", "1", "3"),
    "diff of the same": ("diff", "3", "3"),
    "reload": ("reload",),
    "reload as planned": ("reload", "--plan", TOKEN),
    "reload of an outdated plan": ("reload", "--plan", "fedcba9876543210"),
    "rollback": ("rollback",),
    "rollback to one": ("rollback", "1"),
    "rollback to one that is not there": ("rollback", "9"),
}


@pytest.fixture
def world() -> FakeWorld:
    world = FakeWorld()
    world.manifest.drifting = (
        Drift("manifest", "/etc/obelisk/obelisk.toml", "the file is not generation 3: it was refused"),
        Drift("http", "/srv/http.wasm", f"active is {OLD}, the file is {NEW}"),
    )
    world.manifest.refusal = LastRefusal("validated", REFUSED_TEXT, "obelisk.toml:9:10 the file has another digest")
    return world


@pytest.fixture
async def path(world: FakeWorld, tmp_path: Path) -> AsyncIterator[Path]:
    async with serving(world, tmp_path / "api.sock"):
        yield tmp_path / "api.sock"


def seen(run: Run) -> tuple[int, str, str]:
    return run.code, "\n".join(line.rstrip() for line in run.out.split("\n")), run.err


@pytest.mark.parametrize("command", COMMANDS)
async def test_people_see_this(command: str, path: Path, snapshot: SnapshotAssertion) -> None:
    assert seen(await ctl_at(path, "manifest", *COMMANDS[command])) == snapshot


@pytest.mark.parametrize("command", COMMANDS)
async def test_programs_see_this(command: str, path: Path, snapshot: SnapshotAssertion) -> None:
    run = await ctl_at(path, "manifest", *COMMANDS[command], "--json")
    assert run.out.count("\n") == 1
    assert (run.code, run.out) == snapshot


async def test_a_plan_that_changes_nothing_exits_with_0(
    path: Path, world: FakeWorld, snapshot: SnapshotAssertion
) -> None:
    world.manifest.planned = msgspec.structs.replace(PLAN, outcome="unchanged", components=[], settings=[])
    run = await ctl_at(path, "manifest", "plan")
    assert run.code == 0
    assert seen(run) == snapshot


async def test_a_plan_that_would_be_refused_exits_with_78(
    path: Path, world: FakeWorld, snapshot: SnapshotAssertion
) -> None:
    world.manifest.planned = REFUSED_PLAN
    run = await ctl_at(path, "manifest", "plan")
    assert run.code == 78
    assert seen(run) == snapshot


async def test_a_refused_reload_exits_with_78_and_every_reason(
    path: Path, world: FakeWorld, snapshot: SnapshotAssertion
) -> None:
    world.manifest.verdict = REFUSED
    run = await ctl_at(path, "manifest", "reload")
    assert run.code == 78
    assert seen(run) == snapshot


async def test_a_reload_that_changes_nothing_says_why(
    path: Path, world: FakeWorld, snapshot: SnapshotAssertion
) -> None:
    world.manifest.verdict = UNCHANGED
    assert seen(await ctl_at(path, "manifest", "reload")) == snapshot


async def test_hosts_that_are_behind_are_named(path: Path, world: FakeWorld, snapshot: SnapshotAssertion) -> None:
    behind = [HostState("b", 2), HostState("c", None)]
    world.manifest.hosts = (HostState("a", 3), *behind)
    world.manifest.verdict = VerdictReport(outcome="active", generation=4, behind=behind)
    told = [seen(await ctl_at(path, "manifest", command)) for command in ("status", "reload")]
    assert told == snapshot


async def test_the_daemon_gets_the_given_file_and_what_may_be_lost(
    path: Path, world: FakeWorld, tmp_path: Path
) -> None:
    (tmp_path / "other.toml").write_text("# another\n")
    await ctl_at(path, "manifest", "plan", str(tmp_path / "other.toml"), "--allow-remove")
    await ctl_at(path, "manifest", "reload", "--allow-remove", "--allow-break")
    await ctl_at(path, "manifest", "rollback")
    assert world.manifest.sources == [b"# another\n"]
    assert [sorted(wish.leaves) for wish in world.manifest.wishes] == [["remove"], ["break", "remove"], []]


async def test_a_plan_of_a_file_that_is_not_there_is_bad_data(path: Path) -> None:
    run = await ctl_at(path, "manifest", "plan", "/nowhere/obelisk.toml")
    assert run.code == 65
    assert "/nowhere/obelisk.toml can't be read" in run.err


async def test_status_shows_drift_and_the_refusal(path: Path, snapshot: SnapshotAssertion) -> None:
    assert seen(await ctl_at(path, "status"))[1].splitlines()[-6:] == snapshot


async def test_a_call_is_submitted_with_labels_and_a_priority(path: Path, world: FakeWorld) -> None:
    run = await ctl_at(
        path, "submit", str(FIBOA.ffqn), "[1, 1]", "--label", "gpu", "--label", "eu", "--priority", "9", "--json"
    )
    assert run.code == 0
    assert world.calls[-1].labels == ("eu", "gpu")
    assert world.calls[-1].priority == 9
