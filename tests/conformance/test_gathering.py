"""Promises about executions that are submitted at the same time: they are written together, and fail alone."""

import asyncio
import threading

import pytest

from obelisk_daemon.errors import ConflictError, QueueFullError
from obelisk_daemon.execution.events import Created
from obelisk_daemon.storage.generations import QueueLimit
from obelisk_daemon.storage.sql import queueing
from obelisk_daemon.storage.sql.transaction import Transaction
from tests.building import created, new_execution
from tests.conformance.world import World

pytestmark = pytest.mark.anyio


async def at_once(world: World, *calls: tuple[int, Created]) -> list[bool | BaseException]:
    """Submit calls under numbers, all in one moment."""
    new = [new_execution(event, number, at=world.now + number) for number, event in calls]
    done = await asyncio.gather(*[world.store.submit(one) for one in new], return_exceptions=True)
    await world.check()
    return done


async def test_what_is_submitted_in_one_moment_is_one_commit_and_each_is_published(world: World) -> None:
    before = world.store.writer.commits
    assert await at_once(world, *[(number, created()) for number in range(1, 6)]) == [True] * 5
    assert world.store.writer.commits == before + 1
    assert len({change.execution_id for change in world.changes}) == 5


async def test_the_same_call_twice_in_one_moment_is_new_once(world: World) -> None:
    assert await at_once(world, (1, created()), (1, created()), (2, created())) == [True, False, True]


async def test_another_call_under_an_id_that_is_taken_in_the_same_moment_is_a_conflict_of_its_own(world: World) -> None:
    first, other, third = await at_once(world, (1, created()), (1, created(params=[11])), (2, created()))
    assert (first, third) == (True, True)
    assert isinstance(other, ConflictError)


async def test_what_is_over_the_limit_is_refused_and_what_came_with_it_is_taken(world: World) -> None:
    await world.activate(2, fibo=QueueLimit(max_pending=3))
    done = await at_once(world, *[(number, created()) for number in range(1, 6)])
    assert done[:3] == [True] * 3
    assert all(isinstance(one, QueueFullError) for one in done[3:])


async def test_more_than_one_transaction_takes_are_several(world: World) -> None:
    assert await at_once(world, *[(number, created()) for number in range(1, 402)]) == [True] * 401


async def test_a_fault_of_the_whole_is_no_fault_of_each(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("a bug that one of them meets")

    monkeypatch.setattr(queueing, "submit_many", broken)
    assert await at_once(world, (1, created()), (2, created())) == [True, True]


async def test_what_comes_while_others_are_written_is_written_after_them(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def alone(*_: object) -> None:
        raise ZeroDivisionError("it was added to what was being written, and had to be written alone")

    monkeypatch.setattr(queueing, "submit", alone)
    written, released = threading.Event(), threading.Event()

    def hold_up(_: Transaction) -> None:
        written.set()
        released.wait(30)

    first = asyncio.create_task(world.store.submit(new_execution(created(), 1, at=world.now)))
    await asyncio.sleep(0)
    world.store.writer.queue(hold_up)
    await asyncio.to_thread(written.wait, 30)
    later = asyncio.create_task(at_once(world, (2, created()), (3, created())))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    released.set()
    assert await later == [True, True]
    assert await first
