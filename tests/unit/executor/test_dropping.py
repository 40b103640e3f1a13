"""Runs that are dropped, and the cancellations that a stop cuts short."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from obelisk_daemon.clock import Instant
from obelisk_daemon.errors import StorageUnavailableError
from obelisk_daemon.executor.executor import Executor
from obelisk_daemon.executor.executors import Executors
from obelisk_daemon.executor.logs import LogBuffer
from obelisk_daemon.executor.run import Run
from obelisk_daemon.storage.records import Release
from tests.fakes.clock import ManualClock

pytestmark = pytest.mark.anyio


class Fake:
    """An object with the attributes it is given."""

    def __init__(self, **attributes: object) -> None:
        self.__dict__.update(attributes)


def executor(store: object = None) -> Any:
    clock = ManualClock()
    services: Any = Fake(clock=clock, store=store, plan=None, ids=None)
    return Executor(services, Fake(), 10)  # type: ignore[arg-type]


class ReleasingStore:
    async def release(self, _: object) -> None: ...


async def test_a_run_that_is_given_up_late_leaves_its_successor_in_place() -> None:
    one = executor(ReleasingStore())
    old = Fake(execution_id="E_1", run_id="Run_1", leave=lambda: None)
    new = Fake(execution_id="E_1", run_id="Run_2")
    one._runs["E_1"] = new
    await one._release(old, "paused", timedelta())
    assert one._runs == {"E_1": new}


class SlowStore:
    """Has a release wait until the test lets it go on."""

    def __init__(self) -> None:
        self.begun, self.may_end = asyncio.Event(), asyncio.Event()
        self.released: list[str] = []

    async def release(self, release: Release) -> None:
        self.begun.set()
        await self.may_end.wait()
        self.released.append(release.reason)


class FailingRun(Run):
    async def run(self) -> None:
        raise StorageUnavailableError("storage_failed", "the disk is gone")


async def test_a_run_that_gives_its_lock_back_is_not_cut_short_by_a_drop() -> None:
    store = SlowStore()
    one = executor(store)
    one.services.plan = Fake(limited=frozenset())
    function: Any = Fake(component=Fake(name="a"))
    held: Any = Fake(execution_id="E_1", run_id="Run_1", state=None)
    run = FailingRun(one.services, one, held, function)
    run.task = asyncio.create_task(one._carry_out(run, None))
    await store.begun.wait()
    run.drop("conflict")  # as a child does, ahead of whose end this parent had run
    store.may_end.set()
    await asyncio.wait([run.task])
    assert store.released == ["storage_failed"]


async def test_executors_that_stop_begin_no_cancellation() -> None:
    one, begun = Executors(Fake(store=None, clock=ManualClock()), Fake(), []), []  # type: ignore[arg-type]

    async def work() -> None:
        begun.append(True)

    async with asyncio.TaskGroup() as tasks:
        one._tasks, one._stopping = tasks, True
        one.spawn(work(), "cancel")
    assert begun == []


class Endless:
    """An executor that only a cancellation ends."""

    name = "endless"

    async def run(self) -> None:
        await asyncio.get_running_loop().create_future()

    def hold(self, held: bool) -> None: ...

    def wake(self) -> None: ...


class NoSuspects:
    async def next_suspect(self, at: Instant) -> None: ...


async def test_executors_that_are_cancelled_begin_no_cancellation() -> None:
    one, begun = Executors(Fake(store=NoSuspects(), clock=ManualClock()), Fake(), [Endless()]), []  # type: ignore[arg-type, list-item]

    async def work() -> None:
        begun.append(True)

    running = asyncio.create_task(one.run())
    await asyncio.sleep(0)
    running.cancel()
    await asyncio.sleep(0)
    one.spawn(work(), "cancel")
    await asyncio.wait([running])
    assert begun == []


def test_what_a_stream_holds_without_its_end_becomes_a_line() -> None:
    logs = LogBuffer(ManualClock(), 1_000)
    logs.output("stderr", b"last words")
    logs.end_lines()
    assert [line.message for line in logs.take()] == ["last words"]
