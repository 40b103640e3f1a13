"""Promises about where an execution stands: all that is asked for when somebody wonders why it does not run."""

import asyncio
from datetime import timedelta

import pytest

from obelisk_daemon.errors import NotFoundError
from obelisk_daemon.execution.events import Locked, Persist
from obelisk_daemon.ids import ExecutionId
from obelisk_daemon.storage.records import MOST_COUNTED, Standing, Waiting
from tests.building import ACTIVITY, DIGEST, WORKFLOW, RunScript, created, execution_id, history, new_execution
from tests.conformance.members import Members, answer, take_next, wait_for
from tests.conformance.world import World

pytestmark = pytest.mark.anyio


async def standing(world: World, known: ExecutionId) -> Standing:
    return await world.store.reads.standing(known, world.now)


async def waiting(world: World, run: RunScript) -> Waiting:
    found = (await standing(world, run.execution_id)).waiting
    assert found is not None
    return found


async def before(world: World, number: int) -> int:
    return (await standing(world, execution_id(number))).queued_before


async def test_what_is_not_there_is_not_found(world: World) -> None:
    with pytest.raises(NotFoundError) as refused:
        await standing(world, execution_id())
    assert refused.value.code == "execution_not_found"
    assert (await standing(world, await world.submit())).tail != ()  # the connection is as it was before


async def test_it_has_the_row_and_the_last_events_and_nothing_else_of_what_only_waits(world: World) -> None:
    known = await world.submit()
    row, log = await world.row(known), await world.log(known)
    assert await standing(world, known) == Standing(row, tuple(log))


async def test_the_last_events_are_eight_at_most_and_the_lock_is_found_before_them(world: World) -> None:
    run = await world.workflow()
    drawn = [Persist("random_u64", (0, 9), number) for number in range(20)]
    await world.append(run.append(world.now, *history(*drawn)))
    found, log = await standing(world, run.execution_id), await world.log(run.execution_id)
    assert found.tail == tuple(log[-8:])
    assert (found.locked, isinstance(log[1].event, Locked)) == (log[1], True)


async def test_a_workflow_waits_for_what_has_not_answered_in_its_join_set(world: World) -> None:
    run = await world.workflow()
    made = await wait_for(world, run, Members([ACTIVITY] * 11, [60, 30, 90, 10]), join_set="n:batch", needed=4)
    found = await waiting(world, run)
    assert (found.answered, found.missing, found.unanswered) == (0, 4, 15)
    assert [child.execution_id for child in found.children] == made.children[:3]
    assert {(child.ffqn, child.status, child.lifecycle) for child in found.children} == {
        (ACTIVITY, "pending_at", "active")
    }
    assert [delay.delay_id for delay in found.delays] == [made.delays[place] for place in (3, 1, 0)]


async def test_what_has_answered_is_counted_and_not_named(world: World) -> None:
    run = await world.workflow()
    made = await wait_for(world, run, Members([ACTIVITY] * 3, [1]), join_set="n:batch")
    await answer(world, await world.lock(runnable={ACTIVITY: DIGEST}, limit=1))
    world.clock.advance(timedelta(seconds=1))
    await world.fire()
    (held,) = await world.lock(runnable={WORKFLOW: DIGEST})
    again = RunScript(held)
    for needed in (2, 3):
        await take_next(world, again, "n:batch", needed)
    found = await waiting(world, run)
    assert (found.answered, found.missing, found.unanswered, found.delays) == (2, 1, 2, ())
    assert [child.execution_id for child in found.children] == made.children[1:]


async def test_members_of_other_join_sets_and_their_answers_do_not_count(world: World) -> None:
    run = await world.workflow()
    await wait_for(world, run, Members([ACTIVITY, ACTIVITY], [60]), join_set="n:other")
    await answer(world, await world.lock(runnable={ACTIVITY: DIGEST}, limit=1))
    (held,) = await world.lock(runnable={WORKFLOW: DIGEST})
    made = await wait_for(world, RunScript(held), Members([ACTIVITY], [60]), join_set="n:mine")
    found = await waiting(world, run)
    assert (found.answered, found.missing, found.unanswered) == (0, 1, 2)
    assert ([c.execution_id for c in found.children], [d.delay_id for d in found.delays]) == made


async def test_paused_delays_and_children_that_are_being_cancelled_come_last(world: World) -> None:
    run = await world.workflow()
    made = await wait_for(world, run, Members([ACTIVITY] * 2, [1, 2]))
    await world.cancel(made.children[0])
    await world.store.set_delay_paused(made.delays[0], True)
    found = await waiting(world, run)
    assert [child.execution_id for child in found.children] == made.children[::-1]
    assert [delay.delay_id for delay in found.delays] == made.delays[::-1]
    assert [delay.is_paused for delay in found.delays] == [False, True]


async def test_what_is_being_cancelled_waits_for_the_children_of_all_its_join_sets(world: World) -> None:
    run = await world.workflow()
    first = await wait_for(world, run, Members([ACTIVITY] * 2), join_set="n:one")
    await answer(world, await world.lock(runnable={ACTIVITY: DIGEST}, limit=1))
    (held,) = await world.lock(runnable={WORKFLOW: DIGEST})
    second = await wait_for(world, RunScript(held), Members([ACTIVITY]), join_set="n:two")
    await world.cancel(run.execution_id)
    found = await waiting(world, run)
    assert [child.execution_id for child in found.children] == [first.children[1], second.children[0]]
    assert found.unanswered == 2


async def test_a_queue_is_of_one_function_one_priority_and_the_same_labels(world: World) -> None:
    for number, event in enumerate(
        [
            created(),
            created(due_at=world.now - 1),
            created(WORKFLOW),
            created(priority=9),
            created(labels=("gpu",)),
            created(),
        ],
        1,
    ):
        await world.submit(event, number)
    assert [await before(world, number) for number in range(1, 7)] == [1, 0, 0, 0, 0, 2]


async def test_only_what_is_due_and_waits_is_before_or_after_others(world: World) -> None:
    for number in range(1, 5):
        await world.submit(created(due_at=world.now + (number == 4)), number)
    await world.store.pause(execution_id(2), world.now)
    assert [await before(world, number) for number in range(1, 5)] == [0, 0, 1, 0]
    world.clock.advance(timedelta(seconds=1))
    assert await before(world, 4) == 2


async def test_a_queue_is_not_counted_to_its_end(world: World) -> None:
    numbers = range(1, MOST_COUNTED + 3)
    await asyncio.gather(*(world.store.submit(new_execution(created(), number)) for number in numbers))
    assert [await before(world, number) for number in numbers[-3:]] == [MOST_COUNTED - 1, MOST_COUNTED, MOST_COUNTED]
