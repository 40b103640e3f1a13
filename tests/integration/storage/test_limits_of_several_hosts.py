"""Limits hold for all hosts together: several stores on one PostgreSQL, each with a connection of its own."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from obelisk_daemon.errors import QueueFullError
from obelisk_daemon.ids import ExecutorId
from obelisk_daemon.storage.generations import QueueLimit
from obelisk_daemon.storage.sql.store import SqlStore
from tests.building import ACTIVITY, DIGEST, created, new_execution
from tests.conformance.world import World
from tests.stores import PostgresPlaces

pytestmark = pytest.mark.anyio
HOSTS = 4
EACH = 25
EXECUTORS = [ExecutorId(f"Exr_0000000000000000000000001{number}") for number in range(HOSTS)]


@pytest.fixture
async def worlds(postgres_places: PostgresPlaces, request: pytest.FixtureRequest) -> AsyncIterator[list[World]]:
    request.node.user_properties.append(("database", "postgresql"))
    async with AsyncExitStack() as stack:
        place = stack.enter_context(postgres_places.new())
        worlds = [World(await stack.enter_async_context(place.open())) for _ in range(HOSTS)]
        yield worlds
        assert place.damage() == []


async def submitted(store: SqlStore, world: World, first: int) -> int:
    """Submit executions at once; give how many were taken."""
    new = [new_execution(created(due_at=world.now), number, at=world.now) for number in range(first, first + EACH)]
    taken = await asyncio.gather(*[store.submit(one) for one in new], return_exceptions=True)
    refused = [one for one in taken if isinstance(one, QueueFullError)]
    assert len(refused) + taken.count(True) == EACH
    return EACH - len(refused)


async def test_hosts_that_submit_at_once_do_not_exceed_what_may_wait(worlds: list[World]) -> None:
    await worlds[0].activate(1, {ACTIVITY: DIGEST}, all=QueueLimit(max_pending=30))
    taken = await asyncio.gather(*[submitted(one.store, one, host * 100 + 1) for host, one in enumerate(worlds)])
    assert sum(taken) == 30


async def test_hosts_that_lock_at_once_do_not_exceed_what_may_run(worlds: list[World]) -> None:
    await worlds[0].activate(1, {ACTIVITY: DIGEST}, fibo=QueueLimit(max_running=7))
    await worlds[0].submit_many([created(due_at=worlds[0].now)] * 40)
    for one, executor in zip(worlds, EXECUTORS, strict=True):
        await one.enlist(executor)
    locked = await asyncio.gather(
        *[one.lock(executor=executor, limit=5) for one, executor in zip(worlds, EXECUTORS, strict=True)]
    )
    assert sum(len(held) for held in locked) == 7


async def test_what_hosts_lock_at_once_each_is_locked_by_one(worlds: list[World]) -> None:
    await worlds[0].activate(1, {ACTIVITY: DIGEST})
    await worlds[0].submit_many([created(due_at=worlds[0].now)] * 40)
    for one, executor in zip(worlds, EXECUTORS, strict=True):
        await one.enlist(executor)
    locked = await asyncio.gather(
        *[one.lock(executor=executor, limit=20) for one, executor in zip(worlds, EXECUTORS, strict=True)]
    )
    ids = [one.execution_id for held in locked for one in held]
    assert sorted(ids) == sorted(set(ids))
    assert len(ids) == 40
