"""Promises about order: priority first, functions in turn, the longest due first in each (DESIGN.md section 5)."""

from datetime import timedelta

import pytest

from obelisk_daemon.execution.events import Created, Finished, Unlocked
from obelisk_daemon.ids import ExecutionId
from obelisk_daemon.storage.generations import AllowedFunction, QueueLimit
from tests.building import (
    ACTIVITY,
    DIGEST,
    OK,
    OTHER_DIGEST,
    OTHER_EXECUTOR,
    WORKFLOW,
    RunScript,
    created,
    execution_id,
    new_execution,
)
from tests.conformance.world import World

pytestmark = pytest.mark.anyio
NOTHING = "testing:other/other.nothing"
HOT_GRACE = 5_000_000
THREE = [(ACTIVITY, DIGEST), (WORKFLOW, DIGEST), (NOTHING, DIGEST)]


async def order(world: World, *events: Created, limit: int = 10, **of: object) -> list[int]:
    """Submit executions and give the numbers of those that are locked, in order."""
    await world.submit_many(events)
    return numbers(await world.locked_ids(limit=limit, runnable=THREE, **of))


def numbers(found: list[ExecutionId]) -> list[int]:
    return [int(one.removeprefix("E_")) for one in found]


def priorities(**by_name: int) -> dict[str, AllowedFunction]:
    functions = {"activity": ACTIVITY, "workflow": WORKFLOW, "nothing": NOTHING}
    return {ffqn: AllowedFunction(DIGEST, name, priority=by_name.get(name, 5)) for name, ffqn in functions.items()}


# priority


async def test_a_higher_priority_is_locked_first_however_short_it_is_due(world: World) -> None:
    low, none, high = (created(priority=p, due_at=world.now - n) for p, n in ((4, 9), (None, 5), (6, 1)))
    assert await order(world, low, none, high) == [3, 2, 1]


async def test_the_manifests_priority_is_that_of_all_executions_of_a_function(world: World) -> None:
    await world.activate(2, priorities(activity=4, nothing=8))
    assert await order(world, created(), created(WORKFLOW), created(NOTHING)) == [3, 2, 1]


async def test_the_submitters_priority_counts_more_than_the_manifests(world: World) -> None:
    await world.activate(2, priorities(activity=4, workflow=8))
    assert await order(world, created(WORKFLOW), created(priority=9), created(WORKFLOW, priority=0)) == [2, 1, 3]


async def test_a_priority_lasts_for_every_attempt(world: World) -> None:
    await world.submit(created(priority=9), 1)
    (held,) = await world.lock()
    await world.append(RunScript(held).append(world.now, Unlocked("x", world.now)))
    await world.submit(created(priority=8, due_at=world.now - 5), 2)
    assert numbers(await world.locked_ids(limit=1)) == [1]


async def test_a_child_has_the_priority_of_its_function_and_not_that_of_its_parents_submitter(world: World) -> None:
    await world.submit(created(WORKFLOW, priority=0), 1)
    (held,) = await world.lock()
    await world.append(RunScript(held).call(world.now, 1, keep=False))
    await world.submit(created(priority=4, due_at=world.now - 5), 2)
    (first,) = await world.locked_ids(limit=1)
    assert first.startswith(execution_id(1))


async def test_a_later_generation_ranks_again_what_waits(world: World) -> None:
    await world.activate(2, priorities())
    await world.submit_many([created(), created(WORKFLOW), created(NOTHING)])
    await world.activate(3, priorities(activity=4, workflow=6, nothing=8))
    assert numbers(await world.locked_ids(runnable=THREE, limit=1)) == [3]
    await world.activate(4, priorities(activity=9))
    assert numbers(await world.locked_ids(runnable=THREE, limit=1)) == [1]


async def test_a_later_generation_leaves_the_submitters_priority_alone(world: World) -> None:
    await world.submit_many([created(priority=6), created(WORKFLOW)])
    await world.activate(2, priorities(activity=0))
    assert numbers(await world.locked_ids(limit=1)) == [1]


@pytest.mark.parametrize("state", ["future", "paused", "locked", "blocked", "hot"])
async def test_a_later_generation_ranks_again_what_cannot_be_locked_yet(world: World, state: str) -> None:
    """All are workflows of the priority 5, that becomes 3; an activity of the priority 4 must then come first."""
    await world.submit(created(WORKFLOW, due_at=world.now + 100 * (state == "future")), 1)
    if state == "paused":
        await world.store.pause(execution_id(1), world.now)
    if state in ("locked", "blocked", "hot"):
        (held,) = await world.lock()
        run = RunScript(held)
    if state in ("blocked", "hot"):
        await world.append(run.sleep(world.now, 1, world.now, keep=state == "hot"))
    await world.activate(2, priorities(workflow=3))
    await world.store.unpause(execution_id(1), world.now, "x")
    if state == "locked":
        await world.release(run)
    await world.fire()
    await world.submit(created(priority=4), 2)
    later = world.now + 10_000_000
    assert numbers(await world.locked_ids(at=later, executor=OTHER_EXECUTOR)) == [2, 1]


async def test_a_function_that_comes_back_to_the_manifest_has_the_priority_that_it_has_then(world: World) -> None:
    await world.submit_many([created(), created(WORKFLOW, due_at=world.now - 5)])
    await world.activate(2, {WORKFLOW: DIGEST})
    await world.activate(3, {WORKFLOW: DIGEST, ACTIVITY: AllowedFunction(DIGEST, "fibo", priority=9)})
    assert numbers(await world.locked_ids(limit=1, runnable=[(WORKFLOW, DIGEST), (ACTIVITY, DIGEST)])) == [1]


# turns


async def test_functions_of_one_priority_take_turns(world: World) -> None:
    await world.activate(2, priorities())
    of_one = [created(due_at=world.now - 100 + n) for n in range(4)]
    of_other = [created(WORKFLOW, due_at=world.now - n) for n in range(2)]
    assert await order(world, *of_one, *of_other, created(NOTHING)) == [1, 6, 7, 2, 5, 3, 4]


async def test_the_function_whose_turn_it_is_comes_first(world: World) -> None:
    await world.submit_many([created(due_at=world.now - 9), created(WORKFLOW)])
    assert numbers(await world.locked_ids(runnable=THREE[1:] + THREE[:1])) == [2, 1]


async def test_what_is_due_of_a_function_is_one_queue_whatever_labels_it_was_submitted_with(world: World) -> None:
    """Else a function would have a turn for each set of labels."""
    labelled = [created(labels=(label,), due_at=world.now - n) for n, label in enumerate(("a", "b", "c"), start=1)]
    others = [created(due_at=world.now), created(WORKFLOW), created(WORKFLOW), created(WORKFLOW)]
    assert await order(world, *labelled, *others, labels={"a", "b", "c"}) == [3, 5, 2, 6, 1, 7, 4]


async def test_of_those_that_are_due_at_once_the_earlier_id_is_first(world: World) -> None:
    assert await order(world, created(labels=("b",)), created(), created(labels=("a",)), labels={"a", "b"}) == [1, 2, 3]


async def test_what_is_not_due_yet_is_not_locked_whatever_its_priority(world: World) -> None:
    assert await order(world, created(priority=9, due_at=world.now + 1), created(priority=0)) == [2]


# max_running


async def test_of_a_component_no_more_run_than_it_may_over_the_whole_store(world: World) -> None:
    await world.activate(2, {ACTIVITY: DIGEST}, fibo=QueueLimit(max_running=2))
    await world.submit_many([created(due_at=world.now - n) for n in range(4)])
    first = await world.lock(limit=1)
    assert len(await world.lock(executor=OTHER_EXECUTOR)) == 1
    assert await world.lock() == []
    assert await world.store.reads.locked_of("fibo") == 2
    await world.append(RunScript(first[0]).append(world.now, Finished(OK)))
    assert len(await world.lock(executor=OTHER_EXECUTOR)) == 1
    assert await world.lock() == []


async def test_a_component_that_is_full_holds_up_no_other(world: World) -> None:
    functions = {ACTIVITY: AllowedFunction(DIGEST, "full", priority=9), WORKFLOW: AllowedFunction(DIGEST, "other")}
    await world.activate(2, functions, full=QueueLimit(max_running=1))
    assert await order(world, created(), created(), created(WORKFLOW), created(WORKFLOW)) == [1, 3, 4]


async def test_a_blocked_workflow_takes_no_room(world: World) -> None:
    await world.activate(2, {WORKFLOW: DIGEST}, fibo=QueueLimit(max_running=1))
    await world.submit_many([created(WORKFLOW), created(WORKFLOW)])
    (held,) = await world.lock()
    assert await world.lock() == []
    await world.append(RunScript(held).sleep(world.now, 1, world.now + 9))
    assert numbers(await world.locked_ids()) == [2]


async def test_executions_on_older_code_take_room_too(world: World) -> None:
    await world.submit_many([created(), created()])
    await world.lock(limit=1)
    await world.activate(2, {ACTIVITY: OTHER_DIGEST}, fibo=QueueLimit(max_running=1))
    assert await world.lock(runnable={ACTIVITY: OTHER_DIGEST}) == []


async def test_functions_of_one_component_share_its_room(world: World) -> None:
    await world.activate(2, {ACTIVITY: DIGEST, WORKFLOW: DIGEST}, fibo=QueueLimit(max_running=1))
    assert await order(world, created(), created(WORKFLOW)) == [1]


async def test_a_limit_that_a_later_generation_lowers_ends_nothing_and_holds_for_what_comes(world: World) -> None:
    await world.submit_many([created(due_at=world.now - n) for n in range(4)])
    first = await world.lock(limit=3)
    await world.activate(2, {ACTIVITY: DIGEST}, fibo=QueueLimit(max_running=1))
    for held in first:
        assert await world.lock() == []
        await world.append(RunScript(held).append(world.now, Finished(OK)))
    assert len(await world.lock()) == 1


async def test_a_component_that_is_full_costs_the_same_however_many_wait_for_it(world: World) -> None:
    await world.activate(2, {ACTIVITY: DIGEST}, fibo=QueueLimit(max_running=0))

    async def cost(many: range) -> int:
        await world.submit_many([created(due_at=world.now - number) for number in many], first=many.start)
        steps, held = await world.steps(world.lock(limit=5, checked=False))
        assert held == []
        return steps

    few = await cost(range(1, 11))
    assert await cost(range(20, 2_020)) <= few + 50


async def test_what_goes_with_its_function_to_another_component_counts_there(world: World) -> None:
    await world.submit_many([created(), created()])
    await world.lock(limit=1)
    moved = {ACTIVITY: AllowedFunction(DIGEST, "other")}
    await world.activate(2, moved, other=QueueLimit(max_running=1))
    assert await world.lock() == []
    assert (await world.row(execution_id(1))).component == "other"


# what another executor has in memory, and has not gone on with


async def forsaken(world: World, number: int, **of: object) -> ExecutionId:
    """Have a workflow wait in memory, and its response come so long ago that others may lock it."""
    await world.submit_many([created(WORKFLOW, **of)], first=number)
    labels = of.get("labels", ())
    (held,) = await world.lock(runnable=[(WORKFLOW, DIGEST)], labels=labels)  # type: ignore[arg-type]
    await world.append(RunScript(held).sleep(world.now, 1, world.now))
    await world.fire()
    return held.execution_id


async def test_what_another_executor_forsakes_has_the_place_that_its_priority_and_its_age_give_it(world: World) -> None:
    for number, priority in ((9, None), (8, 6), (2, None), (7, None), (1, 6)):
        await forsaken(world, number, priority=priority)
        world.clock.advance(timedelta(microseconds=10))
    first = world.now - 50 + HOT_GRACE
    due = [created(WORKFLOW, due_at=first - 1), created(priority=7), created(WORKFLOW, due_at=first + 25)]
    await world.submit_many(due, first=3)
    assert numbers(await world.locked_ids(executor=OTHER_EXECUTOR, at=first + 99)) == [4, 8, 1, 3, 9, 2, 5, 7]


async def test_what_another_executor_forsakes_goes_only_to_one_that_may_run_it(world: World) -> None:
    later = world.now + HOT_GRACE
    one = await forsaken(world, 1, labels=("gpu",))
    assert await world.lock(executor=OTHER_EXECUTOR, at=later, runnable=[(ACTIVITY, DIGEST)], labels={"gpu"}) == []
    assert await world.lock(executor=OTHER_EXECUTOR, at=later) == []
    assert await world.lock(executor=OTHER_EXECUTOR, at=later - 1, labels={"gpu"}) == []
    assert await world.lock(at=later, labels={"gpu"}) == []  # it is the one that has it
    await world.activate(2, {WORKFLOW: OTHER_DIGEST})
    assert await world.lock(executor=OTHER_EXECUTOR, at=later, labels={"gpu"}) == []
    await world.activate(3, {WORKFLOW: DIGEST}, fibo=QueueLimit(max_running=0))
    assert await world.lock(executor=OTHER_EXECUTOR, at=later, labels={"gpu"}) == []
    await world.activate(4, {ACTIVITY: DIGEST})
    assert await world.lock(executor=OTHER_EXECUTOR, at=later, labels={"gpu"}) == []
    await world.activate(5, {WORKFLOW: DIGEST})
    assert await world.locked_ids(executor=OTHER_EXECUTOR, at=later, labels={"gpu"}) == [one]


async def test_what_an_executor_has_in_memory_makes_its_locks_no_dearer(world: World) -> None:
    async def cost(many: range) -> int:
        for number in many:
            await world.store.submit(new_execution(created(WORKFLOW), number, at=world.now))
            (held,) = await world.lock(checked=False)
            await world.store.append(RunScript(held).sleep(world.now, 1, world.now)).durable()
        await world.store.fire_delays(world.now, 1_000)
        steps, held = await world.steps(world.lock(at=world.now + HOT_GRACE, checked=False))
        assert held == []
        return steps

    few = await cost(range(1, 4))
    assert await cost(range(4, 100)) <= few + 50
