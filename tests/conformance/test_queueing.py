"""Promises about how much may wait: `max_pending`, what it refuses and what it ends, and what it never touches."""

import pytest

from obelisk_daemon.errors import NotFoundError, QueueFullError
from obelisk_daemon.execution.events import Created, Finished, Schedule
from obelisk_daemon.execution.outcome import Failed
from obelisk_daemon.ids import ExecutionId
from obelisk_daemon.storage.generations import AllowedFunction, Generation, QueueLimit
from obelisk_daemon.storage.records import ListFilter, NewExecution
from tests.building import (
    ACTIVITY,
    DIGEST,
    OK,
    WORKFLOW,
    RunScript,
    created,
    execution_id,
    failure,
    history,
    new_execution,
)
from tests.conformance.world import ALLOWED, World

pytestmark = pytest.mark.anyio
REJECT = QueueLimit(max_pending=3)
EVICT = QueueLimit(max_pending=3, when_full="evict-oldest")
ELSEWHERE = "testing:other/other.nothing"


async def limit(world: World, number: int = 2, **limits: QueueLimit) -> Generation:
    """Limit the component `fibo`, which has the activity and the workflow; `other` has another function."""
    return await world.activate(number, {**ALLOWED, ELSEWHERE: AllowedFunction(DIGEST, "other")}, **limits)


async def submit(world: World, number: int, event: Created | None = None) -> bool:
    """Submit an execution, a microsecond after the one before; tell if it was taken."""
    try:
        return await world.store.submit(new_execution(event or created(), number, at=world.now + number))
    except QueueFullError:
        return False
    finally:
        await world.check()


async def fill(world: World, count: int = 3, event: Created | None = None, first: int = 1) -> None:
    for number in range(first, first + count):
        assert await submit(world, number, event)


async def ended(world: World) -> dict[int, str]:
    """Give the numbers of the executions that ended with a failure, and its kind."""
    found = (await world.store.reads.summaries(ListFilter(limit=1_000, status="finished"))).rows
    return {int(row.execution_id[-26:]): row.outcome.kind for row in found if isinstance(row.outcome, Failed)}


# reject


async def test_what_is_over_the_limit_is_refused_and_leaves_nothing(world: World) -> None:
    await limit(world, fibo=REJECT)
    await fill(world)
    published = len(world.changes)
    with pytest.raises(QueueFullError) as refused:
        await world.submit(number=4)
    assert refused.value.code == "queue_full"
    assert str(refused.value) == ('3 executions of "fibo" wait to be started; max_pending is 3: try again later')
    assert len(world.changes) == published
    with pytest.raises(NotFoundError):
        await world.row(execution_id(4))
    assert await world.log(execution_id(4)) == []
    await world.lock(limit=1)
    assert await submit(world, 4, created(params=(99,)))  # the id was not taken by what was refused


@pytest.mark.parametrize("of", [REJECT, EVICT], ids=["reject", "evict"])
async def test_submitting_the_same_again_is_no_matter_of_the_limit(world: World, of: QueueLimit) -> None:
    await limit(world, fibo=of)
    await fill(world)
    assert await world.store.submit(new_execution(created(), 3)) is False
    assert await ended(world) == {}


async def test_no_limit_is_no_limit(world: World) -> None:
    await limit(world, fibo=QueueLimit(max_running=1), other=REJECT)
    await fill(world, 20)


async def test_a_limit_of_nothing_refuses_all(world: World) -> None:
    await limit(world, fibo=QueueLimit(max_pending=0), other=QueueLimit(max_pending=0, when_full="evict-oldest"))
    assert not await submit(world, 1)
    assert not await submit(world, 1, created(ELSEWHERE, component="other"))


async def test_the_limit_of_a_component_is_not_that_of_another(world: World) -> None:
    await limit(world, fibo=REJECT)
    await fill(world)
    assert await submit(world, 4, created(ELSEWHERE, component="other"))


async def test_functions_of_one_component_share_its_limit(world: World) -> None:
    await limit(world, fibo=REJECT)
    await fill(world, 2)
    await fill(world, 1, created(WORKFLOW), first=3)
    assert not await submit(world, 4)


async def test_the_limit_of_all_counts_every_component(world: World) -> None:
    await limit(world, all=REJECT)
    await fill(world, 2)
    await fill(world, 1, created(ELSEWHERE, component="other"), first=3)
    with pytest.raises(QueueFullError, match="3 executions of all components wait"):
        await world.submit(number=4)


async def test_a_limit_that_a_later_generation_sets_counts_what_was_there_before(world: World) -> None:
    await fill(world, 5)
    await limit(world, fibo=REJECT)
    assert not await submit(world, 6)
    assert len(await world.lock(limit=3)) == 3
    assert await submit(world, 6)
    assert not await submit(world, 7)


async def test_what_goes_with_its_function_to_another_component_counts_there_if_it_was_never_started(
    world: World,
) -> None:
    await fill(world)
    (held,) = await world.lock(limit=1)
    await world.release(RunScript(held))
    await world.activate(2, {ACTIVITY: AllowedFunction(DIGEST, "renamed")}, renamed=REJECT)
    assert await submit(world, 4, created(component="renamed"))
    assert not await submit(world, 5, created(component="renamed"))


# what counts


async def test_what_is_not_due_yet_counts(world: World) -> None:
    await limit(world, fibo=REJECT)
    await fill(world, 3, created(due_at=world.now + 1_000))
    assert not await submit(world, 4)


async def test_what_is_paused_before_its_start_counts(world: World) -> None:
    await limit(world, fibo=REJECT)
    await fill(world)
    await world.store.pause(execution_id(1), world.now)
    assert not await submit(world, 4)
    await world.store.unpause(execution_id(1), world.now, "x")
    assert not await submit(world, 4)


@pytest.mark.parametrize("then", ["runs", "waits again", "ends", "is cancelled", "is given a result"])
async def test_what_was_started_or_has_ended_does_not_count(world: World, then: str) -> None:
    await limit(world, fibo=REJECT)
    await fill(world)
    if then == "is cancelled":
        await world.cancel(execution_id(1))
        assert not await submit(world, 4)
        await world.finish_cancelled(execution_id(1), failure(1, "cancelled"))
    elif then == "is given a result":
        await world.store.finish_stub(execution_id(1), ACTIVITY, OK, world.now)
    else:
        (held,) = await world.lock(limit=1)
        run = RunScript(held)
        if then == "waits again":
            await world.release(run)
        if then == "ends":
            await world.append(run.append(world.now, Finished(OK)))
    assert await submit(world, 4)
    assert not await submit(world, 5)


async def test_children_count_and_are_never_refused(world: World) -> None:
    await limit(world, fibo=REJECT)
    await children(world, 4)
    assert not await submit(world, 5)
    assert len(await world.lock(limit=2)) == 2
    assert await submit(world, 5)


# evict-oldest


async def test_the_oldest_that_was_never_started_gives_way(world: World) -> None:
    await limit(world, fibo=EVICT)
    await fill(world)
    assert await submit(world, 4)
    assert await ended(world) == {1: "evicted"}
    row = await world.row(execution_id(1))
    assert isinstance(row.outcome, Failed)
    why = '3 executions of "fibo" wait to be started; max_pending is 3'
    assert row.outcome.reason == f"evicted for {execution_id(4)}: {why}"
    assert (await world.store.reads.failure(row.outcome.failure_id)).kind == "evicted"
    assert await world.types(execution_id(1)) == ["created", "finished"]
    assert await submit(world, 5)
    assert await ended(world) == {1: "evicted", 2: "evicted"}


async def test_age_is_counted_from_the_submission_and_not_from_when_it_is_due(world: World) -> None:
    await limit(world, fibo=EVICT)
    await fill(world, 1, created(due_at=world.now + 1_000))
    await fill(world, 2, created(due_at=world.now - 1_000), first=2)
    assert await submit(world, 4)
    assert await ended(world) == {1: "evicted"}


async def test_what_was_started_gives_no_way(world: World) -> None:
    await limit(world, fibo=EVICT)
    await fill(world)
    for held in await world.lock(limit=2):
        await world.release(RunScript(held))
    await fill(world, 2, first=4)
    assert await submit(world, 6)
    assert await ended(world) == {3: "evicted"}


async def children(world: World, count: int) -> None:
    """Have workflows call and wait, so that their children are all that was never started."""
    for parent in [await world.workflow(number) for number in range(101, 101 + count)]:
        await world.append(parent.call(world.now, 1, keep=False))


async def test_a_child_gives_no_way(world: World) -> None:
    await children(world, 2)
    await limit(world, fibo=EVICT)
    await fill(world, 1)
    assert await submit(world, 2)
    assert await ended(world) == {1: "evicted"}


async def test_where_only_children_wait_the_newcomer_is_refused(world: World) -> None:
    await children(world, 3)
    await limit(world, fibo=EVICT)
    with pytest.raises(QueueFullError, match="none that could give way has a priority as low"):
        await world.submit()
    assert await ended(world) == {}


async def test_another_component_gives_no_way(world: World) -> None:
    await limit(world, all=EVICT)
    await fill(world, 3, created(ELSEWHERE, component="other"))
    assert not await submit(world, 4)
    assert await ended(world) == {}


@pytest.mark.parametrize(("newcomer", "evicted"), [(3, None), (4, 2), (5, 2), (6, 1), (None, 2)], ids=str)
async def test_a_higher_priority_than_the_newcomers_gives_no_way(
    world: World, newcomer: int | None, evicted: int | None
) -> None:
    await limit(world, fibo=EVICT)
    for number, priority in enumerate((6, 4, 5), start=1):
        assert await submit(world, number, created(priority=priority))
    assert await submit(world, 4, created(priority=newcomer)) == (evicted is not None)
    assert await ended(world) == ({} if evicted is None else {evicted: "evicted"})


async def test_a_priority_of_the_manifest_counts_when_somebody_has_to_give_way(world: World) -> None:
    functions = {
        ACTIVITY: AllowedFunction(DIGEST, "fibo", priority=3),
        WORKFLOW: AllowedFunction(DIGEST, "fibo", priority=7),
    }
    await world.activate(2, functions, fibo=EVICT)
    await fill(world, 2, created(WORKFLOW))
    assert await submit(world, 3)
    assert await submit(world, 4)
    assert await ended(world) == {3: "evicted"}
    assert await submit(world, 5, created(WORKFLOW))
    assert await ended(world) == {3: "evicted", 1: "evicted"}


async def test_who_gives_way_makes_room_under_both_limits(world: World) -> None:
    await limit(world, fibo=EVICT, all=REJECT)
    await fill(world)
    assert await submit(world, 4)
    assert await ended(world) == {1: "evicted"}


async def test_a_limit_of_all_that_refuses_is_not_passed_by_a_component_that_has_room(world: World) -> None:
    await limit(world, fibo=QueueLimit(max_pending=5, when_full="evict-oldest"), all=REJECT)
    await fill(world)
    assert not await submit(world, 4)
    assert await ended(world) == {}


async def test_a_paused_execution_gives_way_like_any_other(world: World) -> None:
    await limit(world, fibo=EVICT)
    await fill(world)
    await world.store.pause(execution_id(1), world.now)
    assert await submit(world, 4)
    assert await ended(world) == {1: "evicted"}


async def test_a_refused_newcomer_costs_the_same_however_many_wait(world: World) -> None:
    """All that wait have a higher priority: none of them gives way, and none is read."""

    async def cost(count: int, first: int, generation: int) -> int:
        await limit(world, generation, fibo=QueueLimit(max_pending=count, when_full="evict-oldest"))
        await world.submit_many([created(priority=9)] * (count + 1 - first), first=first)
        steps, answer = await world.steps(_refusal(world, new_execution(created(), 99_999)))
        assert answer == "queue_full"
        return steps

    few = await cost(10, 1, 2)
    assert await cost(2_000, 11, 3) <= few + 50


async def _refusal(world: World, new: NewExecution) -> str:
    try:
        await world.store.submit(new)
    except QueueFullError as error:
        return error.code
    return "taken"


# schedules of workflows


async def schedule(world: World, run: RunScript, number: int) -> ExecutionId:
    """Have a workflow ask for a top-level execution, and end."""
    event = Schedule(execution_id(number), ACTIVITY, [10], ("now", 0), world.now)
    new = new_execution(created(scheduled_by=run.execution_id), number, at=world.now)
    await world.append(run.append(world.now, *history(event), Finished(OK), scheduled=(new,)))
    return execution_id(number)


async def test_a_schedule_within_the_limit_waits_like_a_submission(world: World) -> None:
    run = await world.workflow(9)
    await limit(world, fibo=REJECT)
    await fill(world, 2)
    scheduled = await schedule(world, run, 3)
    assert (await world.row(scheduled)).status == "pending_at"
    assert not await submit(world, 4)


async def test_a_schedule_over_the_limit_is_made_and_ends_as_rejected(world: World) -> None:
    run = await world.workflow(9)
    await limit(world, fibo=REJECT)
    await fill(world)
    scheduled = await schedule(world, run, 4)
    assert await ended(world) == {4: "rejected"}
    assert await world.types(scheduled) == ["created", "finished"]
    assert (await world.row(run.execution_id)).outcome == OK
    outcome = (await world.row(scheduled)).outcome
    assert isinstance(outcome, Failed)
    assert (await world.store.reads.failure(outcome.failure_id)).message.startswith('3 executions of "fibo" wait')
    assert world.states(scheduled)[-1].status == "finished"


async def test_a_schedule_may_have_the_oldest_give_way(world: World) -> None:
    run = await world.workflow(9)
    await limit(world, fibo=EVICT)
    await fill(world)
    scheduled = await schedule(world, run, 4)
    assert await ended(world) == {1: "evicted"}
    assert (await world.row(scheduled)).status == "pending_at"


async def test_a_schedule_of_what_is_there_already_is_no_matter_of_the_limit(world: World) -> None:
    run = await world.workflow(9)
    await limit(world, fibo=EVICT)
    await fill(world)
    assert await schedule(world, run, 3) == execution_id(3)
    assert await ended(world) == {}
    assert await world.types(execution_id(3)) == ["created"]
