"""Promises of a store about children, delays and the responses they make."""

import asyncio
from datetime import timedelta

import msgspec
import pytest

from obelisk_daemon.clock import Instant
from obelisk_daemon.execution.events import ChildFinished, DelayFinished, Finished, JoinSetCreate
from obelisk_daemon.ids import child_id
from obelisk_daemon.storage.records import (
    Append,
    Awaits,
    NewResponse,
    ResponseChange,
    StateChange,
    VersionConflictError,
)
from tests.building import (
    OK,
    OTHER_EXECUTOR,
    SECOND,
    RunScript,
    created,
    execution_id,
    history,
    one_delay,
    run_id,
)
from tests.conformance.world import World

pytestmark = pytest.mark.anyio
HOT_GRACE = 5 * SECOND


def response(child: RunScript, parent: RunScript, at: Instant, number: int = 1) -> NewResponse:
    return NewResponse(parent.execution_id, f"o:{number}", at, ChildFinished(child.execution_id, OK))


async def calling(world: World, *, keep: bool) -> tuple[RunScript, RunScript]:
    """Give a workflow that waits for a child, and the child's run."""
    parent = await world.workflow()
    await world.append(parent.call(world.now, 1, keep=keep))
    (held,) = await world.lock()
    return parent, RunScript(held)


def finishing(child: RunScript, parent: RunScript, at: Instant) -> Append:
    return child.append(at, Finished(OK), response=response(child, parent, at))


async def test_a_request_and_the_child_it_names_are_one_write(world: World) -> None:
    parent = await world.workflow()
    await world.append(parent.call(world.now, 1, keep=True))
    row = await world.row(child_id(parent.execution_id, "o:1", 1))
    assert (row.status, row.parent_id) == ("pending_at", parent.execution_id)
    assert (await world.row(parent.execution_id)).join_set == "o:1"


async def test_a_childs_end_and_its_response_are_one_write(world: World) -> None:
    parent, child = await calling(world, keep=True)
    await world.append(finishing(child, parent, world.now))
    assert [r.item for r in await world.responses(parent.execution_id)] == [ChildFinished(child.execution_id, OK)]
    assert (await world.row(child.execution_id)).status == "finished"


async def test_a_childs_end_that_is_refused_makes_no_response(world: World) -> None:
    parent, child = await calling(world, keep=True)
    await world.release(child)
    with pytest.raises(VersionConflictError):
        await world.append(finishing(child, parent, world.now))
    assert await world.responses(parent.execution_id) == []


async def test_a_response_is_published_with_its_number_after_the_write_that_gives_its_reason(world: World) -> None:
    parent, child = await calling(world, keep=True)
    world.changes.clear()
    await world.append(finishing(child, parent, world.now))
    assert [type(change) for change in world.changes] == [StateChange, ResponseChange, StateChange]
    assert [change.execution_id for change in world.changes] == [
        child.execution_id, parent.execution_id, parent.execution_id,
    ]  # fmt: skip
    assert world.delivered(parent.execution_id) == await world.responses(parent.execution_id)


async def test_responses_are_numbered_from_1_without_gaps(world: World) -> None:
    parent = await world.workflow()
    await world.append(parent.append(world.now, *history(JoinSetCreate("n:x"))))
    others = [await world.start(created(), number) for number in range(2, 12)]
    ends = [
        other.append(world.now, Finished(OK), response=msgspec.structs.replace(response(other, parent, world.now)))
        for other in others
    ]
    refused = msgspec.structs.replace(ends[4], run_id=run_id(99))
    tickets = [world.store.append(end) for end in [*ends[:4], refused, *ends[5:]]]
    await asyncio.gather(*[ticket.durable() for ticket in tickets], return_exceptions=True)
    assert [r.seq for r in await world.responses(parent.execution_id)] == list(range(1, 10))


async def test_a_response_makes_an_unloaded_parent_due_at_once(world: World) -> None:
    parent, child = await calling(world, keep=False)
    assert (await world.row(parent.execution_id)).status == "blocked"
    await world.append(finishing(child, parent, world.now))
    row = await world.row(parent.execution_id)
    assert (row.status, row.due_at) == ("pending_at", world.now)
    last = world.states(parent.execution_id)[-1]
    assert (last.status, last.due_at, last.is_held) == ("pending_at", world.now, False)
    assert [held.execution_id for held in await world.lock()] == [parent.execution_id]


async def test_a_response_leaves_a_hot_parent_to_the_executor_that_keeps_it(world: World) -> None:
    parent, child = await calling(world, keep=True)
    await world.append(finishing(child, parent, world.now))
    assert world.states(parent.execution_id)[-1].is_held is True
    world.clock.advance(timedelta(hours=1))
    assert await world.lock() == []
    await world.append(parent.append(world.now, Finished(OK)))


async def test_a_hot_parent_that_does_not_go_on_is_others_after_its_grace(world: World) -> None:
    parent, child = await calling(world, keep=True)
    await world.append(finishing(child, parent, world.now))
    due = Instant(world.now + HOT_GRACE)
    assert await world.lock(executor=OTHER_EXECUTOR, at=Instant(due - 1)) == []
    (held,) = await world.lock(executor=OTHER_EXECUTOR, at=due)
    assert held.execution_id == parent.execution_id
    with pytest.raises(VersionConflictError):
        await world.append(parent.append(due, Finished(OK)))


async def test_a_response_to_a_parent_that_does_not_wait_changes_nothing_of_its_state(world: World) -> None:
    parent, child = await calling(world, keep=False)
    await world.append(finishing(child, parent, world.now))
    (held,) = await world.lock()
    other = await world.start(created(), 2)
    before = await world.row(parent.execution_id)
    await world.append(other.append(world.now, Finished(OK), response=response(other, parent, world.now, 7)))
    assert await world.row(parent.execution_id) == before
    await world.append(RunScript(held).append(world.now, Finished(OK)))


async def test_a_response_of_another_join_set_does_not_wake(world: World) -> None:
    parent, _ = await calling(world, keep=False)
    other = await world.start(created(), 2)
    await world.append(other.append(world.now, Finished(OK), response=response(other, parent, world.now, 7)))
    assert (await world.row(parent.execution_id)).status == "blocked"


async def test_a_response_to_a_parent_that_has_ended_is_dropped(world: World) -> None:
    parent, child = await calling(world, keep=True)
    await world.append(parent.append(world.now, Finished(OK)))
    await world.append(finishing(child, parent, world.now))
    assert await world.responses(parent.execution_id) == []
    assert (await world.row(child.execution_id)).status == "finished"


async def test_a_run_locked_again_reads_what_was_delivered_before(world: World) -> None:
    parent, child = await calling(world, keep=False)
    await world.append(finishing(child, parent, world.now))
    (held,) = await world.lock()
    log = await world.store.read_log(held.execution_id)
    assert (log.entries, log.responses) == (
        await world.log(held.execution_id), await world.responses(held.execution_id),
    )  # fmt: skip


# awaits: a workflow that waits again at the end of its replay may have been answered while it ran


@pytest.mark.parametrize(("keep", "grace"), [(False, 0), (True, HOT_GRACE)])
async def test_a_wait_whose_answer_is_there_already_is_pending_at_once(world: World, keep: bool, grace: int) -> None:
    parent, child = await calling(world, keep=True)
    await world.release(parent)
    await world.append(finishing(child, parent, world.now))
    (held,) = await world.lock()
    await world.append(RunScript(held).block_again(1, keep=keep))
    row = await world.row(parent.execution_id)
    assert (row.status, row.due_at) == ("pending_at", row.changed_at + grace)


async def test_a_wait_that_was_answered_already_is_published_as_pending(world: World) -> None:
    """Else nobody would run an unloaded workflow: the response was published while it ran."""
    parent, child = await calling(world, keep=True)
    await world.release(parent)
    await world.append(finishing(child, parent, world.now))
    (held,) = await world.lock()
    await world.append(RunScript(held).block_again(1, keep=False))
    last = world.states(parent.execution_id)[-1]
    assert (last.status, last.is_held, last.due_at) == ("pending_at", False, world.now)


async def test_a_wait_counts_the_answers_consumed_before(world: World) -> None:
    parent, child = await calling(world, keep=True)
    await world.release(parent)
    await world.append(finishing(child, parent, world.now))
    (held,) = await world.lock()
    again = RunScript(held)
    made = again.append(world.now, *history(again_waiting()))
    await world.append(msgspec.structs.replace(made, awaits=Awaits("o:1", 2, is_new=False)))
    assert (await world.row(parent.execution_id)).status == "blocked"


def again_waiting():
    from obelisk_daemon.execution.events import JoinNext

    return JoinNext("o:1")


async def test_a_wait_without_an_answer_stays_blocked(world: World) -> None:
    parent = await world.workflow()
    await world.append(parent.sleep(world.now, 1, world.now + SECOND))
    await world.release(parent)
    assert await world.lock() == []
    assert (await world.row(parent.execution_id)).status == "blocked"


# delays


async def test_a_delay_does_not_fire_early(world: World) -> None:
    parent = await world.workflow()
    await world.append(parent.sleep(world.now, 1, world.now + SECOND))
    world.clock.advance(timedelta(microseconds=SECOND - 1))
    assert await world.fire() == 0
    assert await world.store.next_due(world.now) == world.now + 1
    world.clock.advance(timedelta(microseconds=1))
    assert await world.fire() == 1
    (delivered,) = await world.responses(parent.execution_id)
    assert delivered.item == DelayFinished(one_delay(parent.execution_id, 1))


async def test_a_delay_fires_once(world: World) -> None:
    parent = await world.workflow()
    await world.append(parent.sleep(world.now, 1, world.now))
    assert sum(await asyncio.gather(*[world.store.fire_delays(world.now, 10) for _ in range(3)])) == 1
    world.clock.advance(timedelta(days=-1))
    assert await world.fire() == 0
    world.clock.advance(timedelta(days=2))
    assert await world.fire() == 0
    assert len(await world.responses(parent.execution_id)) == 1


async def test_delays_fire_in_batches_the_earliest_first(world: World) -> None:
    for number, due in ((1, 30), (2, 10), (3, 20)):
        run = await world.workflow(number)
        await world.append(run.sleep(world.now, 1, world.now + due))
    world.clock.advance(timedelta(seconds=1))
    assert [await world.fire(2), await world.fire(2), await world.fire(2)] == [2, 1, 0]
    fired = [change.execution_id for change in world.changes if isinstance(change, ResponseChange)]
    assert fired == [execution_id(2), execution_id(3), execution_id(1)]


async def test_a_delay_of_an_execution_that_has_ended_never_fires(world: World) -> None:
    parent = await world.workflow()
    await world.append(parent.sleep(world.now, 1, world.now + SECOND))
    await world.append(parent.append(world.now, Finished(OK)))
    world.clock.advance(timedelta(seconds=2))
    assert await world.fire() == 0
    assert await world.store.next_due(world.now) is None


async def test_the_next_due_is_the_earliest_of_delays_and_pending_executions(world: World) -> None:
    assert await world.store.next_due(world.now) is None
    await world.submit(created(due_at=world.now + 50), 2)
    assert await world.store.next_due(world.now) == world.now + 50
    parent = await world.workflow()
    await world.append(parent.sleep(world.now, 1, world.now + 20))
    assert await world.store.next_due(world.now) == world.now + 20


async def test_what_is_due_already_or_may_not_run_is_not_due_next(world: World) -> None:
    await world.submit(created(due_at=world.now), 1)
    waiting = await world.submit(created(due_at=world.now + 5), 2)
    await world.cancel(waiting)
    assert await world.store.next_due(world.now) is None


async def test_unfinished_executions_are_counted_by_what_they_do(world: World) -> None:
    parent, child = await calling(world, keep=True)
    await world.submit(number=2)
    await world.cancel(await world.submit(number=3))
    assert dict(await world.store.reads.counts()) == {"blocked": 1, "locked": 1, "pending_at": 1, "cancelling": 1}
    await world.append(finishing(child, parent, world.now))
    assert (await world.store.reads.counts()).get("locked") is None
