"""Promises of a store about what an operator does, with force or without, and about what is kept of failures."""

from datetime import timedelta

import msgspec
import pytest

from obelisk_daemon.clock import Instant
from obelisk_daemon.errors import ConflictError, NotFoundError
from obelisk_daemon.execution.events import DelayFinished, Finished, TemporarilyFailed
from obelisk_daemon.execution.outcome import Evidence, FailureRecord, HttpExchange, Returned
from obelisk_daemon.ids import FailureId, delay_id
from obelisk_daemon.storage.records import Delay, VersionConflictError
from tests.building import (
    ACTIVITY,
    OK,
    OTHER_EXECUTOR,
    SECOND,
    WORKFLOW,
    RunScript,
    created,
    execution_id,
    new_execution,
    one_delay,
)
from tests.conformance.world import World

pytestmark = pytest.mark.anyio


async def paused(world: World, run: RunScript) -> None:
    assert await world.store.pause(run.execution_id, world.now)
    await world.check()


async def asleep(world: World, *, keep: bool = True) -> RunScript:
    """Have a workflow sleep for five seconds."""
    run = await world.workflow()
    await world.append(run.sleep(world.now, 1, world.now + 5 * SECOND, keep=keep))
    return run


# pause


async def test_a_paused_execution_is_not_locked_until_it_is_resumed(world: World) -> None:
    submitted = await world.submit()
    assert await world.store.pause(submitted, world.now)
    assert not await world.store.pause(submitted, world.now)
    assert await world.lock() == []
    assert await world.store.unpause(submitted, world.now, "operator")
    assert not await world.store.unpause(submitted, world.now, "operator")
    assert [held.execution_id for held in await world.lock()] == [submitted]
    assert await world.types(submitted) == ["created", "paused", "unpaused", "locked"]


async def test_a_workflow_that_runs_loses_its_lock_and_its_next_append_is_refused(world: World) -> None:
    run = await world.workflow()
    await paused(world, run)
    assert await world.types(run.execution_id) == ["created", "locked", "unlocked", "paused"]
    with pytest.raises(VersionConflictError):
        await world.append(run.call(world.now, 1, keep=True))
    await world.release(run)
    assert (await world.types(run.execution_id))[-1] == "paused"


@pytest.mark.parametrize("keep", [True, False])
async def test_a_workflow_that_waits_keeps_the_response_that_comes_while_it_is_paused(world: World, keep: bool) -> None:
    run = await asleep(world, keep=keep)
    await paused(world, run)
    world.clock.advance(timedelta(seconds=5))
    assert await world.fire() == 1
    row = await world.row(run.execution_id)
    assert (row.lifecycle, row.status) == ("paused", "pending_at")
    assert len(await world.responses(run.execution_id)) == 1
    assert await world.lock(executor=OTHER_EXECUTOR) == []
    await world.store.unpause(run.execution_id, world.now, "operator")
    assert len(await world.lock(executor=OTHER_EXECUTOR)) == 1


async def test_a_workflow_that_is_paused_after_its_response_came_still_follows_from_its_log(world: World) -> None:
    run = await asleep(world, keep=False)
    world.clock.advance(timedelta(seconds=5))
    assert await world.fire() == 1
    world.clock.advance(timedelta(seconds=1))
    await paused(world, run)
    await world.store.unpause(run.execution_id, world.now, "operator")
    assert len(await world.lock()) == 1


async def test_a_wait_for_a_later_time_goes_on_while_paused(world: World) -> None:
    submitted = await world.submit(created(due_at=world.now + 5 * SECOND))
    await world.store.pause(submitted, world.now)
    await world.store.unpause(submitted, world.now, "operator")
    assert await world.lock() == []
    world.clock.advance(timedelta(seconds=5))
    assert len(await world.lock()) == 1


async def test_what_can_not_be_paused_says_why(world: World) -> None:
    with pytest.raises(NotFoundError):
        await world.store.pause(execution_id(9), world.now)
    run = await world.start()
    with pytest.raises(ConflictError) as refused:
        await world.store.pause(run.execution_id, world.now)
    assert refused.value.code == "running"
    await world.append(run.append(world.now, Finished(OK)))
    with pytest.raises(ConflictError) as refused:
        await world.store.pause(run.execution_id, world.now)
    assert refused.value.code == "already_finished"
    other = await world.submit(number=2)
    await world.cancel(other)
    with pytest.raises(ConflictError) as refused:
        await world.store.pause(other, world.now)
    assert refused.value.code == "cancelling"


# delays


async def test_delays_are_read_by_id_in_pages_until_they_have_ended(world: World) -> None:
    run = await asleep(world)
    delay = Delay(one_delay(run.execution_id, 1), "o:1", Instant(world.now + 5 * SECOND), is_paused=False)
    assert await world.store.reads.delays(run.execution_id, "", 10) == [delay]
    assert await world.store.reads.delays(run.execution_id, delay.delay_id, 10) == []
    await world.store.set_delay_paused(delay.delay_id, True)
    assert await world.store.reads.delays(run.execution_id, "", 10) == [msgspec.structs.replace(delay, is_paused=True)]
    await world.store.cancel_delay(delay.delay_id, world.now)
    assert await world.store.reads.delays(run.execution_id, "", 10) == []


async def test_a_paused_delay_does_not_fire_and_wakes_nobody(world: World) -> None:
    run = await asleep(world)
    delay, due_at = one_delay(run.execution_id, 1), world.now + 5 * SECOND
    assert await world.store.set_delay_paused(delay, True) == due_at
    world.clock.advance(timedelta(seconds=6))
    assert await world.fire() == 0
    assert await world.store.next_due(world.now) is None
    assert await world.store.set_delay_paused(delay, False) == due_at
    assert await world.store.next_due(world.now) == due_at
    assert await world.fire() == 1


async def test_a_cancelled_delay_answers_once_and_says_so(world: World) -> None:
    run = await asleep(world)
    delay = one_delay(run.execution_id, 1)
    assert await world.store.cancel_delay(delay, world.now)
    assert not await world.store.cancel_delay(delay, world.now)
    world.clock.advance(timedelta(seconds=6))
    assert await world.fire() == 0
    assert [r.item for r in await world.responses(run.execution_id)] == [DelayFinished(delay, cancelled=True)]
    with pytest.raises(NotFoundError):
        await world.store.set_delay_paused(delay, True)


# stubs


async def test_a_stub_is_given_its_result_once(world: World) -> None:
    stub = await world.submit()
    other = Returned({"ok": 56})
    assert await world.store.finish_stub(stub, WORKFLOW, OK, world.now) == "execution_not_found"
    assert await world.store.finish_stub(execution_id(9), ACTIVITY, OK, world.now) == "execution_not_found"
    assert await world.store.finish_stub(stub, ACTIVITY, OK, world.now) == "ok"
    assert await world.store.finish_stub(stub, ACTIVITY, OK, world.now) == "ok"
    assert await world.store.finish_stub(stub, ACTIVITY, other, world.now) == "conflict"
    assert (await world.row(stub)).outcome == OK


async def test_a_stub_that_is_being_cancelled_takes_no_result(world: World) -> None:
    stub = await world.submit()
    await world.cancel(stub)
    assert await world.store.finish_stub(stub, ACTIVITY, OK, world.now) == "conflict"


# force


async def test_force_is_remembered_and_asked_for_later_is_an_event_of_its_own(world: World) -> None:
    submitted = await world.submit()
    request = world.store.request_cancellation
    assert not (await request(submitted, world.now)).is_forced
    assert (await request(submitted, world.now, force=True)).is_forced
    assert (await request(submitted, world.now)).is_forced
    assert (await request(submitted, world.now, force=True)).is_forced
    assert await world.types(submitted) == ["created", "cancellation_requested", "cancellation_requested"]


async def test_force_is_remembered_when_the_run_is_released_after_it(world: World) -> None:
    run = await world.workflow()
    await world.store.request_cancellation(run.execution_id, world.now, force=True)
    await world.release(run)
    assert (await world.types(run.execution_id))[-2:] == ["cancellation_requested", "unlocked"]
    assert (await world.store.request_cancellation(run.execution_id, world.now)).is_forced


# submit


@pytest.mark.parametrize("changes", [{"intent": ("in", 5)}, {"retried_from": execution_id(2)}, {"params": [11]}])
async def test_the_same_id_for_another_call_is_a_conflict(world: World, changes: dict[str, object]) -> None:
    await world.submit()
    with pytest.raises(ConflictError) as refused:
        await world.store.submit(new_execution(created(**changes)))  # type: ignore[arg-type]
    assert refused.value.code == "execution_exists"


async def test_the_same_intent_is_the_same_call_though_it_comes_to_another_time(world: World) -> None:
    await world.submit(created(due_at=world.now, intent=("in", 5)))
    assert not await world.store.submit(new_execution(created(due_at=world.now + 7, intent=("in", 5))))


async def test_whether_an_execution_has_ended_can_be_asked(world: World) -> None:
    run = await world.start()
    assert not await world.store.has_finished(run.execution_id)
    await world.append(run.append(world.now, Finished(OK)))
    assert await world.store.has_finished(run.execution_id)
    assert not await world.store.has_finished(execution_id(9))


# failures


async def test_a_failure_is_kept_with_what_the_attempt_left(world: World) -> None:
    exchange = HttpExchange("GET", "http://x/", world.now, 5, 503, "HTTP-response-timeout", "slow", 1, 2)
    record = FailureRecord(FailureId("Err_1"), "error", "no", "", None, Evidence("boom", (exchange,), 3))
    run = await world.start()
    event = TemporarilyFailed(1, "no", world.now, "error", record.failure_id, "no")
    await world.append(run.append(world.now, event, failures=(record,)))
    assert await world.store.reads.failure(record.failure_id) == record


async def test_causes_are_followed_as_far_as_they_are_known_and_wanted(world: World) -> None:
    chain = [
        FailureRecord(FailureId(f"Err_{n}"), "child_failed", "x", cause=FailureId(f"Err_{n + 1}")) for n in range(3)
    ]
    run = await world.start()
    event = TemporarilyFailed(1, "x", world.now, "child_failed", chain[0].failure_id)
    await world.append(run.append(world.now, event, failures=tuple(chain)))
    of = run.execution_id
    assert await world.store.reads.failure_chain(FailureId("Err_0"), 10) == [(of, record) for record in chain]
    assert await world.store.reads.failure_chain(FailureId("Err_1"), 1) == [(of, chain[1])]
    with pytest.raises(NotFoundError):
        await world.store.reads.failure_chain(FailureId("Err_3"), 10)


async def test_a_delay_that_never_was_is_not_there(world: World) -> None:
    never = delay_id(execution_id(9), "o:1", 1)
    assert not await world.store.cancel_delay(never, world.now)
    with pytest.raises(NotFoundError):
        await world.store.set_delay_paused(never, True)
