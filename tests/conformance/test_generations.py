"""Promises about accepted manifests: their history, who may add to it, and what is unfinished under them."""

import re

import msgspec
import pytest

from obelisk_daemon.clock import Instant
from obelisk_daemon.errors import CallerError, ConflictError
from obelisk_daemon.execution.divergence import HOST_ABI
from obelisk_daemon.execution.events import ComponentUpgraded, Finished, Paused, Unlocked
from obelisk_daemon.ids import ExecutionId, FailureId
from obelisk_daemon.storage.generations import (
    AllowedFunction,
    Generation,
    GenerationRow,
    Proposal,
    QueueLimit,
    StoredComponent,
    WorkInProgress,
)
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
    new_execution,
)
from tests.conformance.world import World

pytestmark = pytest.mark.anyio
OLDEST = 1 << 62
HOSTS = ("here", "there")


def generation(number: int, **changes: object) -> Generation:
    made = Generation(
        number=number,
        activated_at=Instant(number),
        manifest=f"manifest {number}".encode(),
        content_hash=f"hash {number}",
        allowed={ACTIVITY: AllowedFunction(DIGEST, "fibo", "latest", ("eu", "gpu"), 7)},
        components={"fibo": DIGEST},
        limits={"fibo": QueueLimit(1, 2, "evict-oldest"), "": QueueLimit(None, 5)},
    )
    return msgspec.structs.replace(made, **changes)


# history


async def test_a_generation_comes_back_with_all_that_it_allows_and_limits(world: World) -> None:
    second = generation(2, cause="reload")
    await world.store.activate(second, [])
    assert await world.store.active_generation() == second


async def test_an_older_generation_comes_back_with_its_manifest_and_its_components(world: World) -> None:
    await world.store.activate(generation(2), [])
    code = StoredComponent(OTHER_DIGEST, b"code")
    await world.store.activate(generation(3, components={"fibo": OTHER_DIGEST}), [code])
    older = await world.store.generation(2)
    assert older == generation(2, allowed={}, limits={})
    assert await world.store.generation(4) is None


async def test_the_history_is_read_newest_first_in_pages(world: World) -> None:
    await world.store.activate(generation(2, cause="file"), [])
    await world.store.activate(generation(3, cause="rollback", restored=1), [])
    rows = await world.store.generations(OLDEST, 2)
    assert rows == [
        GenerationRow(3, Instant(3), "hash 3", "rollback", 1),
        GenerationRow(2, Instant(2), "hash 2", "file", None),
    ]
    assert [row.number for row in await world.store.generations(2, 2)] == [1]


@pytest.mark.parametrize("number", [1, 2, 4])
async def test_a_generation_that_does_not_follow_the_active_one_leaves_nothing(world: World, number: int) -> None:
    await world.store.activate(generation(2), [], ("here", "file 2"))
    late = generation(number, allowed={}, limits={})
    with pytest.raises(ConflictError) as refused:
        await world.store.activate(late, [StoredComponent(OTHER_DIGEST, b"code")], ("here", "file 3"))
    assert refused.value.code == "generation_conflict"
    assert await world.store.active_generation() == generation(2)
    assert await world.store.component_code(OTHER_DIGEST) is None
    assert await world.store.proposal("here") == Proposal("file 2", 2)
    assert len(await world.store.generations(OLDEST, 10)) == 2


async def test_each_host_has_the_last_file_of_its_own_that_became_a_generation(world: World) -> None:
    assert await world.store.proposal("here") is None
    await world.store.activate(generation(2), [], ("here", "one"))
    await world.store.activate(generation(3), [], ("there", "two"))
    assert (await world.store.proposal("here"), await world.store.proposal("there")) == (
        Proposal("one", 2),
        Proposal("two", 3),
    )
    await world.store.activate(generation(4), [], ("here", "three"))
    assert (await world.store.proposal("here"), await world.store.proposal("there")) == (
        Proposal("three", 4),
        Proposal("two", 3),
    )


async def test_a_generation_that_comes_of_no_file_leaves_the_last_file_alone(world: World) -> None:
    await world.store.activate(generation(2), [], ("here", "one"))
    await world.store.activate(generation(3, cause="rollback", restored=1), [])
    assert await world.store.proposal("here") == Proposal("one", 2)


async def test_a_hosts_file_that_is_active_already_is_noted_and_makes_no_generation(world: World) -> None:
    await world.store.activate(generation(2), [], ("here", "one"))
    await world.store.note_proposal("here", Proposal("two", 1))
    assert await world.store.proposal("here") == Proposal("two", 1)
    assert [row.number for row in await world.store.generations(OLDEST, 10)] == [2, 1]


async def test_code_is_kept_once_however_often_it_is_activated(world: World) -> None:
    await world.store.activate(generation(2), [StoredComponent(DIGEST, b"other bytes")])
    assert await world.store.component_code(DIGEST) == DIGEST.encode()


async def test_limits_of_a_generation_before_are_gone(world: World) -> None:
    await world.store.activate(generation(2), [])
    await world.store.activate(generation(3, limits={}), [])
    active = await world.store.active_generation()
    assert active is not None
    assert active.limits == {}


# what is unfinished


async def three_states(world: World) -> None:
    """Have one activity wait, one run, one have ended, and a workflow be blocked."""
    await world.submit(number=1)
    (running,) = await world.lock()
    await world.submit(number=2)
    (ending,) = await world.lock()
    await world.append(RunScript(ending).append(world.now, Finished(OK)))
    run = await world.workflow(3)
    await world.append(run.sleep(world.now, 1, world.now + 9))
    await world.submit(number=4)
    assert running.execution_id == execution_id(1)


async def test_what_is_unfinished_is_counted_by_function_and_code_and_if_it_was_started(world: World) -> None:
    await three_states(world)
    assert sorted(await world.store.work_in_progress(), key=lambda one: one.ffqn) == [
        WorkInProgress(ACTIVITY, "fibo", DIGEST, unfinished=2, started=1),
        WorkInProgress(WORKFLOW, "fibo", DIGEST, unfinished=1, started=1),
    ]


async def test_the_unfinished_of_a_function_are_read_by_id_in_pages(world: World) -> None:
    await three_states(world)
    assert await world.store.unfinished_of(ACTIVITY, "", 10) == [execution_id(1), execution_id(4)]
    assert await world.store.unfinished_of(ACTIVITY, "", 1) == [execution_id(1)]
    assert await world.store.unfinished_of(ACTIVITY, execution_id(1), 10) == [execution_id(4)]
    assert await world.store.unfinished_of("testing:gone/gone.gone", "", 10) == []


async def test_only_what_was_started_on_other_code_is_found(world: World) -> None:
    await three_states(world)
    other = await world.workflow(5)
    await world.cancel(other.execution_id)
    await world.submit(created(WORKFLOW), 6)
    assert await world.store.started_on_other_code(WORKFLOW, OTHER_DIGEST, 10) == [(execution_id(3), DIGEST)]
    assert await world.store.started_on_other_code(WORKFLOW, DIGEST, 10) == []
    assert await world.store.started_on_other_code(ACTIVITY, OTHER_DIGEST, 1) == [(execution_id(1), DIGEST)]


async def test_functions_with_unfinished_executions_go_only_when_that_is_wished(world: World) -> None:
    await three_states(world)
    before = await world.store.active_generation()
    with pytest.raises(ConflictError) as conflict:
        await world.store.activate(generation(2), [StoredComponent(THIRD_DIGEST, b"code")])
    assert conflict.value.code == "strands_work"
    assert await world.store.active_generation() == before
    assert await world.store.component_code(THIRD_DIGEST) is None
    await world.store.activate(generation(2), [], strands=True)


async def test_a_submission_of_a_function_that_has_gone_is_refused(world: World) -> None:
    await world.allow(2, WORKFLOW)
    with pytest.raises(CallerError, match=re.escape(ACTIVITY)) as refused:
        await world.store.submit(new_execution(created()))
    assert refused.value.code == "function_not_found"


async def test_an_execution_goes_with_its_function_to_another_component(world: World) -> None:
    await three_states(world)
    await world.activate(2, {ACTIVITY: AllowedFunction(DIGEST, "renamed"), WORKFLOW: DIGEST})
    work = {one.ffqn: one.component for one in await world.store.work_in_progress()}
    assert work == {ACTIVITY: "renamed", WORKFLOW: "fibo"}
    assert (await world.row(execution_id(2))).component == "fibo"  # it had ended


async def test_the_functions_settings_cost_no_look_at_what_is_unfinished(world: World) -> None:
    """A generation that changes neither a priority nor a component leaves every row alone, however many there are."""
    await world.submit_many([created()] * 10)
    few, _ = await world.steps(world.allow(2, labels=("gpu",)))
    await world.submit_many([created()] * 1_000, first=11)
    many, _ = await world.steps(world.allow(3, labels=("eu",)))
    assert many <= few + 50


# automatic pauses


async def pause_on(world: World, number: int, reason: str, digest: str = DIGEST) -> ExecutionId:
    """Have a workflow pause since its code could not go on."""
    run = await world.workflow(number)
    event = Paused(reason, FailureId(f"Err_{number}"), digest, "why")  # type: ignore[arg-type]
    await world.append(run.append(world.now, event))
    return run.execution_id


@pytest.mark.parametrize("reason", ["nondeterminism", "trap"])
@pytest.mark.parametrize("policy", ["replay", "force", "latest", "pin"])
async def test_an_automatic_pause_may_be_lifted_by_other_code_unless_the_execution_is_pinned(
    world: World, reason: str, policy: str
) -> None:
    paused = await pause_on(world, 1, reason)
    assert await world.store.reads.failed_on(paused, DIGEST, HOST_ABI) == (None, "why")
    assert await world.store.liftable(HOST_ABI) == []
    await world.allow(2, WORKFLOW, OTHER_DIGEST, on_upgrade=policy)
    assert (await world.row(paused)).lifecycle == ("paused" if policy == "pin" else "active")
    assert await world.store.reads.automatic_pauses() == ({reason: 1} if policy == "pin" else {})


async def test_a_pause_is_not_lifted_by_other_settings_of_the_same_code(world: World) -> None:
    await pause_on(world, 1, "trap")
    await world.allow(2, WORKFLOW, DIGEST, on_upgrade="force", labels=("gpu",), priority=9)
    assert await world.store.liftable(HOST_ABI) == []


async def test_a_pause_is_not_lifted_by_code_on_which_the_execution_failed_before(world: World) -> None:
    run = await world.workflow()
    failed = ComponentUpgraded(False, OTHER_DIGEST, HOST_ABI, 3, "another call")
    await world.append(run.append(world.now, failed, Unlocked("upgrade_failed", world.now)))
    (held,) = await world.lock()
    pause = Paused("nondeterminism", FailureId("Err_1"), DIGEST, "why")
    await world.append(RunScript(held).append(world.now, pause))
    await world.allow(2, WORKFLOW, OTHER_DIGEST, on_upgrade="replay")
    assert await world.store.liftable(HOST_ABI) == []
    assert await world.store.liftable(HOST_ABI + 1) == [run.execution_id]
    await world.allow(3, WORKFLOW, THIRD_DIGEST, on_upgrade="replay")
    assert (await world.row(run.execution_id)).lifecycle == "active"


async def test_an_operators_pause_is_nobody_elses_to_lift(world: World) -> None:
    run = await world.workflow()
    await world.store.pause(run.execution_id, world.now)
    await world.allow(2, WORKFLOW, OTHER_DIGEST, on_upgrade="replay")
    assert await world.store.liftable(HOST_ABI) == []
    assert await world.store.reads.automatic_pauses() == {}


async def test_a_pause_of_a_function_that_is_gone_stays(world: World) -> None:
    await pause_on(world, 1, "nondeterminism")
    await world.allow(2, ACTIVITY)
    assert await world.store.liftable(HOST_ABI) == []
