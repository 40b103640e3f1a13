"""Upgrading what an executor locks again as soon as its run is dropped."""

from pathlib import Path
from typing import Any

import pytest

from obelisk_daemon.api.engine import LocalEngine
from obelisk_daemon.errors import ConflictError, StorageUnavailableError
from obelisk_daemon.metrics import Metrics
from tests.building import DIGEST, execution_id
from tests.fakes.clock import ManualClock

pytestmark = pytest.mark.anyio


class Scene:
    """A store and executors in one: each upgrade ends as `ends` says, in turn; `done` is what was asked for."""

    def __init__(self, *ends: Exception | None, pauses: bool = True) -> None:
        self.services = self
        self.store = self
        self.clock = ManualClock()
        self.metrics = Metrics()
        self.done: list[str] = []
        self._ends = list(ends)
        self._pauses = pauses

    async def drop(self, *_: Any) -> None:
        self.done.append("drop")

    async def upgrade(self, *_: Any) -> None:
        self.done.append("upgrade")
        end = self._ends.pop(0)
        if end is not None:
            raise end

    async def pause(self, *_: Any) -> bool:
        self.done.append("pause")
        return self._pauses

    async def unpause(self, *_: Any) -> bool:
        self.done.append("unpause")
        return True


RUNNING = ConflictError("running", "it runs now")
FULL = StorageUnavailableError("storage_full", "no space is left")


async def upgrade(scene: Scene) -> list[str]:
    await LocalEngine(scene, Path()).upgrade(execution_id(), DIGEST, force=False)  # type: ignore[arg-type]
    return scene.done


async def test_what_nobody_runs_is_moved_at_once() -> None:
    assert await upgrade(Scene(None)) == ["drop", "upgrade"]


async def test_what_runs_again_is_paused_for_the_move_and_goes_on() -> None:
    assert await upgrade(Scene(RUNNING, None)) == ["drop", "upgrade", "pause", "upgrade", "unpause"]


async def test_a_pause_that_somebody_else_made_meanwhile_stays() -> None:
    assert await upgrade(Scene(RUNNING, None, pauses=False)) == ["drop", "upgrade", "pause", "upgrade"]


async def test_a_move_that_fails_leaves_no_pause() -> None:
    scene = Scene(RUNNING, FULL)
    with pytest.raises(StorageUnavailableError):
        await upgrade(scene)
    assert scene.done[-1] == "unpause"


async def test_another_refusal_is_handed_on() -> None:
    scene = Scene(ConflictError("cancelling", "it is being cancelled"))
    with pytest.raises(ConflictError):
        await upgrade(scene)
    assert scene.done == ["drop", "upgrade"]
    assert 'obelisk_component_upgrades_total{outcome="ok"}' not in scene.metrics.text().decode()
