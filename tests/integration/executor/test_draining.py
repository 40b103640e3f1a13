"""Executors that are to take no more work, and those that were declared dead while they lived."""

from datetime import timedelta

import msgspec
import pytest

from obelisk_daemon.execution.events import Locked, Unlocked
from obelisk_daemon.ids import ExecutionId, ExecutorId, child_id
from obelisk_daemon.storage.upkeep import NewExecutor
from tests.building import NEVER, OK, execution_id, failure
from tests.integration.executor.engine import Daemon, Lab
from tests.integration.executor.uses import FIBO, FIBOA, Use

pytestmark = pytest.mark.anyio
FIBONACCI = "testing:fibo/fibo.fibo"
RUN = "testing:fibo/workflow.fiboa"
SPIN = "testing:faults/faults.spin"
PAIR = {"one": (("one",), 5), "two": (("two",), 5)}
ELSEWHERE = msgspec.structs.replace(FIBO, labels=frozenset({"elsewhere"}))
SUCCESSOR = ExecutorId("Exr_0000000000000000000000000Z")


async def hot_workflow(daemon: Daemon) -> ExecutionId:
    execution = await daemon.submit(RUN, 10, 3)
    await daemon.waiting(execution)
    await daemon.settled(lambda: daemon.executor.hot == 1)
    return execution


async def locks(daemon: Daemon, execution: ExecutionId) -> list[ExecutorId]:
    return [e.event.executor_id for e in await daemon.log(execution) if isinstance(e.event, Locked)]


async def start_over(daemon: Daemon) -> None:
    """Make the first executor another one, as its host does when it hears that it is dead."""
    await daemon.store.register_executor(NewExecutor(SUCCESSOR, "test"), daemon.services.clock.now(), NEVER)
    daemon.members[0].start_over(SUCCESSOR)


async def test_an_executor_that_drains_takes_nothing_until_it_works_again(lab: Lab) -> None:
    async with lab.daemon(FIBO) as daemon:
        (member,) = daemon.members
        member.drain(wanted=True)
        execution = await daemon.submit(FIBONACCI, 10)
        await daemon.settled(lambda: not daemon.members[0]._wake.is_set())
        assert daemon.states(execution) == ["pending_at"]
        member.drain(wanted=False)
        assert await daemon.result(execution) == OK


async def test_what_runs_on_an_executor_that_drains_goes_on_to_its_end(lab: Lab) -> None:
    async with lab.daemon(Use("faults", timeout=timedelta(milliseconds=50))) as daemon:
        execution = await daemon.submit(SPIN)
        await daemon.waiting(execution, "locked")
        daemon.members[0].drain(wanted=True)
        await daemon.waiting(execution, "pending_at")
        assert await daemon.types(execution) == ["created", "locked", "temporarily_timed_out"]
        await daemon.settled(lambda: daemon.executor.running == 0)


async def test_a_workflow_that_waits_leaves_an_executor_that_drains_and_goes_on_elsewhere(lab: Lab) -> None:
    workflow = msgspec.structs.replace(FIBOA, labels=frozenset())
    async with lab.daemon(ELSEWHERE, workflow, slots={"one": ((), 5), "two": (("elsewhere",), 5)}) as daemon:
        one, two = daemon.members
        two.drain(wanted=True)
        execution = await hot_workflow(daemon)
        (holder,) = await locks(daemon, execution)
        assert holder == one.services.executor_id
        one.drain(wanted=True)
        await daemon.settled(lambda: daemon.executor.hot == 0)
        two.drain(wanted=False)
        assert await daemon.result(execution) == OK
        assert set((await locks(daemon, execution))[1:]) == {two.services.executor_id}
        assert "unlocked" not in await daemon.types(execution)
        await daemon.check(execution)


async def test_a_workflow_that_blocks_on_an_executor_that_drains_does_not_stay_in_memory(lab: Lab) -> None:
    async with lab.daemon(ELSEWHERE, FIBOA) as daemon:
        daemon.store.subscribe(lambda _: daemon.members[0].drain(wanted="locked" in daemon.states(execution)))
        execution = execution_id(1)
        await daemon.submit(RUN, 10, 3)
        await daemon.waiting(execution)
        await daemon.settled(lambda: daemon.executor.hot == daemon.executor.running == 0)
        assert (await daemon.row(execution)).executor_id is None


async def test_what_ran_on_an_executor_that_starts_over_is_released_and_not_counted(lab: Lab) -> None:
    async with lab.daemon(Use("faults", timeout=timedelta(milliseconds=50))) as daemon:
        execution = await daemon.submit(SPIN)
        await daemon.waiting(execution, "locked")
        former = daemon.members[0].services.executor_id
        await start_over(daemon)
        await daemon.until(lambda: locks(daemon, execution), lambda found: len(found) > 1)
        events = [entry.event for entry in await daemon.log(execution)]
        assert [event.reason for event in events if isinstance(event, Unlocked)] == ["conflict"]
        assert [event.attempt for event in events if isinstance(event, Locked)][:2] == [1, 1]
        assert (await locks(daemon, execution))[:2] == [former, SUCCESSOR]


async def test_a_hot_workflow_of_an_executor_that_starts_over_leaves_its_memory_and_goes_on(lab: Lab) -> None:
    slots = {"one": ((), 5), "two": (("elsewhere",), 5)}
    async with lab.daemon(ELSEWHERE, FIBOA, slots=slots) as daemon:
        _, two = daemon.members
        two.drain(wanted=True)
        execution = await hot_workflow(daemon)
        await start_over(daemon)
        await daemon.settled(lambda: daemon.executor.hot == 0)
        two.drain(wanted=False)
        assert await daemon.result(execution) == OK
        assert len(await locks(daemon, execution)) > 1
        await daemon.check(execution, child_id(execution, "o:1", 1))


async def test_the_run_of_what_another_host_has_ended_is_dropped(lab: Lab) -> None:
    async with lab.daemon(ELSEWHERE, FIBOA) as daemon:
        execution = await hot_workflow(daemon)
        await daemon.store.finish_cancelled(execution, daemon.services.clock.now(), failure(1, "cancelled"))
        await daemon.settled(lambda: daemon.executor.hot == 0)
