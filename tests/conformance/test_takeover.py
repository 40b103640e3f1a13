"""Promises about the runs of dead executors, and the rules of `executor.takeover` over them."""

from datetime import timedelta

import msgspec
import pytest

from obelisk_daemon.clock import after
from obelisk_daemon.execution.events import (
    ChildFinished,
    Created,
    Finished,
    HistoryEvent,
    JoinSetCreate,
    TemporarilyTimedOut,
    Unlocked,
)
from obelisk_daemon.execution.outcome import Failed
from obelisk_daemon.execution.retry import backoff
from obelisk_daemon.execution.suspicion import SHARED_AFTER
from obelisk_daemon.executor.takeover import take_over
from obelisk_daemon.storage.records import NewResponse, VersionConflictError
from tests.building import (
    EXECUTOR,
    OK,
    OTHER_EXECUTOR,
    POLICY,
    RunScript,
    created,
    execution_id,
    failure,
    history,
    id_source,
    locked,
)
from tests.conformance.world import World

pytestmark = pytest.mark.anyio
NEXT = OTHER_EXECUTOR


async def taken_over(world: World) -> int:
    """End the lease of the executor that has run everything so far, and take over what it left."""
    await world.die(EXECUTOR)
    recovered = await take_over(world.store, world.clock, id_source(world.clock))
    await world.check()
    return recovered.lost_runs


async def with_budget(world: World, event: Created, max_retries: int) -> RunScript:
    """Give a run whose lock allows so many retries."""
    from obelisk_daemon.clock import after
    from obelisk_daemon.storage.records import LockRequest, Runnable
    from tests.building import DIGEST, run_id

    policy = msgspec.structs.replace(POLICY, max_retries=max_retries)
    await world.submit(event)
    await world.enlist(EXECUTOR)
    lock = locked(policy=policy)
    runnable = Runnable(event.ffqn, DIGEST, lambda run, n: msgspec.structs.replace(lock, run_id=run, attempt=n))
    (held,) = await world.store.lock(
        LockRequest(EXECUTOR, after(world.now, timedelta()), 1, [runnable], lambda: run_id(50))
    )
    return RunScript(held)


async def test_a_lost_activity_is_retried_after_its_backoff_and_counted(world: World) -> None:
    run = await world.start()
    assert await taken_over(world) == 1
    entry = (await world.log(run.execution_id))[-1]
    due_at = after(world.now, backoff(POLICY, run.execution_id, 1))
    assert entry.event == TemporarilyTimedOut(1, "lost", due_at)
    world.clock.advance(timedelta(seconds=1) + SHARED_AFTER)
    (held,) = await world.lock(executor=NEXT)
    assert held.locked.attempt == 2


async def test_a_lost_activity_without_budget_finishes_as_timed_out(world: World) -> None:
    run = await with_budget(world, created(), 0)
    assert await taken_over(world) == 1
    outcome = (await world.row(run.execution_id)).outcome
    assert isinstance(outcome, Failed)
    assert outcome.kind == "timed_out"
    assert (await world.store.reads.failure(outcome.failure_id)).kind == "timed_out"


async def test_a_lost_child_without_budget_answers_its_parent(world: World) -> None:
    run = await with_budget(world, created(parent=(execution_id(2), "o:1")), 0)
    parent = await world.workflow(2)
    await world.append(parent.append(world.now, *history(JoinSetCreate("o:1"))))
    await taken_over(world)
    (response,) = await world.responses(parent.execution_id)
    assert isinstance(response.item, ChildFinished)
    assert response.item.execution_id == run.execution_id


async def test_a_lost_workflow_that_got_on_is_unlocked_and_not_counted(world: World) -> None:
    run = await world.workflow()
    await world.append(run.append(world.now, HistoryEvent(JoinSetCreate("o:1"))))
    assert await taken_over(world) == 1
    assert (await world.log(run.execution_id))[-1].event == Unlocked("lost", world.now)
    world.clock.advance(SHARED_AFTER)
    (held,) = await world.lock(executor=NEXT)
    assert held.locked.attempt == 1


async def test_a_lost_workflow_that_did_not_get_on_is_counted(world: World) -> None:
    run = await world.workflow()
    await taken_over(world)
    assert isinstance((await world.log(run.execution_id))[-1].event, TemporarilyTimedOut)


async def test_a_workflow_that_was_only_waiting_in_memory_is_not_touched(world: World) -> None:
    run = await world.workflow()
    await world.append(run.sleep(world.now, 1, world.now + 10))
    version = (await world.row(run.execution_id)).version
    assert await taken_over(world) == 0
    assert (await world.row(run.execution_id)).version == version
    world.clock.advance(timedelta(seconds=1))
    await world.fire()
    assert len(await world.lock(executor=NEXT)) == 1


async def test_a_workflow_that_was_answered_but_not_resumed_is_due_at_once(world: World) -> None:
    run = await world.workflow()
    await world.append(run.sleep(world.now, 1, world.now))
    await world.fire()
    assert await world.lock(executor=NEXT) == []
    await taken_over(world)
    assert len(await world.lock(executor=NEXT)) == 1


async def test_the_dead_runs_result_is_refused(world: World) -> None:
    run = await world.start()
    await taken_over(world)
    with pytest.raises(VersionConflictError):
        await world.append(run.append(world.now, Finished(OK)))


async def test_the_living_executors_own_runs_are_not_lost(world: World) -> None:
    await world.submit()
    (held,) = await world.lock(executor=NEXT)
    assert await taken_over(world) == 0
    await world.append(RunScript(held).append(world.now, Finished(OK)))


async def test_taking_over_twice_counts_once(world: World) -> None:
    run = await world.start()
    assert [await taken_over(world), await taken_over(world)] == [1, 0]
    assert (await world.row(run.execution_id)).attempts == 1


async def test_more_lost_runs_than_one_batch_are_all_taken_over(world: World) -> None:
    for number in range(1, 13):
        await world.store.submit(_new(number))
    assert len(await world.lock(limit=20)) == 12
    assert len(await world.store.lost_runs([EXECUTOR], 5)) == 5
    assert await taken_over(world) == 12


async def test_a_lost_run_that_is_being_cancelled_is_left_to_the_cancellation(world: World) -> None:
    """Else one without budget would end as timed out, though somebody asked to cancel it."""
    run = await with_budget(world, created(), 0)
    await world.cancel(run.execution_id)
    assert await taken_over(world) == 0
    cancelled = failure(3, "cancelled")
    assert await world.finish_cancelled(run.execution_id, cancelled) == "finished"
    assert (await world.row(run.execution_id)).outcome == Failed("cancelled", cancelled.failure_id, cancelled.message)


async def test_a_clock_behind_the_log_does_not_make_time_go_back(world: World) -> None:
    run = await world.start()
    world.clock.advance(timedelta(hours=-1))
    await taken_over(world)
    times = [entry.created_at for entry in await world.log(run.execution_id)]
    assert times == sorted(times)


async def test_a_response_to_a_workflow_of_a_dead_executor_is_not_lost(world: World) -> None:
    parent = await world.workflow()
    await world.append(parent.call(world.now, 1, keep=True))
    (held,) = await world.lock(executor=NEXT)
    await taken_over(world)
    child = RunScript(held)
    answer = NewResponse(parent.execution_id, "o:1", world.now, ChildFinished(child.execution_id, OK))
    await world.append(child.append(world.now, Finished(OK), response=answer))
    assert [held.execution_id for held in await world.lock(executor=NEXT)] == [parent.execution_id]


def _new(number: int):
    from tests.building import new_execution

    return new_execution(created(), number)
