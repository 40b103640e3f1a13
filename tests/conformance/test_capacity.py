"""Promises about what people are told of the queues and the executors."""

from datetime import timedelta

import pytest

from obelisk_daemon.clock import Instant, after
from obelisk_daemon.ids import ExecutorId
from obelisk_daemon.storage.capacity import Queue
from obelisk_daemon.storage.generations import ALL, QueueLimit
from obelisk_daemon.storage.hosts import Beat
from obelisk_daemon.storage.upkeep import NewExecutor
from tests.building import ACTIVITY, DIGEST, EXECUTOR, NEVER, OTHER_EXECUTOR, created
from tests.conformance.world import World

pytestmark = pytest.mark.anyio
THIRD = ExecutorId("Exr_00000000000000000000000003")


async def test_queues_count_what_waits_and_runs_beside_the_limits(world: World) -> None:
    limits = {"fibo": QueueLimit(4, 10), "all": QueueLimit(max_pending=20), "idle": QueueLimit(7)}
    await world.activate(2, {ACTIVITY: DIGEST}, **limits)
    first = world.now
    await world.submit(number=1)
    await world.lock()
    world.clock.advance(timedelta(seconds=1))
    await world.submit(number=2)
    await world.submit(created(due_at=after(world.now, timedelta(days=1))), 3)
    await world.store.pause(await world.submit(number=4), world.now)
    world.clock.advance(timedelta(seconds=1))
    fibo, idle, total = await world.store.reads.queues(world.now)
    assert fibo == Queue("fibo", 2, 1, after(first, timedelta(seconds=1)), 3, max_running=4, max_pending=10)
    assert idle == Queue("idle", max_running=7)
    assert total == Queue(ALL, 2, 1, fibo.oldest_due_at, 3, max_pending=20)


async def test_an_empty_store_has_no_queue_but_that_of_all(world: World) -> None:
    assert await world.store.reads.queues(world.now) == [Queue(ALL)]


async def test_executors_tell_what_they_offer_and_hold_and_when_they_were_seen(world: World) -> None:
    await world.store.register_executor(NewExecutor(EXECUTOR, "host", "gpus", ("gpu", "eu"), 4), world.now, NEVER)
    await world.submit()
    await world.lock()
    await world.workflow(2)
    started = world.now
    world.clock.advance(timedelta(seconds=5))
    await world.store.heartbeat(Beat("host", started, [EXECUTOR], world.now, NEVER))
    (found,) = await world.store.reads.executors(Instant(0), 10)
    assert (found.name, found.host, found.labels, found.max_running) == ("gpus", "host", ("eu", "gpu"), 4)
    assert (found.started_at, found.seen_at, found.running, found.hot) == (started, world.now, 2, 0)


async def test_executors_that_are_gone_are_not_shown_and_at_last_forgotten(world: World) -> None:
    await world.store.register_executor(NewExecutor(EXECUTOR, "host"), world.now, NEVER)
    world.clock.advance(timedelta(days=6))
    assert await world.store.reads.executors(after(world.now, -timedelta(hours=1)), 10) == []
    await world.store.register_executor(NewExecutor(OTHER_EXECUTOR, "host"), world.now, NEVER)
    assert len(await world.store.reads.executors(Instant(0), 10)) == 2
    world.clock.advance(timedelta(days=2))
    await world.store.register_executor(NewExecutor(THIRD, "host"), world.now, NEVER)
    assert {one.executor_id for one in await world.store.reads.executors(Instant(0), 10)} == {
        OTHER_EXECUTOR,
        THIRD,
    }
