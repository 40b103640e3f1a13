"""What has happened when somebody asks about a workflow that waits."""

from datetime import timedelta

from obelisk_daemon.ids import ExecutionId
from tests.building import ACTIVITY, DIGEST, WORKFLOW, RunScript
from tests.conformance.members import STUB, Members, answer, take_next, wait_for
from tests.golden.why.stage import LARGE, Stage, scene


@scene
async def a_delay(stage: Stage) -> ExecutionId:
    run = await stage.workflow()
    await wait_for(stage.world, run, Members(delays=[3_600]), keep=True)
    return run.execution_id


@scene
async def a_paused_delay(stage: Stage) -> ExecutionId:
    run = await stage.workflow()
    _, (delay,) = await wait_for(stage.world, run, Members(delays=[3_600]))
    await stage.world.store.set_delay_paused(delay, True)
    return run.execution_id


@scene
async def a_chain_of_children(stage: Stage) -> ExecutionId:
    run = await stage.workflow()
    await wait_for(stage.world, run, Members([WORKFLOW]))
    (held,) = await stage.world.lock(runnable={WORKFLOW: DIGEST})
    await wait_for(stage.world, RunScript(held), Members([ACTIVITY]))
    stage.executors = (LARGE,)
    stage.change(ACTIVITY, labels=("egress",))
    return run.execution_id


@scene
async def a_child_that_is_a_stub(stage: Stage) -> ExecutionId:
    run = await stage.workflow()
    await wait_for(stage.world, run, Members([STUB]), keep=True)
    return run.execution_id


@scene
async def the_next_of_several(stage: Stage) -> ExecutionId:
    run = await stage.workflow()
    await wait_for(stage.world, run, Members([ACTIVITY] * 12, [60, 30]), join_set="n:batch")
    await answer(stage.world, await stage.world.lock(runnable={ACTIVITY: DIGEST}, limit=2))
    (held,) = await stage.world.lock(runnable={WORKFLOW: DIGEST})
    again = RunScript(held)
    for taken in (1, 2):
        await take_next(stage.world, again, "n:batch", taken + 1)
    return run.execution_id


@scene
async def all_that_are_left_of_several(stage: Stage) -> ExecutionId:
    run = await stage.workflow()
    await wait_for(stage.world, run, Members([ACTIVITY] * 3), join_set="n:batch", needed=3)
    return run.execution_id


@scene
async def a_response_that_its_executor_takes(stage: Stage) -> ExecutionId:
    run = await stage.workflow()
    await wait_for(stage.world, run, Members(delays=[60]), keep=True)
    stage.world.clock.advance(timedelta(minutes=1))
    await stage.world.fire()
    stage.world.clock.advance(timedelta(seconds=1))
    return run.execution_id


@scene
async def blocked_and_its_function_is_gone(stage: Stage) -> ExecutionId:
    run = await stage.workflow()
    await wait_for(stage.world, run, Members([ACTIVITY]))
    del stage.functions[WORKFLOW]
    return run.execution_id
