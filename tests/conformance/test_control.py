"""Promises of a store about cancelling, pausing and generations."""

import asyncio
from datetime import timedelta

import msgspec
import pytest

from obelisk_daemon.errors import ConflictError, NotFoundError
from obelisk_daemon.execution.divergence import HOST_ABI
from obelisk_daemon.execution.events import ChildFinished, Finished, Paused, Unpaused
from obelisk_daemon.execution.outcome import Failed
from obelisk_daemon.ids import child_id
from obelisk_daemon.storage.generations import AllowedFunction
from obelisk_daemon.storage.records import NewResponse, VersionConflictError
from tests.building import (
    ACTIVITY,
    DIGEST,
    OK,
    OTHER_DIGEST,
    SECOND,
    WORKFLOW,
    RunScript,
    created,
    execution_id,
    failure,
)
from tests.conformance.world import ALLOWED, World

pytestmark = pytest.mark.anyio
CANCELLED = failure(5, "cancelled", "cancelled on request")
DIVERGED = Paused("nondeterminism", failure(6, "nondeterminism").failure_id, DIGEST, "expected")


# cancel


async def test_cancelling_what_is_not_there_is_not_found(world: World) -> None:
    with pytest.raises(NotFoundError):
        await world.cancel(execution_id(9))
    with pytest.raises(NotFoundError):
        await world.finish_cancelled(execution_id(9), CANCELLED)


async def test_a_cancellation_is_an_event_and_asked_for_twice_still_one(world: World) -> None:
    submitted = await world.submit()
    await asyncio.gather(*[world.store.request_cancellation(submitted, world.now) for _ in range(3)])
    assert await world.types(submitted) == ["created", "cancellation_requested"]
    assert (await world.row(submitted)).lifecycle == "cancelling"


async def test_a_cancellation_tells_which_children_have_not_ended(world: World) -> None:
    parent = await world.workflow()
    await world.append(parent.call(world.now, 1, keep=True))
    progress = await world.store.request_cancellation(parent.execution_id, world.now)
    assert [child for child, _ in progress.children] == [child_id(parent.execution_id, "o:1", 1)]
    assert not progress.already_finished


async def test_children_of_a_closing_join_set_are_asked_to_end_in_the_commit_that_closes_it(world: World) -> None:
    """A crash right after it then leaves a cancellation that is completed, not a child that goes on."""
    parent = await world.workflow()
    child = child_id(parent.execution_id, "o:1", 1)
    made = parent.call(world.now, 1, keep=True)
    await world.append(msgspec.structs.replace(made, cancelled_children=(child,)))
    assert await world.types(child) == ["created", "cancellation_requested"]
    assert await world.store.unfinished_cancellations() == [child]


async def test_what_is_being_cancelled_is_not_locked(world: World) -> None:
    await world.cancel(await world.submit())
    assert await world.lock() == []


async def test_a_result_that_comes_after_the_request_is_refused(world: World) -> None:
    run = await world.start()
    await world.cancel(run.execution_id)
    with pytest.raises(VersionConflictError):
        await world.append(run.append(world.now, Finished(OK)))


async def test_a_result_that_comes_before_the_request_counts(world: World) -> None:
    run = await world.start()
    ticket = world.store.append(run.append(world.now, Finished(OK)))
    progress = await world.store.request_cancellation(run.execution_id, world.now)
    await ticket.durable()
    assert progress.already_finished
    assert await world.finish_cancelled(run.execution_id, CANCELLED) == "already_finished"
    assert (await world.row(run.execution_id)).outcome == OK


@pytest.mark.parametrize("released", [True, False])
async def test_the_end_of_a_cancelled_execution_is_an_outcome_with_a_failure(world: World, released: bool) -> None:
    run = await world.start()
    await world.cancel(run.execution_id)
    if released:
        await world.release(run, reason="cancelled")
    else:
        await world.die()
    assert await world.finish_cancelled(run.execution_id, CANCELLED) == "finished"
    row = await world.row(run.execution_id)
    assert row.outcome == Failed("cancelled", CANCELLED.failure_id, "cancelled on request")
    assert (row.status, row.lifecycle) == ("finished", "active")
    assert await world.store.reads.failure(CANCELLED.failure_id) == CANCELLED


async def test_a_cancelled_execution_that_an_executor_runs_is_left_to_it_while_it_lives(world: World) -> None:
    run = await world.start()
    await world.cancel(run.execution_id)
    assert await world.finish_cancelled(run.execution_id, CANCELLED) == "running"
    assert (await world.row(run.execution_id)).status == "locked"
    await world.release(run, reason="cancelled")
    assert await world.finish_cancelled(run.execution_id, CANCELLED) == "finished"


async def test_a_cancelled_execution_ends_once(world: World) -> None:
    submitted = await world.submit()
    await world.cancel(submitted)
    ends = [world.store.finish_cancelled(submitted, world.now, failure(n, "cancelled")) for n in (1, 2)]
    assert sorted(await asyncio.gather(*ends)) == ["already_finished", "finished"]
    assert (await world.types(submitted)).count("finished") == 1


async def test_a_cancelled_child_answers_its_parent(world: World) -> None:
    parent = await world.workflow()
    await world.append(parent.call(world.now, 1, keep=False))
    child = child_id(parent.execution_id, "o:1", 1)
    await world.cancel(child)
    await world.finish_cancelled(child, CANCELLED)
    (response,) = await world.responses(parent.execution_id)
    assert response.item == ChildFinished(child, Failed("cancelled", CANCELLED.failure_id, CANCELLED.message))
    assert (await world.row(parent.execution_id)).status == "pending_at"


async def test_a_cancelled_workflow_still_takes_responses_but_does_not_run(world: World) -> None:
    parent = await world.workflow()
    await world.append(parent.call(world.now, 1, keep=False))
    (held,) = await world.lock()
    child = RunScript(held)
    await world.cancel(parent.execution_id)
    answer = NewResponse(parent.execution_id, "o:1", world.now, ChildFinished(child.execution_id, OK))
    await world.append(child.append(world.now, Finished(OK), response=answer))
    assert len(await world.responses(parent.execution_id)) == 1
    assert await world.lock() == []


async def test_the_delays_of_a_cancelled_workflow_never_fire(world: World) -> None:
    run = await world.workflow()
    await world.append(run.sleep(world.now, 1, world.now + SECOND))
    await world.cancel(run.execution_id)
    await world.finish_cancelled(run.execution_id, CANCELLED)
    world.clock.advance(timedelta(seconds=2))
    assert await world.fire() == 0


async def test_cancellations_that_are_not_complete_are_found(world: World) -> None:
    await world.submit(number=1)
    for number in (2, 3):
        await world.cancel(await world.submit(number=number))
    await world.finish_cancelled(execution_id(3), CANCELLED)
    assert await world.store.unfinished_cancellations() == [execution_id(2)]


async def test_a_cancellation_never_makes_time_go_back_in_a_log(world: World) -> None:
    submitted = await world.submit()
    world.clock.advance(timedelta(hours=-1))
    await world.cancel(submitted)
    await world.finish_cancelled(submitted, CANCELLED)
    times = [entry.created_at for entry in await world.log(submitted)]
    assert times == sorted(times)


# pause


async def diverged(world: World, number: int = 1) -> RunScript:
    run = await world.workflow(number)
    await world.append(run.append(world.now, DIVERGED, failures=(failure(6 + number, "nondeterminism"),)))
    return run


async def test_a_paused_execution_is_not_locked_and_nobodys(world: World) -> None:
    run = await diverged(world)
    row = await world.row(run.execution_id)
    assert (row.lifecycle, row.pause_reason, row.status) == ("paused", "nondeterminism", "pending_at")
    assert await world.lock() == []
    assert world.states(run.execution_id)[-1].is_held is False


async def test_a_paused_workflow_still_takes_responses(world: World) -> None:
    parent = await world.workflow()
    await world.append(parent.call(world.now, 1, keep=True))
    await world.append(parent.append(world.now, DIVERGED))
    (held,) = await world.lock()
    child = RunScript(held)
    answer = NewResponse(parent.execution_id, "o:1", world.now, ChildFinished(child.execution_id, OK))
    await world.append(child.append(world.now, Finished(OK), response=answer))
    assert len(await world.responses(parent.execution_id)) == 1
    assert (await world.row(parent.execution_id)).lifecycle == "paused"


async def test_an_unpaused_execution_is_due_and_can_be_locked(world: World) -> None:
    run = await diverged(world)
    world.clock.advance(timedelta(seconds=1))
    assert await world.store.unpause(run.execution_id, world.now, "other code")
    await world.check()
    assert (await world.log(run.execution_id))[-1].event == Unpaused("other code")
    last = world.states(run.execution_id)[-1]
    assert (last.status, last.lifecycle) == ("pending_at", "active")
    assert last.due_at is not None
    assert last.due_at <= world.now
    assert len(await world.lock()) == 1


async def test_a_pause_is_lifted_once(world: World) -> None:
    run = await diverged(world)
    lifts = [world.store.unpause(run.execution_id, world.now, "x") for _ in range(2)]
    assert await asyncio.gather(*lifts) == [True, False]


@pytest.mark.parametrize("before", ["pending", "cancelling", "finished"])
async def test_lifting_a_pause_that_is_not_there_answers_false(world: World, before: str) -> None:
    submitted = await world.submit()
    if before != "pending":
        await world.cancel(submitted)
    if before == "finished":
        await world.finish_cancelled(submitted, CANCELLED)
    assert not await world.store.unpause(submitted, world.now, "x")


async def test_a_paused_execution_can_be_cancelled(world: World) -> None:
    run = await diverged(world)
    await world.cancel(run.execution_id)
    assert await world.finish_cancelled(run.execution_id, CANCELLED)


async def test_an_activation_lifts_the_pauses_that_are_neither_an_operators_nor_of_what_ends(world: World) -> None:
    await diverged(world, 1)
    other = await world.workflow(2)
    await world.append(other.append(world.now, Paused("operator")))
    cancelled = await diverged(world, 3)
    await world.cancel(cancelled.execution_id)
    assert await world.store.liftable(HOST_ABI) == []
    await world.activate(2, {WORKFLOW: AllowedFunction(OTHER_DIGEST, "fibo", "replay")})
    assert [(await world.row(execution_id(number))).lifecycle for number in (1, 2, 3)] == [
        "active",
        "paused",
        "cancelling",
    ]


# generations


async def test_a_generation_comes_back_as_it_was_activated(world: World) -> None:
    activated = await world.activate(2, {ACTIVITY: OTHER_DIGEST})
    assert await world.store.active_generation() == activated
    assert await world.store.component_code(OTHER_DIGEST) == OTHER_DIGEST.encode()
    assert await world.store.component_code(DIGEST) == DIGEST.encode()  # kept: an older execution may need it
    assert await world.store.component_code("sha256:none") is None


async def test_a_generation_replaces_what_may_run(world: World) -> None:
    await world.submit(created(WORKFLOW), 1)
    await world.submit(created(), 2)
    await world.activate(2, {ACTIVITY: DIGEST})
    assert [held.execution_id for held in await world.lock()] == [execution_id(2)]


@pytest.mark.parametrize("number", [1, 3])
async def test_a_generation_must_follow_the_active_one(world: World, number: int) -> None:
    before = await world.store.active_generation()
    with pytest.raises(ConflictError) as conflict:
        await world.activate(number, {ACTIVITY: OTHER_DIGEST})
    assert conflict.value.code == "generation_conflict"
    assert await world.store.active_generation() == before
    assert await world.store.component_code(OTHER_DIGEST) is None


async def test_of_two_generations_at_once_one_becomes_active(world: World) -> None:
    both = await asyncio.gather(world.activate(2), world.activate(2), return_exceptions=True)
    assert [type(answer) is ConflictError for answer in both].count(True) == 1


async def test_before_the_first_there_is_no_generation(store) -> None:
    assert await store.active_generation() is None


async def test_generations_of_the_same_functions_leave_what_may_run_as_it_is(world: World) -> None:
    await world.submit()
    await world.activate(2, ALLOWED)
    assert len(await world.lock()) == 1
