"""Cancellations that a failing database cuts short."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from obelisk_daemon.errors import StorageUnavailableError
from obelisk_daemon.executor import cancellation
from obelisk_daemon.executor.cancellation import Canceller
from obelisk_daemon.ids import ExecutionId
from obelisk_daemon.storage.records import CancellationEnd, CancellationProgress
from tests.fakes.clock import ManualClock
from tests.unit.executor.test_dropping import Fake

pytestmark = pytest.mark.anyio
ONE = ExecutionId("E_1")


class FailingStore:
    """Takes the request, and then fails as often as it is told."""

    def __init__(self, failures: int) -> None:
        self.ended: list[ExecutionId] = []
        self._requested: list[ExecutionId] = []
        self._failures = failures

    async def find_function(self, _: ExecutionId) -> str:
        return "a:b/c.d"

    async def request_cancellation(self, one: ExecutionId, *_: object, force: bool = False) -> CancellationProgress:
        self._requested.append(one)
        return CancellationProgress(already_finished=False, children=(), is_forced=force)

    async def finish_cancelled(self, one: ExecutionId, *_: object) -> CancellationEnd:
        self._fail()
        self.ended.append(one)
        return "finished"

    async def unfinished_cancellations(self) -> list[ExecutionId]:
        self._fail()
        return self._requested[:1]

    def _fail(self) -> None:
        self._failures -= 1
        if self._failures >= 0:
            raise StorageUnavailableError("storage_failed", "the database can't be reached")


class Tasks:
    """Runs what is spawned."""

    is_stopping = False

    def __init__(self) -> None:
        self.spawned: list[asyncio.Task[None]] = []

    async def drop(self, *_: object) -> None: ...

    def note_room(self) -> None: ...

    def spawn(self, work: Coroutine[object, object, None], name: str) -> None:
        self.spawned.append(asyncio.create_task(work, name=name))


@pytest.mark.parametrize("failures", [1, 2, 4])
async def test_a_cancellation_that_the_database_cut_short_goes_on_by_itself(
    failures: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cancellation, "_RETRY_SECONDS", 0)
    store, tasks = FailingStore(failures), Tasks()
    services: Any = Fake(
        store=store, clock=ManualClock(), ids=Fake(failure=lambda: "Err_1"), plan=Fake(functions={"a:b/c.d": None})
    )
    with pytest.raises(StorageUnavailableError):
        await Canceller(services, tasks).cancel(ONE, force=True)
    await asyncio.wait(tasks.spawned)
    assert store.ended == [ONE]
