"""What has happened when somebody asks about an execution that is to be run next."""

from datetime import timedelta

from msgspec.structs import replace

from obelisk_daemon.execution.divergence import HOST_ABI
from obelisk_daemon.execution.events import ComponentUpgraded, Unlocked
from obelisk_daemon.executor.children import NEVER
from obelisk_daemon.ids import ExecutionId
from tests.building import ACTIVITY, DIGEST, OTHER_DIGEST, WORKFLOW, RunScript, created
from tests.conformance.members import STUB, Members, wait_for
from tests.golden.why.stage import DEFAULT, LARGE, Stage, scene

DIVERGED = "at version 12: expected a call of testing:fibo/fibo.fibo, got a delay of 60s"


@scene
async def its_function_is_gone(stage: Stage) -> ExecutionId:
    known = await stage.world.submit()
    del stage.functions[ACTIVITY]
    return known


@scene
async def a_stub(stage: Stage) -> ExecutionId:
    return await stage.world.submit(created(STUB, due_at=NEVER))


@scene
async def a_stub_that_is_gone(stage: Stage) -> ExecutionId:
    known = await stage.world.submit(created(STUB, due_at=NEVER))
    del stage.functions[STUB]
    return known


@scene
async def a_stub_that_is_an_activity_now(stage: Stage) -> ExecutionId:
    known = await stage.world.submit(created(STUB, due_at=NEVER))
    stage.change(STUB, kind="activity")
    return known


@scene
async def no_executor_offers_its_labels(stage: Stage) -> ExecutionId:
    return await stage.world.submit(created(labels=("arm", "gpu")))


@scene
async def no_executor_offers_all_of_its_labels(stage: Stage) -> ExecutionId:
    stage.change(ACTIVITY, labels=("cpu", "eu"))
    stage.executors = (DEFAULT, replace(LARGE, labels=("cpu",)), replace(LARGE, name="small", labels=()))
    return await stage.world.submit()


@scene
async def outdated_code_that_it_stays_on(stage: Stage) -> ExecutionId:
    run = await stays(stage)
    await stage.activate(older=(DIGEST,))
    stage.change(WORKFLOW, max_running=1)
    stage.executors = (DEFAULT,)
    return run.execution_id


async def stays(stage: Stage) -> RunScript:
    """A workflow whose log did not replay on other code."""
    run = await stage.workflow()
    await stage.adds(
        run,
        ComponentUpgraded(False, OTHER_DIGEST, HOST_ABI, 12, DIVERGED),
        Unlocked("upgrade_failed", stage.world.now),
    )
    return run


@scene
async def outdated_code_that_it_is_pinned_to(stage: Stage) -> ExecutionId:
    run = await stage.workflow()
    await wait_for(stage.world, run, Members(delays=[60]))
    await stage.activate(on_upgrade="pin", older=(DIGEST,))
    return run.execution_id


@scene
async def outdated_code_that_could_not_be_loaded(stage: Stage) -> ExecutionId:
    run = await stays(stage)
    await stage.activate()
    return run.execution_id


@scene
async def its_component_runs_as_much_as_it_may(stage: Stage) -> ExecutionId:
    stage.change(ACTIVITY, max_running=3)
    for number in range(1, 4):
        await stage.world.start(number=number)
    return await stage.world.submit(number=4)


@scene
async def no_slot_is_free(stage: Stage) -> ExecutionId:
    stage.executors = tuple(replace(one, running=one.max_running) for one in stage.executors)
    for number in range(1, 3):
        await stage.world.submit(number=number)
    return await stage.world.submit(number=3)


@scene
async def due(stage: Stage) -> ExecutionId:
    known = await stage.world.submit()
    stage.world.clock.advance(timedelta(milliseconds=20))
    return known


@scene
async def the_daemon_stops(stage: Stage) -> ExecutionId:
    stage.not_ready = "stopping"
    return await stage.world.submit()


@scene
async def the_disk_is_full(stage: Stage) -> ExecutionId:
    stage.disk_full = True
    return await stage.world.submit()
