"""What has happened when somebody asks about an execution that ended, runs, or is paused or being cancelled."""

from datetime import timedelta
from typing import Any

from obelisk_daemon.execution.events import Finished, Paused, TemporarilyFailed, TemporarilyTimedOut
from obelisk_daemon.execution.outcome import Failed, Returned
from obelisk_daemon.execution.suspicion import Suspicion, quarantine
from obelisk_daemon.ids import ExecutionId, FailureId
from tests.building import DIGEST, OK, OTHER_DIGEST, WORKFLOW, RunScript, created, failure
from tests.conformance.members import Members, wait_for
from tests.golden.why.stage import LARGE, Stage, scene

DIVERGED = "at version 12: expected a call of testing:fibo/fibo.fibo, got a delay of 60s"


@scene
async def finished_with_a_result(stage: Stage) -> ExecutionId:
    run = await stage.world.start()
    await stage.adds(run, Finished(OK))
    return run.execution_id


@scene
async def finished_with_an_error(stage: Stage) -> ExecutionId:
    run = await stage.world.start()
    recorded = failure()
    await stage.adds(run, Finished(Returned({"err": "no"}), recorded.failure_id), failures=(recorded,))
    stage.world.clock.advance(timedelta(days=2, hours=3, minutes=4))
    return run.execution_id


@scene
async def finished_as_a_failure(stage: Stage) -> ExecutionId:
    run = await stage.world.start()
    recorded = failure()
    await stage.adds(run, Finished(Failed("trap", recorded.failure_id, recorded.message)), failures=(recorded,))
    return run.execution_id


@scene
async def an_activity_that_runs(stage: Stage) -> ExecutionId:
    run = await stage.world.start()
    stage.world.clock.advance(timedelta(seconds=1.5))
    return run.execution_id


@scene
async def a_workflow_that_runs_on_another_host(stage: Stage) -> ExecutionId:
    stage.executors = (LARGE,)
    return (await stage.workflow()).execution_id


@scene
async def a_workflow_that_tries_other_code(stage: Stage) -> ExecutionId:
    run = await stage.workflow()
    await stage.world.release(run)
    await stage.activate()
    await stage.world.lock(runnable={WORKFLOW: OTHER_DIGEST})
    return run.execution_id


@scene
async def not_due(stage: Stage) -> ExecutionId:
    return await stage.world.submit(created(due_at=stage.soon(hours=1, seconds=5)))


@scene
async def between_attempts(stage: Stage) -> ExecutionId:
    run = await stage.world.start()
    recorded = failure()
    failed = TemporarilyFailed(1, "wasm trap: unreachable", stage.soon(minutes=2), "trap", recorded.failure_id)
    await stage.adds(run, failed, failures=(recorded,))
    return run.execution_id


@scene
async def after_an_attempt_that_took_too_long(stage: Stage) -> ExecutionId:
    run = await stage.world.start()
    await stage.adds(run, TemporarilyTimedOut(1, "timeout", stage.soon(milliseconds=200)))
    return run.execution_id


@scene
async def after_its_daemon_died(stage: Stage) -> ExecutionId:
    run = await stage.world.start()
    await stage.adds(run, TemporarilyTimedOut(1, "lost", stage.soon(seconds=1)))
    return run.execution_id


@scene
async def a_workflow_whose_daemon_died(stage: Stage) -> ExecutionId:
    run = await stage.workflow()
    await stage.world.release(run, reason="lost")
    return run.execution_id


@scene
async def quarantined(stage: Stage) -> ExecutionId:
    run = await stage.world.start()
    lost = TemporarilyTimedOut(4, "lost", stage.soon(seconds=1))
    await stage.adds(run, lost, quarantine(Suspicion(turns=5, deaths=3)))
    return run.execution_id


@scene
async def paused_and_resumed_between_attempts(stage: Stage) -> ExecutionId:
    run = await stage.world.start()
    await stage.adds(run, TemporarilyTimedOut(1, "lost", stage.soon(minutes=1)))
    await stage.world.store.pause(run.execution_id, stage.world.now)
    await stage.world.store.unpause(run.execution_id, stage.world.now, "operator")
    return run.execution_id


@scene
async def given_up_by_its_executor(stage: Stage) -> ExecutionId:
    run = await stage.workflow()
    await stage.world.release(run, reason="storage_failed", wait=timedelta(seconds=1))
    return run.execution_id


@scene
async def paused_by_an_operator(stage: Stage) -> ExecutionId:
    known = await stage.world.submit()
    await stage.world.store.pause(known, stage.world.now)
    stage.world.clock.advance(timedelta(minutes=3))
    return known


@scene
async def paused_with_more_in_its_way(stage: Stage) -> ExecutionId:
    known = await stage.world.submit(created(due_at=stage.soon(days=1), labels=("arm",)))
    await stage.world.store.pause(known, stage.world.now)
    return known


async def pauses_itself(stage: Stage, **event: Any) -> RunScript:
    run = await stage.workflow()
    paused = Paused(**{"reason": "nondeterminism", "digest": DIGEST, "message": DIVERGED, **event})
    await stage.adds(run, paused)
    return run


@scene
async def paused_since_the_current_code_diverges(stage: Stage) -> ExecutionId:
    run = await stage.workflow()
    recorded = failure(kind="nondeterminism", message=DIVERGED)
    paused = Paused("nondeterminism", recorded.failure_id, DIGEST, DIVERGED)
    await stage.adds(run, paused, failures=(recorded,))
    return run.execution_id


@scene
async def paused_since_its_workflow_trapped(stage: Stage) -> ExecutionId:
    run = await pauses_itself(stage, reason="trap", message="wasm trap: unreachable", failure_id=FailureId("Err_x"))
    return run.execution_id


@scene
async def paused_on_former_code(stage: Stage) -> ExecutionId:
    run = await pauses_itself(stage)
    await stage.activate(on_upgrade="pin")
    return run.execution_id


@scene
async def paused_on_former_code_and_on_the_current_one(stage: Stage) -> ExecutionId:
    run = await pauses_itself(stage)
    await stage.activate()
    (held,) = await stage.world.lock(runnable={WORKFLOW: OTHER_DIGEST})
    await stage.adds(RunScript(held), Paused("nondeterminism", None, OTHER_DIGEST, "at version 3: expected a, got b"))
    await stage.activate(3, digest=DIGEST)
    return run.execution_id


@scene
async def paused_and_its_function_is_gone(stage: Stage) -> ExecutionId:
    run = await pauses_itself(stage)
    del stage.functions[WORKFLOW]
    return run.execution_id


@scene
async def cancelled_while_it_runs(stage: Stage) -> ExecutionId:
    run = await stage.workflow()
    await stage.world.cancel(run.execution_id)
    return run.execution_id


@scene
async def cancelled_and_waiting_for_a_workflow(stage: Stage) -> ExecutionId:
    run = await stage.workflow()
    await wait_for(stage.world, run, Members([WORKFLOW]))
    await stage.world.lock(runnable={WORKFLOW: DIGEST})
    await stage.world.cancel(run.execution_id)
    return run.execution_id


@scene
async def cancelled_and_waiting_for_several(stage: Stage) -> ExecutionId:
    run = await stage.workflow()
    (first, *_), _ = await wait_for(stage.world, run, Members([WORKFLOW, WORKFLOW, WORKFLOW]))
    await stage.world.cancel(run.execution_id)
    await stage.world.cancel(first)
    return run.execution_id


@scene
async def cancelled_with_a_child_that_is_being_cancelled(stage: Stage) -> ExecutionId:
    run = await stage.workflow()
    (child,), _ = await wait_for(stage.world, run, Members([WORKFLOW]))
    (held,) = await stage.world.lock(runnable={WORKFLOW: DIGEST})
    await wait_for(stage.world, RunScript(held), Members([WORKFLOW]))
    for known in (run.execution_id, child):
        await stage.world.cancel(known)
    return run.execution_id
