"""A running daemon takes other settings over: what runs and what is in memory stays, and the settings hold."""

from datetime import timedelta

import msgspec
import pytest

from obelisk_daemon.execution.outcome import Failed
from obelisk_daemon.ids import ExecutionId, RunId, child_id
from tests.building import OK, execution_id
from tests.fakes.clock import ManualClock
from tests.integration.executor.engine import Daemon, Lab
from tests.integration.executor.uses import FIBO, FIBOA, QUICK, REACHING, Use, plan_of

pytestmark = pytest.mark.anyio
RUN = "testing:fibo/workflow.fiboa"
NAP = "testing:sleeper/sleeper.nap"
SPIN = "testing:faults/faults.spin"
ELSEWHERE = msgspec.structs.replace(FIBO, labels=frozenset({"elsewhere"}))
ONCE = msgspec.structs.replace(QUICK, max_retries=0)


async def sleepers(daemon: Daemon, count: int) -> list[ExecutionId]:
    """Have workflows sleep for a minute, in memory."""
    ids = [await daemon.submit(NAP, 60_000, number=number) for number in range(1, count + 1)]
    for execution in ids:
        await daemon.waiting(execution)
    await daemon.settled(lambda: daemon.executor.running == 0)
    return ids


async def runs(daemon: Daemon, ids: list[ExecutionId]) -> list[RunId]:
    return [daemon.members[0]._runs[execution].run_id for execution in ids]


async def test_other_settings_leave_workflows_in_memory(still: Lab, clock: ManualClock) -> None:
    async with still.daemon(Use("sleeper")) as daemon:
        ids = await sleepers(daemon, 3)
        before = await runs(daemon, ids)
        await daemon.adopt(Use("sleeper", on_trap="pause", on_block="unload", labels=frozenset({"elsewhere"})))
        assert await runs(daemon, ids) == before
        clock.advance(timedelta(minutes=1))
        daemon.look_at_the_clock()
        for execution in ids:
            await daemon.result(execution)
            assert (await daemon.types(execution)).count("locked") == 1


async def test_code_of_another_component_leaves_workflows_in_memory(still: Lab) -> None:
    async with still.daemon(FIBO, FIBOA, Use("sleeper")) as daemon:
        ids = await sleepers(daemon, 3)
        before = await runs(daemon, ids)
        await daemon.adopt(Use("fibo-activity+1"), Use("fiboa-changed"), Use("sleeper"))
        assert await runs(daemon, ids) == before


def replayed(name: str, **settings: object) -> Use:
    return msgspec.structs.replace(FIBOA, name=name, component="fiboa", on_upgrade="replay", **settings)


async def adopting_while_it_computes(lab: Lab, daemon: Daemon, *uses: Use) -> ExecutionId:
    """Run a workflow, and adopt plans one after the other in the moment of its first answer, which it has not left."""
    plans = [plan_of(lab.linked, [REACHING, use], 1) for use in uses]
    first = child_id(execution_id(), "o:1", 1)

    def adopt(change: object) -> None:
        if getattr(change, "status", None) == "finished" and getattr(change, "execution_id", None) == first:
            for plan in plans:
                daemon.executor.adopt(plan, {"default": ((), 10)})

    daemon.store.subscribe(adopt)
    return await daemon.submit(RUN, 10, 3)


async def test_code_that_is_back_before_a_workflow_blocks_leaves_it_in_memory(lab: Lab) -> None:
    async with lab.daemon(REACHING, replayed("fibo-workflow")) as daemon:
        execution = await adopting_while_it_computes(
            lab, daemon, replayed("fibo-workflow+1"), replayed("fibo-workflow")
        )
        assert await daemon.result(execution) == OK
        assert (await daemon.types(execution)).count("locked") == 1


async def test_other_settings_do_not_undo_that_a_workflow_is_to_leave_memory_for_other_code(lab: Lab) -> None:
    async with lab.daemon(REACHING, replayed("fibo-workflow")) as daemon:
        execution = await adopting_while_it_computes(
            lab, daemon, replayed("fibo-workflow+1"), replayed("fibo-workflow+1", max_hot=7)
        )
        row = await daemon.until(lambda: daemon.row(execution), lambda row: row.executor_id is None and row.version > 2)
        assert row.version == 8  # it has asked for its second call, and left memory there


async def test_a_component_with_another_name_takes_its_workflows_out_of_memory_and_on(still: Lab) -> None:
    """What is counted and kept by component would else go on under the name that is gone."""
    async with still.daemon(Use("sleeper")) as daemon:
        (execution,) = await sleepers(daemon, 1)
        await daemon.adopt(Use("sleeper", component="renamed"))
        await daemon.settled(lambda: daemon.executor.hot == 0)
        row = await daemon.row(execution)
        assert (row.component, row.status, row.executor_id) == ("renamed", "blocked", None)


async def test_of_too_many_in_memory_those_that_wait_longest_leave_when_fewer_may_stay(still: Lab) -> None:
    async with still.daemon(Use("sleeper")) as daemon:
        ids = await sleepers(daemon, 5)
        await daemon.adopt(Use("sleeper", max_hot=2))
        await daemon.settled(lambda: len(daemon.members[0]._runs) == 2)
        assert daemon.executor.hot == 2
        assert [(await daemon.row(execution)).status for execution in ids] == ["blocked"] * 5


async def test_what_a_trap_leads_to_is_decided_by_the_settings_of_then(lab: Lab) -> None:
    """`logging` calls the activity, and spins: its fuel ends."""
    guest = Use("logging", fuel=10**6)
    async with lab.daemon(ELSEWHERE, guest) as daemon:
        execution = await daemon.submit("testing:logging/logging.run", 1, True)
        await daemon.waiting(execution)
        await daemon.settled(lambda: daemon.executor.running == 0)
        await daemon.adopt(FIBO, msgspec.structs.replace(guest, on_trap="pause"))
        row = await daemon.until(lambda: daemon.row(execution), lambda row: row.lifecycle == "paused")
        assert row.pause_reason == "trap"
        assert (await daemon.types(execution)).count("locked") == 1


@pytest.mark.parametrize("limit", [8, 9])
async def test_a_workflow_in_memory_may_ask_as_much_as_the_settings_of_then_allow(lab: Lab, limit: int) -> None:
    async with lab.daemon(ELSEWHERE, msgspec.structs.replace(FIBOA, max_history_events=6)) as daemon:
        execution = await daemon.submit(RUN, 10, 3)
        await daemon.waiting(execution)
        await daemon.settled(lambda: daemon.executor.running == 0)
        before = await runs(daemon, [execution])
        await daemon.adopt(FIBO, msgspec.structs.replace(FIBOA, max_history_events=limit))
        assert await runs(daemon, [execution]) == before
        outcome = await daemon.result(execution)
        assert outcome == OK if limit == 9 else isinstance(outcome, Failed)


async def test_other_slots_hold_from_then_on(lab: Lab) -> None:
    spinning = Use("faults", timeout=timedelta(milliseconds=100), retry=ONCE)
    async with lab.daemon(spinning, max_running=1) as daemon:
        ids = [await daemon.submit(SPIN, number=number) for number in range(1, 10)]
        most: list[int] = []
        daemon.store.subscribe(lambda _: most.append(daemon.executor.running))
        await daemon.adopt(spinning, slots={"default": ((), 3)})
        await daemon.until(lambda: most, lambda seen: max(seen) == 3)
        await daemon.adopt(spinning, slots={"default": ((), 1)})
        await daemon.settled(lambda: daemon.executor.running <= 1)
        most.clear()
        for execution in ids:
            await daemon.result(execution)
        assert max(most) <= 1


async def test_other_labels_hold_from_then_on(lab: Lab) -> None:
    async with lab.daemon(ELSEWHERE) as daemon:
        await daemon.submit("testing:fibo/fibo.fibo", 10)
        await daemon.adopt(ELSEWHERE, slots={"default": (("elsewhere",), 10)})
        assert await daemon.result(execution_id()) == OK


async def test_an_attempt_takes_the_settings_of_its_lock(lab: Lab) -> None:
    faults = Use("faults", timeout=timedelta(milliseconds=500), retry=msgspec.structs.replace(QUICK, max_retries=1))
    async with lab.daemon(faults) as daemon:
        execution = await daemon.submit(SPIN)
        await daemon.waiting(execution, "locked")
        await daemon.adopt(msgspec.structs.replace(faults, retry=ONCE))
        await daemon.result(execution)
        retries = [e.event.retry.max_retries for e in await daemon.log(execution) if hasattr(e.event, "retry")]
        assert retries == [1, 0]
