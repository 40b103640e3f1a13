"""Promises of a store about queued writes: what depends on what, what is published when, who may stop waiting."""

import asyncio

import msgspec
import pytest

from obelisk_daemon.execution.events import ChildFinished, Finished
from obelisk_daemon.storage.records import NewResponse, StateChange, VersionConflictError
from tests.building import OK, RunScript, created, execution_id, new_execution, run_id
from tests.conformance.world import World

pytestmark = pytest.mark.anyio


async def parent_and_child(world: World) -> tuple[RunScript, RunScript]:
    parent = await world.workflow()
    await world.append(parent.call(world.now, 1, keep=True))
    (held,) = await world.lock()
    return parent, RunScript(held)


def finishing(child: RunScript, parent: RunScript, world: World):
    answer = NewResponse(parent.execution_id, "o:1", world.now, ChildFinished(child.execution_id, OK))
    return child.append(world.now, Finished(OK), response=answer)


async def test_a_write_after_one_that_was_made_is_made(world: World) -> None:
    parent, child = await parent_and_child(world)
    first = world.store.append(finishing(child, parent, world))
    second = world.store.append(parent.append(world.now, Finished(OK)), after=first)
    await asyncio.gather(first.durable(), second.durable())
    assert (await world.row(parent.execution_id)).outcome == OK


@pytest.mark.parametrize("waits", [True, False], ids=["later", "same commit"])
async def test_a_write_after_one_that_was_refused_is_refused(world: World, waits: bool) -> None:
    parent, child = await parent_and_child(world)
    refused = msgspec.structs.replace(finishing(child, parent, world), run_id=run_id(99))
    first = world.store.append(refused)
    if waits:
        with pytest.raises(VersionConflictError):
            await first.durable()
    second = world.store.append(parent.append(world.now, Finished(OK)), after=first)
    with pytest.raises(VersionConflictError) as conflict:
        await second.durable()
    assert conflict.value.execution_id == parent.execution_id
    assert (await world.row(parent.execution_id)).status == "blocked"
    await asyncio.wait_for(_settled(first), 5)


async def test_a_refusal_goes_down_the_whole_chain(world: World) -> None:
    parent, child = await parent_and_child(world)
    refused = msgspec.structs.replace(finishing(child, parent, world), run_id=run_id(99))
    first = world.store.append(refused)
    second = world.store.append(parent.call(world.now, 2, keep=True), after=first)
    third = world.store.append(parent.append(world.now, Finished(OK)), after=second)
    answers = await asyncio.gather(*[t.durable() for t in (first, second, third)], return_exceptions=True)
    assert [type(answer) for answer in answers] == [VersionConflictError] * 3


async def test_a_refused_write_does_not_take_back_the_one_it_came_after(world: World) -> None:
    parent, child = await parent_and_child(world)
    first = world.store.append(finishing(child, parent, world))
    second = world.store.append(
        msgspec.structs.replace(parent.append(world.now, Finished(OK)), run_id=run_id(99)), after=first
    )
    await first.durable()
    with pytest.raises(VersionConflictError):
        await second.durable()
    assert (await world.row(child.execution_id)).outcome == OK


async def test_changes_are_published_in_the_order_of_the_writes(world: World) -> None:
    tickets = [world.store.submit(new_execution(created(), number)) for number in (3, 1, 2)]
    await asyncio.gather(*tickets)
    assert [change.execution_id for change in world.changes] == [execution_id(n) for n in (3, 1, 2)]


async def test_a_change_is_published_when_it_can_be_read_and_before_its_writer_goes_on(world: World) -> None:
    seen: list[asyncio.Task[object]] = []
    order: list[str] = []

    def look(change: object) -> None:
        assert isinstance(change, StateChange)
        order.append("published")
        seen.append(asyncio.get_running_loop().create_task(world.row(change.execution_id)))

    world.store.subscribe(look)
    await world.store.submit(new_execution(created()))
    order.append("acknowledged")
    assert order == ["published", "acknowledged"]
    assert [row.status for row in await asyncio.gather(*seen)] == ["pending_at"]  # type: ignore[attr-defined]


async def test_a_refused_write_publishes_nothing(world: World) -> None:
    run = await world.start()
    world.changes.clear()
    with pytest.raises(VersionConflictError):
        await world.append(msgspec.structs.replace(run.append(world.now, Finished(OK)), run_id=run_id(99)))
    assert world.changes == []


async def test_cancelling_a_waiter_does_not_cancel_its_write(world: World) -> None:
    waiting = asyncio.get_running_loop().create_task(world.store.submit(new_execution(created())))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await world.submit(number=2)  # behind it in the queue
    assert (await world.row(execution_id(1))).status == "pending_at"


async def test_several_may_wait_for_one_write(world: World) -> None:
    run = await world.start()
    ticket = world.store.append(run.append(world.now, Finished(OK)))
    await asyncio.gather(*[ticket.durable() for _ in range(3)])
    await ticket.durable()


async def test_a_waiter_that_is_cancelled_leaves_the_others_waiting(world: World) -> None:
    run = await world.start()
    ticket = world.store.append(run.append(world.now, Finished(OK)))
    loop = asyncio.get_running_loop()
    first, second = loop.create_task(ticket.durable()), loop.create_task(ticket.durable())
    await asyncio.sleep(0)
    first.cancel()
    await second
    assert first.cancelled()


async def test_a_failed_write_raises_for_everyone_who_waits(world: World) -> None:
    run = await world.start()
    ticket = world.store.append(msgspec.structs.replace(run.append(world.now, Finished(OK)), run_id=run_id(99)))
    answers = await asyncio.gather(*[ticket.durable() for _ in range(3)], return_exceptions=True)
    assert [type(answer) for answer in answers] == [VersionConflictError] * 3


async def _settled(ticket) -> None:
    with pytest.raises(VersionConflictError):
        await ticket.durable()
