from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from syrupy.assertion import SnapshotAssertion

from tests.fakes.api import FakeWorld
from tests.fakes.database import DAMAGE
from tests.fakes.serving import ctl_at, serving

pytestmark = pytest.mark.anyio
COMMANDS = {
    "stats": ("db", "stats"),
    "backup": ("db", "backup", "b.db"),
    "check": ("db", "check"),
    "vacuum": ("db", "vacuum"),
}


@pytest.fixture
def world() -> FakeWorld:
    """A database with damage."""
    world = FakeWorld()
    world.database.damage.append(DAMAGE)
    return world


@pytest.fixture
async def path(world: FakeWorld, tmp_path: Path) -> AsyncIterator[Path]:
    async with serving(world, tmp_path / "api.sock"):
        yield tmp_path / "api.sock"


@pytest.mark.parametrize("command", COMMANDS)
async def test_people_see_this(
    command: str, path: Path, snapshot: SnapshotAssertion, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(path.parent)
    run = await ctl_at(path, *COMMANDS[command])
    out = "\n".join(line.rstrip() for line in run.out.replace(str(path.parent), "DIR").split("\n"))
    assert (run.code, out, run.err) == snapshot


@pytest.mark.parametrize("command", COMMANDS)
async def test_programs_see_this(
    command: str, path: Path, snapshot: SnapshotAssertion, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(path.parent)
    run = await ctl_at(path, *COMMANDS[command], "--json")
    assert run.out.count("\n") == 1
    assert (run.code, run.out.replace(str(path.parent), "DIR")) == snapshot
