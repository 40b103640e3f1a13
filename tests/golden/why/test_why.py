"""What `obelisk-ctl why` says of each reason."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from syrupy.assertion import SnapshotAssertion

from tests.building import DIGEST
from tests.conformance.members import STUB
from tests.conformance.world import ALLOWED, World
from tests.fakes.serving import ctl_at, serving
from tests.golden.why import ended_scenes, host_scenes, queue_scenes, waiting_scenes
from tests.golden.why.stage import SCENES, Stage
from tests.stores import Place

pytestmark = pytest.mark.anyio
MODULES = (ended_scenes, host_scenes, queue_scenes, waiting_scenes)
"""What they have is in `SCENES` since they were imported."""


@pytest.fixture
async def stage(place: Place) -> AsyncIterator[Stage]:
    async with place.open() as store:
        world = World(store)
        await world.activate(allowed={**ALLOWED, STUB: DIGEST})
        yield Stage(world)


@pytest.mark.parametrize("name", SCENES)
async def test_people_and_programs_are_told_why(
    name: str, stage: Stage, tmp_path: Path, snapshot: SnapshotAssertion
) -> None:
    known = await SCENES[name](stage)
    path = tmp_path / "api.sock"
    async with serving(stage, path):
        run = await ctl_at(path, "why", known)
        assert (run.code, run.err) == (0, "")
        assert run.out == snapshot
        run = await ctl_at(path, "why", known, "--json")
    assert (run.code, run.err, run.out.count("\n")) == (0, "", 1)
    assert run.out == snapshot
