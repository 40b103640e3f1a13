"""Submissions in a real executor: locked as they are made where a slot is free, else queued like all that is due."""

import asyncio
import threading

import pytest

from obelisk_daemon.execution.outcome import Returned
from obelisk_daemon.executor.children import created, lock_new, new_execution
from obelisk_daemon.ids import ExecutionId
from obelisk_daemon.storage.sql.locking import unlocked
from obelisk_daemon.storage.sql.transaction import Transaction
from tests.building import execution_id
from tests.integration.executor.engine import Daemon, Lab
from tests.integration.executor.uses import FIBO, FIBOA, Use

pytestmark = pytest.mark.anyio
CALL = "testing:fibo/fibo.fibo"
RUN = "testing:fibo/workflow.fiboa"
SPIN = "testing:faults/faults.spin"
OK = Returned({"ok": 55})


async def test_a_workflow_of_three_steps_is_submitted_run_and_ended_in_three_commits_at_most(lab: Lab) -> None:
    async with lab.daemon(FIBO, FIBOA) as daemon:
        assert await daemon.call(RUN, 10, 3) == OK  # nothing is due any more, and everything is compiled
        before = daemon.store.writer.commits
        assert await daemon.call(RUN, 10, 3, number=2) == OK
        assert daemon.store.writer.commits - before <= 3
        assert (await daemon.types(execution_id(2)))[:2] == ["created", "locked"]
        await daemon.check(execution_id(2))


async def test_what_is_submitted_runs_once_its_lock_is_durable(lab: Lab) -> None:
    """Else a guest that takes the daemon down would leave no trace, and do it again for whoever submits it again."""
    entered, leave = threading.Event(), threading.Event()

    def slow(_: Transaction) -> None:
        entered.set()
        assert leave.wait(20)

    async with lab.daemon(FIBO, FIBOA) as daemon:
        assert await daemon.call(RUN, 10, 1) == OK
        daemon.store.writer.queue(slow)
        submitting = asyncio.create_task(daemon.submit(RUN, 10, 1, number=2))
        await asyncio.to_thread(entered.wait, 20)
        await daemon.settled(lambda: daemon.executor.holds(execution_id(2)))
        for _ in range(50):
            await asyncio.sleep(0)
        assert list(daemon.members[0]._runs) == [execution_id(2)], "it has not asked for its call"
        leave.set()
        await submitting
        assert await daemon.result(execution_id(2)) == OK


async def test_where_all_slots_are_taken_it_waits_for_one(lab: Lab) -> None:
    async with lab.daemon(FIBO, Use("faults"), max_running=1) as daemon:
        await daemon.submit(SPIN)
        await daemon.settled(lambda: daemon.members[0].running == 1)
        second = await daemon.submit(CALL, 10, number=2)
        assert (await daemon.row(second)).status == "pending_at"
        await daemon.canceller.cancel(execution_id(), force=True)
        assert await daemon.result(second) == OK


async def test_what_needs_a_label_that_is_not_offered_is_not_locked(lab: Lab) -> None:
    async with lab.daemon(FIBO) as daemon:
        assert await daemon.call(CALL, 10, number=2) == OK  # nothing is due any more
        labelled = await daemon.submit(CALL, 10, labels=("gpu",))
        assert (await daemon.row(labelled)).status == "pending_at"


async def test_the_same_one_again_runs_nothing_and_leaves_what_is_there(lab: Lab) -> None:
    async with lab.daemon(FIBO) as daemon:
        assert await daemon.call(CALL, 10) == OK
        log = await daemon.log(execution_id())
        await daemon.submit(CALL, 10)
        await daemon.settled(lambda: daemon.members[0].running == 0)
        assert await daemon.log(execution_id()) == log
        assert not daemon.executor.holds(execution_id())


async def test_what_is_locked_as_it_is_made_has_all_that_it_may_need_where_it_is_left_unlocked(lab: Lab) -> None:
    """It may have to end another one to have room, or be refused: that takes the id of a failure."""
    async with lab.daemon(FIBO) as daemon:
        services, now = daemon.services, daemon.services.clock.now()
        function = services.plan.functions[CALL]
        new = new_execution(execution_id(), created(services, function, [10], now), now, services.ids.failure())
        locked, held = lock_new(services, function, new, now)
        assert held.state == locked.state
        assert unlocked(locked) == new


async def test_an_executor_holds_what_it_runs_until_its_end_is_published(lab: Lab) -> None:
    async with lab.daemon(FIBO) as daemon:
        told: list[tuple[ExecutionId, bool]] = []
        daemon.store.subscribe(lambda change: told.append((change.execution_id, daemon.executor.holds(execution_id()))))
        submitting = asyncio.create_task(daemon.submit(CALL, 10))
        assert await asyncio.wait_for(_until_held(daemon), 10)
        await submitting
        assert await daemon.result(execution_id()) == OK
        assert told[-1] == (execution_id(), False)


async def _until_held(daemon: Daemon) -> bool:
    while not daemon.executor.holds(execution_id()):
        await asyncio.sleep(0)
    return True
