"""Promises about an operator's upgrade: an execution moves to the current code of its function at once."""

from typing import Final

import pytest

from obelisk_daemon.errors import ConflictError, NotFoundError
from obelisk_daemon.execution.divergence import HOST_ABI
from obelisk_daemon.execution.events import ComponentUpgraded, Finished, Paused, Unlocked, Unpaused
from obelisk_daemon.ids import ExecutionId, FailureId
from obelisk_daemon.storage.records import VersionConflictError
from tests.building import (
    ACTIVITY,
    DIGEST,
    OK,
    OTHER_DIGEST,
    THIRD_DIGEST,
    WORKFLOW,
    RunScript,
    created,
    execution_id,
    failure,
)
from tests.conformance.world import World

pytestmark = pytest.mark.anyio
BOTH: Final = [(WORKFLOW, DIGEST), (WORKFLOW, OTHER_DIGEST)]
FORCED: Final = ComponentUpgraded(True, OTHER_DIGEST, HOST_ABI, forced=True)


async def upgrade(world: World, execution: ExecutionId, event: ComponentUpgraded = FORCED) -> None:
    try:
        await world.store.upgrade(execution, event, world.now)
    finally:
        await world.check()


async def pinned(world: World) -> ExecutionId:
    """Have a workflow begin on the first code and be left there by the second."""
    run = await world.workflow()
    await world.release(run)
    await world.allow(2, WORKFLOW, OTHER_DIGEST, on_upgrade="pin")
    return run.execution_id


async def test_a_pinned_execution_moves_when_an_operator_wants_it(world: World) -> None:
    execution = await pinned(world)
    await upgrade(world, execution)
    assert (await world.log(execution))[-1].event == FORCED
    assert (await world.row(execution)).digest == OTHER_DIGEST
    (held,) = await world.lock(runnable=BOTH)
    assert (held.locked.digest, held.locked.upgrade_from) == (OTHER_DIGEST, None)


async def test_an_execution_that_diverged_moves_by_force_and_is_not_held_to_have_failed_there(world: World) -> None:
    execution = await pinned(world)
    await world.allow(3, WORKFLOW, OTHER_DIGEST, on_upgrade="replay")
    (held,) = await world.lock(runnable=BOTH)
    failed = ComponentUpgraded(False, OTHER_DIGEST, HOST_ABI, 3, "another call")
    await world.append(RunScript(held).append(world.now, failed, Unlocked("upgrade_failed", world.now)))
    await upgrade(world, execution)
    assert await world.store.reads.failed_on(execution, OTHER_DIGEST, HOST_ABI) is None
    (held,) = await world.lock(runnable=BOTH)
    assert (held.locked.digest, held.locked.upgrade_from) == (OTHER_DIGEST, None)


async def test_what_it_diverged_on_elsewhere_is_not_forgotten(world: World) -> None:
    execution = await pinned(world)
    await world.allow(3, WORKFLOW, THIRD_DIGEST, on_upgrade="replay")
    (held,) = await world.lock(runnable=[(WORKFLOW, THIRD_DIGEST)])
    failed = ComponentUpgraded(False, THIRD_DIGEST, HOST_ABI, 3, "another call")
    await world.append(RunScript(held).append(world.now, failed, Unlocked("upgrade_failed", world.now)))
    await world.allow(4, WORKFLOW, OTHER_DIGEST, on_upgrade="pin")
    await upgrade(world, execution)
    assert await world.store.reads.failed_on(execution, THIRD_DIGEST, HOST_ABI) == (3, "another call")


@pytest.mark.parametrize("reason", ["nondeterminism", "trap"])
async def test_an_upgrade_lifts_an_automatic_pause(world: World, reason: str) -> None:
    run = await world.workflow()
    pause = Paused(reason, FailureId("Err_1"), DIGEST, "why")  # type: ignore[arg-type]
    await world.append(run.append(world.now, pause))
    await world.allow(2, WORKFLOW, OTHER_DIGEST, on_upgrade="pin")
    await upgrade(world, run.execution_id)
    assert [entry.event for entry in await world.log(run.execution_id)][-2:] == [FORCED, Unpaused("upgraded")]
    assert len(await world.lock(runnable=BOTH)) == 1


async def test_an_upgrade_leaves_an_operators_pause(world: World) -> None:
    execution = await pinned(world)
    await world.store.pause(execution, world.now)
    await upgrade(world, execution)
    row = await world.row(execution)
    assert (row.lifecycle, row.digest) == ("paused", OTHER_DIGEST)
    assert await world.lock(runnable=BOTH) == []


async def test_a_workflow_that_waits_goes_on_waiting_and_then_runs_on_the_current_code(world: World) -> None:
    run = await world.workflow()
    await world.append(run.sleep(world.now, 1, world.now, keep=False))
    await world.allow(2, WORKFLOW, OTHER_DIGEST, on_upgrade="pin")
    await upgrade(world, run.execution_id)
    assert (await world.row(run.execution_id)).status == "blocked"
    assert await world.lock(runnable=BOTH) == []
    await world.fire()
    (held,) = await world.lock(runnable=BOTH)
    assert held.locked.digest == OTHER_DIGEST


async def test_what_cannot_be_upgraded_says_why_and_is_left_alone(world: World) -> None:
    with pytest.raises(NotFoundError):
        await world.store.upgrade(execution_id(9), FORCED, world.now)
    runs = await world.start(created(due_at=world.now), 1)
    ends = await world.workflow(3)
    await world.append(ends.append(world.now, Finished(OK)))
    cancelled = await world.submit(created(WORKFLOW), 4)
    await world.cancel(cancelled)
    waits = await world.submit(created(WORKFLOW), 5)
    await world.allow(2, WORKFLOW, THIRD_DIGEST, on_upgrade="pin")
    refusals = {
        runs.execution_id: "running",
        ends.execution_id: "already_finished",
        cancelled: "cancelling",
        waits: "outdated",
    }
    for execution, code in refusals.items():
        before = await world.log(execution)
        with pytest.raises(ConflictError) as refused:
            await upgrade(world, execution)
        assert refused.value.code == code
        assert await world.log(execution) == before


@pytest.mark.parametrize("is_hot", [False, True], ids=["locked", "hot"])
async def test_a_workflow_that_is_held_by_a_run_is_taken_from_it_and_runs_on_the_current_code(
    world: World, is_hot: bool
) -> None:
    run = await world.workflow()
    if is_hot:
        await world.append(run.sleep(world.now, 1, world.now + 9))
    await world.allow(2, WORKFLOW, OTHER_DIGEST, on_upgrade="pin")
    await upgrade(world, run.execution_id)
    assert (await world.types(run.execution_id))[-2:] == ["unlocked", "component_upgraded"]
    (held,) = await world.lock(runnable=BOTH)
    assert held.locked.digest == OTHER_DIGEST
    with pytest.raises(VersionConflictError):
        await world.append(run.append(world.now, Finished(OK)))


async def test_an_upgrade_to_a_function_that_is_gone_is_outdated(world: World) -> None:
    execution = await pinned(world)
    await world.allow(3, ACTIVITY)
    with pytest.raises(ConflictError) as refused:
        await upgrade(world, execution)
    assert refused.value.code == "outdated"


async def test_a_run_that_an_upgrade_came_before_writes_nothing(world: World) -> None:
    run = await world.workflow()
    await world.allow(2, WORKFLOW, OTHER_DIGEST, on_upgrade="pin")
    await world.release(run)
    await upgrade(world, run.execution_id)
    with pytest.raises(VersionConflictError):
        await world.append(run.append(world.now, Finished(OK), failures=(failure(),)))
