"""Promises about limits under many submitters at once (issue 4, "Done when" 6)."""

import asyncio
import contextlib

import pytest

from obelisk_daemon.errors import QueueFullError
from obelisk_daemon.storage.generations import QueueLimit
from obelisk_daemon.storage.records import ListFilter, StateChange
from tests.building import created, execution_id, new_execution
from tests.conformance.test_queueing import ended, limit
from tests.conformance.world import World

pytestmark = pytest.mark.anyio


async def many_submitters(world: World, each: int = 4) -> int:
    """Have 50 submitters submit at once; give how many were taken."""

    async def submitter(first: int) -> int:
        taken = 0
        for number in range(first, first + each):
            with contextlib.suppress(QueueFullError):
                taken += await world.store.submit(new_execution(created(), number, at=world.now + number))
        return taken

    return sum(await asyncio.gather(*[submitter(1 + each * n) for n in range(50)]))


async def test_of_50_submitters_at_once_none_gets_past_the_limit_and_the_refused_leave_nothing(world: World) -> None:
    await limit(world, fibo=QueueLimit(max_pending=100))
    assert await many_submitters(world) == 100
    rows = (await world.store.reads.summaries(ListFilter(limit=1_000))).rows
    assert [row.status for row in rows] == ["pending_at"] * 100
    assert len([change for change in world.changes if isinstance(change, StateChange)]) == 100
    refused = {execution_id(number) for number in range(1, 201)} - {row.execution_id for row in rows}
    assert [await world.log(execution) for execution in refused] == [[]] * 100


async def test_of_50_submitters_at_once_never_more_wait_than_may_while_an_executor_takes_some(world: World) -> None:
    await limit(world, fibo=QueueLimit(max_pending=100))
    waiting, most = set(), 0

    def look(change: object) -> None:
        nonlocal most
        assert isinstance(change, StateChange)
        (waiting.add if change.status == "pending_at" else waiting.discard)(change.execution_id)
        most = max(most, len(waiting))

    world.store.subscribe(look)

    async def executor() -> int:
        return sum([len(await world.lock(limit=3, checked=False)) for _ in range(30)])

    taken, started = await asyncio.gather(many_submitters(world, each=8), executor())
    assert most == 100
    assert taken - started == len(waiting)


async def test_with_eviction_the_oldest_that_were_never_started_go_and_only_those(world: World) -> None:
    await limit(world, fibo=QueueLimit(max_pending=100, when_full="evict-oldest"))
    await world.submit_many([created()] * 5, first=1_001)
    started = await world.locked_ids()
    await world.submit_many([created(priority=9)] * 10, first=2_001)
    assert await many_submitters(world) == 200
    rows = (await world.store.reads.summaries(ListFilter(limit=1_000))).rows
    waiting = {row.execution_id for row in rows if row.status == "pending_at"}
    newest = {execution_id(number) for number in [*range(111, 201), *range(2_001, 2_011)]}
    assert waiting == newest
    assert await ended(world) == dict.fromkeys(range(1, 111), "evicted")
    assert {row.execution_id for row in rows if row.status == "locked"} == set(started)
