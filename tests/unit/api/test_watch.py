import asyncio

import pytest

from obelisk_daemon.api.watch import OverloadedError, Watcher
from obelisk_daemon.storage.records import StateChange
from tests.fakes.api import execution_id

pytestmark = pytest.mark.anyio
FINISHED = StateChange(execution_id(), "finished", "active", None, is_held=False)
LOCKED = StateChange(execution_id(), "locked", "active", None, is_held=False)


async def test_a_change_made_between_registering_and_waiting_is_not_missed() -> None:
    watcher = Watcher()
    with watcher.watching(execution_id(), "changed") as watch:
        watcher.publish(LOCKED)
        assert await watch.wait(0)


async def test_a_change_wakes_once() -> None:
    watcher = Watcher()
    with watcher.watching(execution_id(), "changed") as watch:
        watcher.publish(LOCKED)
        assert await watch.wait(0)
        assert not await watch.wait(0)


async def test_who_waits_for_the_end_is_not_woken_before_it() -> None:
    watcher = Watcher()
    with watcher.watching(execution_id(), "finished") as watch:
        watcher.publish(LOCKED)
        assert not await watch.wait(0)
        watcher.publish(FINISHED)
        assert await watch.wait(0)


async def test_changes_of_other_executions_wake_nobody() -> None:
    watcher = Watcher()
    with watcher.watching(execution_id(2), "changed") as watch:
        watcher.publish(FINISHED)
        assert not await watch.wait(0)


async def test_one_change_wakes_all_who_wait_for_it() -> None:
    watcher = Watcher()

    async def waits() -> bool:
        with watcher.watching(execution_id(), "finished") as watch:
            return await watch.wait(30)

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(waits()) for _ in range(3)]
        await asyncio.sleep(0)
        watcher.publish(FINISHED)
    assert [task.result() for task in tasks] == [True, True, True]


async def test_closing_ends_every_wait_at_once_and_those_to_come() -> None:
    watcher = Watcher()
    with watcher.watching(execution_id(), "changed") as watch:
        watcher.close()
        assert not await watch.wait(30)
        assert watch.ended
    with watcher.watching(execution_id(), "changed") as later:
        assert not await later.wait(30)


async def test_a_waiter_that_is_cancelled_is_forgotten() -> None:
    watcher = Watcher()

    async def waits() -> None:
        with watcher.watching(execution_id(), "changed") as watch:
            await watch.wait(30)

    task = asyncio.create_task(waits())
    await asyncio.sleep(0)
    assert watcher.waiting == 1
    task.cancel()
    await asyncio.wait([task])
    assert watcher.waiting == 0


async def test_more_waiters_than_the_bound_are_refused() -> None:
    watcher = Watcher(max_watches=1)
    with watcher.watching(execution_id(), "changed"):
        with pytest.raises(OverloadedError) as caught, watcher.watching(execution_id(2), "changed"):
            pass
        assert caught.value.code == "too_many_waiting"
    with watcher.watching(execution_id(2), "changed"):
        assert watcher.waiting == 1
