"""Promises about labels: work goes only to executors that offer all it requires, and holds nobody else up."""

import itertools
from collections.abc import Callable

import pytest

from obelisk_daemon.errors import ConflictError
from obelisk_daemon.execution.events import Created
from obelisk_daemon.storage.generations import AllowedFunction
from tests.building import ACTIVITY, DIGEST, OTHER_DIGEST, WORKFLOW, RunScript, created, execution_id, new_execution
from tests.conformance.world import ALLOWED, World

pytestmark = pytest.mark.anyio
GONE = "testing:gone/gone.gone"


@pytest.mark.parametrize(
    ("of_function", "submitted", "offered", "is_locked"),
    [
        ((), (), (), True),
        ((), (), ("gpu",), True),
        (("gpu",), (), (), False),
        (("gpu",), (), ("gpu",), True),
        ((), ("gpu",), (), False),
        ((), ("gpu",), ("eu", "gpu"), True),
        (("eu",), ("gpu",), ("gpu",), False),
        (("eu",), ("gpu",), ("eu",), False),
        (("eu",), ("gpu",), ("eu", "gpu"), True),
        (("eu", "gpu"), ("eu",), ("eu", "gpu"), True),
        ((), ("gp",), ("gpu",), False),
    ],
)
async def test_all_that_the_function_and_the_submitter_require_must_be_offered(
    world: World,
    of_function: tuple[str, ...],
    submitted: tuple[str, ...],
    offered: tuple[str, ...],
    is_locked: bool,
) -> None:
    await world.allow(2, labels=of_function)
    execution = await world.submit(created(labels=submitted))
    assert await world.locked_ids(labels=offered) == [execution] * is_locked
    assert (await world.row(execution)).labels == submitted


async def test_an_execution_whose_labels_nobody_offers_waits_and_the_ones_behind_it_do_not(world: World) -> None:
    await world.submit(created(labels=("gpu",), priority=9, due_at=world.now - 10), 1)
    await world.submit(created(due_at=world.now), 2)
    assert await world.locked_ids(limit=1) == [execution_id(2)]
    assert await world.locked_ids() == []
    assert (await world.row(execution_id(1))).status == "pending_at"
    assert await world.locked_ids(labels={"gpu"}) == [execution_id(1)]


async def test_a_later_generation_may_require_other_labels_of_what_waits(world: World) -> None:
    await world.allow(2, labels=("gpu",))
    await world.submit()
    assert await world.locked_ids() == []
    await world.allow(3)
    assert await world.locked_ids() == [execution_id(1)]


async def test_a_child_requires_what_its_function_requires_and_nothing_of_its_parents_submitter(world: World) -> None:
    await world.submit(created(WORKFLOW, labels=("gpu",)))
    (held,) = await world.lock(labels={"gpu"})
    parent = RunScript(held)
    await world.append(parent.call(world.now, 1, keep=False))
    assert len(await world.locked_ids()) == 1


async def test_the_same_call_with_other_labels_or_another_priority_is_another_call(world: World) -> None:
    await world.submit(created(labels=("gpu",), priority=7))
    assert not await world.store.submit(new_execution(created(labels=("gpu",), priority=7)))
    for other in (created(priority=7), created(labels=("eu",), priority=7), created(labels=("gpu",))):
        with pytest.raises(ConflictError, match="is another call"):
            await world.store.submit(new_execution(other))


# what can't run here costs nothing


def labelled(world: World, number: int) -> Created:
    return created(labels=("gpu",), priority=9, due_at=world.now - number)


def future(world: World, number: int) -> Created:
    return created(priority=9, due_at=world.now + 1 + number)


def unknown(world: World, number: int) -> Created:
    return created(GONE, priority=9, due_at=world.now - number)


def outdated(world: World, number: int) -> Created:
    return created(ACTIVITY, priority=9, due_at=world.now - number)


@pytest.mark.parametrize("waiting", [labelled, future, unknown, outdated])
async def test_what_cannot_run_here_costs_the_same_however_many_wait(
    world: World, waiting: Callable[[World, int], Created]
) -> None:
    changed = {ACTIVITY: AllowedFunction(OTHER_DIGEST, "fibo")} if waiting is outdated else {}
    numbers = itertools.count(2)

    async def cost(many: range) -> int:
        await world.activate(next(numbers), {**ALLOWED, GONE: DIGEST})
        await world.submit_many([waiting(world, number) for number in many], first=many.start)
        await world.submit(created(WORKFLOW, due_at=world.now), many.stop)
        await world.activate(next(numbers), {**ALLOWED, **changed})
        steps, held = await world.steps(
            world.lock(limit=5, runnable={ACTIVITY: DIGEST, WORKFLOW: DIGEST}, checked=False)
        )
        assert [one.execution_id for one in held] == [execution_id(many.stop)]
        return steps

    few = await cost(range(1, 11))
    assert await cost(range(20, 10_020)) <= few + 50
