"""Promises about code: the active generation decides which an execution runs on, whatever an executor believes."""

import msgspec
import pytest

from obelisk_daemon.execution.divergence import HOST_ABI
from obelisk_daemon.execution.events import ComponentUpgraded, Entry, Unlocked
from obelisk_daemon.execution.state import apply
from obelisk_daemon.ids import ExecutionId
from obelisk_daemon.storage.generations import AllowedFunction
from obelisk_daemon.storage.records import Append, Held
from tests.building import (
    ACTIVITY,
    DIGEST,
    EXECUTOR,
    OTHER_DIGEST,
    OTHER_EXECUTOR,
    THIRD_DIGEST,
    WORKFLOW,
    RunScript,
    created,
    execution_id,
    locked,
)
from tests.conformance.world import World

pytestmark = pytest.mark.anyio
POLICIES = ["latest", "replay", "pin", "force"]
ALL_CODE = [(WORKFLOW, DIGEST), (WORKFLOW, OTHER_DIGEST), (WORKFLOW, THIRD_DIGEST)]


# executors of an outdated generation


@pytest.mark.parametrize("policy", POLICIES)
async def test_of_1000_executions_an_outdated_executor_takes_none_until_it_is_brought_up_to_date(
    world: World, policy: str
) -> None:
    await world.submit_many([created(ACTIVITY if n % 10 else WORKFLOW, due_at=world.now - n) for n in range(1_000)])
    changed = AllowedFunction(OTHER_DIGEST, "fibo", policy)  # type: ignore[arg-type]
    await world.activate(2, {ACTIVITY: changed, WORKFLOW: DIGEST})
    outdated = {ACTIVITY: DIGEST, WORKFLOW: DIGEST}
    taken = await world.lock(limit=1_000, runnable=outdated, checked=False)
    assert [held.created.ffqn for held in taken] == [WORKFLOW] * 100
    assert await world.lock(limit=1_000, runnable=outdated, checked=False) == []
    shares = {EXECUTOR: 0, OTHER_EXECUTOR: 0}
    current = {ACTIVITY: OTHER_DIGEST, WORKFLOW: DIGEST}
    for _ in range(9):
        for executor in shares:
            held = await world.lock(limit=50, runnable=current, executor=executor, checked=False)
            assert {one.locked.digest for one in held} == {OTHER_DIGEST}
            shares[executor] += len(held)
    assert shares == {EXECUTOR: 450, OTHER_EXECUTOR: 450}
    assert await world.lock(runnable=current) == []


async def test_an_executor_takes_nothing_that_it_knows_by_other_settings_only(world: World) -> None:
    """Where it may connect to, say, or how long it may run: the code is the same, and labels tell nothing of it."""
    await world.submit_many([created(), created(WORKFLOW)])
    both = {ACTIVITY: AllowedFunction(DIGEST, "fibo"), WORKFLOW: AllowedFunction(DIGEST, "orders")}
    await world.activate(2, both)
    stricter = msgspec.structs.replace(both[ACTIVITY], settings="stricter")
    await world.activate(3, both | {ACTIVITY: stricter})
    await world.activate(4, both | {ACTIVITY: stricter})
    assert [held.created.ffqn for held in await world.lock(generation=2)] == [WORKFLOW]
    assert [held.created.ffqn for held in await world.lock(generation=3)] == [ACTIVITY]


async def test_settings_that_come_back_are_other_ones_than_those_between(world: World) -> None:
    await world.submit()
    for number, settings in ((2, "one"), (3, "two"), (4, "one")):
        await world.allow(number, settings=settings)
    assert await world.lock(generation=2) == []
    assert await world.lock(generation=3) == []
    assert len(await world.lock(generation=4)) == 1


async def call_of_its_own(world: World, digest: str = DIGEST) -> Append:
    """Have a workflow ask for a child that its executor locks for itself in the same transaction."""
    made = (await world.workflow()).call(world.now, 1, keep=True)
    (child,) = made.children
    entry = Entry(1, world.now, locked(77, digest=digest))
    child = msgspec.structs.replace(child, entries=(*child.entries, entry), state=apply(child.state, entry))
    return msgspec.structs.replace(made, children=(child,))


async def left_unlocked(world: World, made: Append) -> list[ExecutionId]:
    """Append, and give the children that were made but not locked."""
    ticket = world.store.append(made)
    await ticket.durable()
    await world.check()
    return list(ticket.left_unlocked)


async def test_a_child_that_its_executor_may_run_is_locked_as_it_is_made(world: World) -> None:
    made = await call_of_its_own(world)
    assert await left_unlocked(world, made) == []
    child = made.children[0].execution_id
    assert (await world.row(child)).status == "locked"
    assert await world.types(child) == ["created", "locked"]


async def test_a_child_that_an_outdated_executor_locks_is_made_and_left_to_others(world: World) -> None:
    made = await call_of_its_own(world)
    (child,) = made.children
    await world.activate(2, {ACTIVITY: OTHER_DIGEST, WORKFLOW: DIGEST})
    assert await left_unlocked(world, made) == [child.execution_id]
    row = await world.row(child.execution_id)
    assert (row.status, row.started_at, row.executor_id) == ("pending_at", None, None)
    assert world.states(child.execution_id)[-1].is_held is False
    held = Held(child.execution_id, locked(77), child.created, world.now, child.state)
    await world.release(RunScript(held))  # as its executor does with the run that it had made for it
    (taken,) = await world.lock(executor=OTHER_EXECUTOR, runnable={ACTIVITY: OTHER_DIGEST})
    assert (taken.execution_id, taken.locked.digest) == (child.execution_id, OTHER_DIGEST)


async def test_a_child_that_is_locked_on_code_that_is_not_allowed_is_left_to_others(world: World) -> None:
    made = await call_of_its_own(world, OTHER_DIGEST)
    assert await left_unlocked(world, made) == [made.children[0].execution_id]


async def test_a_child_is_left_to_others_where_its_executor_does_not_know_what_else_is_required_now(
    world: World,
) -> None:
    """The code is the same, but a label is required since, or a limit counted, that its executor has not looked at."""
    made = await call_of_its_own(world)
    await world.activate(2, {ACTIVITY: AllowedFunction(DIGEST, "fibo", labels=("gpu",)), WORKFLOW: DIGEST})
    assert await left_unlocked(world, made) == [made.children[0].execution_id]


# policies


async def started(world: World, *numbers: int) -> ExecutionId:
    """Have workflows run once on the first code, and give them up."""
    for number in numbers or (1,):
        await world.submit(created(WORKFLOW), number)
    for held in await world.lock():
        await world.release(RunScript(held))
    return execution_id(1)


@pytest.mark.parametrize("policy", POLICIES)
async def test_what_was_never_started_runs_on_the_current_code_whatever_the_policy(world: World, policy: str) -> None:
    submitted = await world.submit(created(WORKFLOW))
    await world.allow(2, WORKFLOW, OTHER_DIGEST, on_upgrade=policy)
    assert await world.lock(runnable=[(WORKFLOW, DIGEST)]) == []
    (held,) = await world.lock(runnable=ALL_CODE)
    assert (held.locked.digest, held.locked.upgrade_from) == (OTHER_DIGEST, None)
    assert (await world.row(submitted)).digest == OTHER_DIGEST


@pytest.mark.parametrize("policy", ["latest", "force"])
async def test_what_was_started_moves_to_the_current_code_at_once(world: World, policy: str) -> None:
    execution = await started(world)
    await world.allow(2, WORKFLOW, OTHER_DIGEST, on_upgrade=policy)
    assert await world.lock(runnable=[(WORKFLOW, DIGEST)]) == []
    (held,) = await world.lock(runnable=ALL_CODE)
    assert (held.locked.digest, held.locked.upgrade_from) == (OTHER_DIGEST, None)
    assert (await world.row(execution)).digest == OTHER_DIGEST


async def test_what_is_pinned_stays_on_the_code_it_began_with(world: World) -> None:
    execution = await started(world)
    await world.allow(2, WORKFLOW, OTHER_DIGEST, on_upgrade="pin")
    assert await world.lock(runnable=[(WORKFLOW, OTHER_DIGEST)]) == []
    (held,) = await world.lock(runnable=ALL_CODE)
    assert (held.locked.digest, held.locked.upgrade_from) == (DIGEST, None)
    assert (await world.row(execution)).digest == DIGEST


async def trial(world: World, execution: ExecutionId, *, ok: bool) -> Held:
    """Lock an execution for a trial of the current code, and end the run as the trial does."""
    (held,) = await world.lock(runnable=ALL_CODE)
    assert held.execution_id == execution
    assert held.locked.upgrade_from is not None
    upgraded = ComponentUpgraded(ok, held.locked.digest, HOST_ABI, None if ok else 3, None if ok else "another call")
    await world.append(RunScript(held).append(world.now, upgraded, Unlocked("x", world.now)))
    return held


async def test_a_trial_says_which_code_the_execution_is_on_until_its_log_replays(world: World) -> None:
    execution = await started(world)
    await world.allow(2, WORKFLOW, OTHER_DIGEST, on_upgrade="replay")
    assert await world.lock(runnable=[(WORKFLOW, DIGEST)]) == []
    (held,) = await world.lock(runnable=ALL_CODE)
    assert (held.locked.digest, held.locked.upgrade_from) == (OTHER_DIGEST, DIGEST)
    assert (await world.row(execution)).digest == DIGEST
    await world.release(RunScript(held))
    assert (await world.row(execution)).digest == DIGEST
    await trial(world, execution, ok=True)
    assert (await world.row(execution)).digest == OTHER_DIGEST
    (held,) = await world.lock(runnable=ALL_CODE)
    assert (held.locked.digest, held.locked.upgrade_from) == (OTHER_DIGEST, None)


async def test_what_diverged_stays_where_it_was_and_is_not_tried_again(world: World) -> None:
    execution = await started(world)
    await world.allow(2, WORKFLOW, OTHER_DIGEST, on_upgrade="replay")
    await trial(world, execution, ok=False)
    assert await world.store.reads.failed_on(execution, OTHER_DIGEST, HOST_ABI) == (3, "another call")
    assert await world.store.reads.failed_on(execution, DIGEST, HOST_ABI) is None
    assert await world.lock(runnable=[(WORKFLOW, OTHER_DIGEST)]) == []
    (held,) = await world.lock(runnable=ALL_CODE)
    assert (held.locked.digest, held.locked.upgrade_from) == (DIGEST, None)
    assert (await world.row(execution)).digest == DIGEST


async def test_a_divergence_says_nothing_of_another_version_of_the_host(world: World) -> None:
    execution = await started(world)
    await world.allow(2, WORKFLOW, OTHER_DIGEST, on_upgrade="replay")
    await trial(world, execution, ok=False)
    (held,) = await world.lock(runnable=ALL_CODE, abi=HOST_ABI + 1)
    assert (held.locked.digest, held.locked.upgrade_from) == (OTHER_DIGEST, DIGEST)


async def test_each_execution_is_tried_for_itself(world: World) -> None:
    first, second = await started(world, 1, 2), execution_id(2)
    await world.allow(2, WORKFLOW, OTHER_DIGEST, on_upgrade="replay")
    for held in await world.lock(runnable=ALL_CODE):
        diverges = held.execution_id == first
        upgraded = ComponentUpgraded(not diverges, OTHER_DIGEST, HOST_ABI)
        await world.append(RunScript(held).append(world.now, upgraded, Unlocked("x", world.now)))
    found = {held.execution_id: held.locked.digest for held in await world.lock(runnable=ALL_CODE)}
    assert found == {first: DIGEST, second: OTHER_DIGEST}


async def test_an_execution_goes_through_several_codes_and_back_again(world: World) -> None:
    execution = await started(world)
    await world.allow(2, WORKFLOW, OTHER_DIGEST, on_upgrade="replay")
    await trial(world, execution, ok=False)
    await world.allow(3, WORKFLOW, THIRD_DIGEST, on_upgrade="replay")
    assert (await trial(world, execution, ok=True)).locked.upgrade_from == DIGEST
    await world.allow(4, WORKFLOW, OTHER_DIGEST, on_upgrade="replay")
    (held,) = await world.lock(runnable=ALL_CODE)
    assert (held.locked.digest, held.locked.upgrade_from) == (THIRD_DIGEST, None)  # it diverged there already
    await world.release(RunScript(held))
    await world.allow(5, WORKFLOW, DIGEST, on_upgrade="replay")
    assert (await trial(world, execution, ok=True)).locked.upgrade_from == THIRD_DIGEST
    await world.allow(6, WORKFLOW, OTHER_DIGEST, on_upgrade="force")
    (held,) = await world.lock(runnable=ALL_CODE)
    assert (held.locked.digest, held.locked.upgrade_from) == (OTHER_DIGEST, None)


async def test_a_workflow_that_waits_for_its_child_moves_when_the_answer_comes(world: World) -> None:
    run = await world.workflow()
    await world.append(run.sleep(world.now, 1, world.now, keep=False))
    await world.allow(2, WORKFLOW, OTHER_DIGEST, on_upgrade="replay")
    assert await world.lock(runnable=ALL_CODE) == []
    await world.fire()
    (held,) = await world.lock(runnable=ALL_CODE)
    assert (held.locked.digest, held.locked.upgrade_from) == (OTHER_DIGEST, DIGEST)


async def test_a_change_of_the_policy_holds_for_what_was_left_behind(world: World) -> None:
    execution = await started(world)
    await world.allow(2, WORKFLOW, OTHER_DIGEST, on_upgrade="pin")
    (held,) = await world.lock(runnable=ALL_CODE)
    await world.release(RunScript(held))
    await world.allow(3, WORKFLOW, OTHER_DIGEST, on_upgrade="replay")
    assert (await trial(world, execution, ok=True)).locked.upgrade_from == DIGEST
