"""What ran when a daemon died is started alone, and holds nobody up for long."""

from datetime import timedelta

import msgspec
import pytest

from obelisk_daemon.clock import Instant
from obelisk_daemon.execution.events import Locked
from obelisk_daemon.ids import ExecutionId, child_id
from tests.building import OK
from tests.conftest import places  # noqa: F401 - on both kinds of databases
from tests.integration.executor.engine import Daemon, Lab
from tests.integration.executor.uses import FIBO, FIBOA, QUICK, Use

pytestmark = pytest.mark.anyio
SPIN, RUN, FIB = "testing:faults/faults.spin", "testing:fibo/workflow.fiboa", "testing:fibo/fibo.fibo"
FAULTS = Use("faults", timeout=timedelta(minutes=5), retry=msgspec.structs.replace(QUICK, max_retries=100))
ALL = (FAULTS, FIBO, FIBOA)


async def locked_at(daemon: Daemon, execution: ExecutionId) -> list[Instant]:
    return [entry.created_at for entry in await daemon.log(execution) if isinstance(entry.event, Locked)]


async def left_by_a_death(lab: Lab, count: int) -> list[ExecutionId]:
    """Have a daemon die while so many spin."""
    async with lab.daemon(*ALL, crash=True) as daemon:
        spinning = [await daemon.submit(SPIN, number=number) for number in range(1, count + 1)]
        for one in spinning:
            await daemon.waiting(one, "locked")
    return spinning


async def test_suspects_come_first_one_at_a_time_and_others_start_while_one_goes_on(lab: Lab) -> None:
    first, second = await left_by_a_death(lab, 2)
    async with lab.daemon(*ALL) as daemon:
        other = await daemon.submit(FIB, 10, number=3)
        assert await daemon.result(other) == OK
        (_, again), (began,) = await locked_at(daemon, first), await locked_at(daemon, other)
        assert began - again >= 250_000, "it was not alone for as long as it may be"
        assert (await daemon.row(first)).status == "locked"
        assert (await daemon.row(second)).status == "pending_at"
        assert len(await locked_at(daemon, second)) == 1
        for one in (first, second):
            await daemon.cancel(one)


async def test_a_workflow_is_alone_until_it_waits_and_its_children_start_afterwards(lab: Lab) -> None:
    async with lab.daemon(*ALL, crash=True) as daemon:
        workflow = await daemon.submit(RUN, 10, 3)
        await daemon.until(lambda: daemon.log(workflow), lambda log: len(log) > 1)
    async with lab.daemon(*ALL) as daemon:
        assert await daemon.result(workflow) == OK
        for number in (1, 2, 3):
            assert (await daemon.row(child_id(workflow, f"o:{number}", 1))).status == "finished"
        assert await daemon.store.next_suspect(daemon.services.clock.now()) is None


async def test_a_daemon_stops_while_a_suspect_is_alone(lab: Lab) -> None:
    (spinning,) = await left_by_a_death(lab, 1)
    async with lab.daemon(*ALL) as daemon:
        await daemon.until(lambda: locked_at(daemon, spinning), lambda times: len(times) == 2)
        await daemon.cancel(spinning)
    async with lab.daemon(*ALL) as daemon:
        assert (await daemon.row(spinning)).status == "finished"
