"""Promises about calls that are submitted together."""

import pytest

from obelisk_daemon.errors import QueueFullError
from obelisk_daemon.storage.generations import QueueLimit
from obelisk_daemon.storage.records import ListFilter
from tests.building import created, new_execution
from tests.conformance.test_queueing import REJECT, fill, limit, submit
from tests.conformance.world import World

pytestmark = pytest.mark.anyio


async def test_many_are_submitted_in_one_commit_and_what_is_refused_stops_no_other_one(world: World) -> None:
    await limit(world, fibo=REJECT)
    await fill(world, 1)
    other = created(params=(11,))
    wanted = [(created(), 1), (other, 1), (created(ffqn="testing:gone/gone.gone"), 2), (created(), 3), (other, 4)]
    wanted += [(created(), 5), (created(), 3)]
    commits = world.store.writer.commits
    done = await world.store.submit_many(
        [new_execution(event, number, at=world.now + number) for event, number in wanted]
    )
    told = [one if isinstance(one, bool) else one.code for one in done]
    assert told == [False, "execution_exists", "function_not_found", True, True, "queue_full", False]
    assert world.store.writer.commits == commits + 1
    await world.check()
    found = (await world.store.reads.summaries(ListFilter(limit=10))).rows
    assert {int(row.execution_id[-26:]) for row in found} == {1, 3, 4}


async def test_many_new_ones_are_there_as_if_each_was_submitted_alone(
    world: World,
) -> None:
    await limit(world, fibo=QueueLimit(max_pending=12))
    event = created(tags={"order": "7"}, labels=("gpu",), priority=7)
    many = [new_execution(event, number, at=world.now + number) for number in range(1, 11)]
    assert await world.store.submit_many(many) == [True] * 10
    await world.check()
    found = (await world.store.reads.summaries(ListFilter(limit=100, tags=(("order", "7"),)))).rows
    assert [int(row.execution_id[-26:]) for row in found] == list(range(10, 0, -1))
    assert {(row.labels, row.priority) for row in found} == {(("gpu",), 7)}
    assert [await submit(world, number) for number in (11, 12, 13)] == [True, True, False]


async def test_of_many_new_ones_only_those_that_may_wait_are_taken(world: World) -> None:
    await limit(world, fibo=REJECT)
    done = await world.store.submit_many([new_execution(created(), number, at=world.now) for number in range(1, 6)])
    assert [isinstance(one, QueueFullError) for one in done] == [False, False, False, True, True]
    await world.check()


async def test_none_at_all_may_be_submitted(world: World) -> None:
    assert await world.store.submit_many([]) == []
