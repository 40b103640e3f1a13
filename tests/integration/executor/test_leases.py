"""Hosts on one database: what one held that died, another one takes over, and who was only slow starts over."""

from datetime import timedelta

import msgspec
import pytest

from obelisk_daemon.errors import OperatorError
from obelisk_daemon.execution.events import Locked
from obelisk_daemon.executor.takeover import take_over
from obelisk_daemon.ids import ExecutionId, ExecutorId
from obelisk_daemon.storage.hosts import NewHost
from obelisk_daemon.supervisor.lease import HostLease
from tests.building import OK
from tests.conftest import places  # noqa: F401 - on both kinds of databases
from tests.fakes.clock import ManualClock
from tests.integration.executor.engine import Daemon, Lab
from tests.integration.executor.uses import FIBO, FIBOA, Use

pytestmark = pytest.mark.anyio
LEASE = timedelta(seconds=15)
RUN = "testing:fibo/workflow.fiboa"
SPIN = "testing:faults/faults.spin"
SPINNING = Use("faults", timeout=timedelta(minutes=1))
ELSEWHERE = msgspec.structs.replace(FIBO, labels=frozenset({"elsewhere"}))
FIRST, SECOND = {"first": (("one",), 5)}, {"second": (("one", "elsewhere"), 5)}


async def lease_of(daemon: Daemon, clock: ManualClock, host: str) -> HostLease:
    """Take the lease of a host that the daemon's executors are of from now on."""
    lease = HostLease(daemon.store, clock, host, daemon.members, LEASE, new_id=daemon.services.ids.executor)
    for member in daemon.members:
        member.services.executor_id = daemon.services.ids.executor()
        member.start_over(member.services.executor_id)
    await lease.take()
    daemon.executor.wake()
    return lease


async def looks_for_the_dead(daemon: Daemon, clock: ManualClock) -> int:
    return (await take_over(daemon.store, clock, daemon.services.ids)).lost_runs


async def lockers(daemon: Daemon, execution: ExecutionId) -> list[ExecutorId]:
    return [e.event.executor_id for e in await daemon.log(execution) if isinstance(e.event, Locked)]


async def test_what_a_silent_host_runs_is_taken_over_once_its_lease_has_ended(still: Lab, clock: ManualClock) -> None:
    async with still.daemon(SPINNING, slots=FIRST) as one, still.daemon(beside=one, slots=SECOND) as two:
        first, second = await lease_of(one, clock, "first"), await lease_of(two, clock, "second")
        two.members[0].drain(wanted=True)
        execution = await one.submit(SPIN, labels=("one",))
        await one.waiting(execution, "locked")
        silent = one.members[0].services.executor_id
        clock.advance(LEASE - timedelta(seconds=1))
        await second.renew()
        assert await looks_for_the_dead(two, clock) == 0
        clock.advance(timedelta(seconds=1))
        two.members[0].drain(wanted=True)
        assert [await looks_for_the_dead(two, clock) for _ in range(2)] == [1, 0]
        await first.renew()
        assert one.members[0].services.executor_id != silent
        await one.settled(lambda: one.members[0].running == 0)
        assert await lockers(one, execution) == [silent]
        assert (await one.types(execution))[-1] == "temporarily_timed_out"


async def test_a_hot_workflow_moves_when_its_host_dies_and_the_host_forgets_it_when_it_wakes_up(
    still: Lab, clock: ManualClock
) -> None:
    slots = {"first": ((), 5)}
    async with still.daemon(ELSEWHERE, FIBOA, slots=slots) as one, still.daemon(beside=one, slots=SECOND) as two:
        first, second = await lease_of(one, clock, "first"), await lease_of(two, clock, "second")
        two.members[0].drain(wanted=True)
        execution = await one.submit(RUN, 10, 3)
        await one.settled(lambda: one.executor.hot == 1)
        clock.advance(LEASE)
        one.members[0].drain(wanted=False)
        await second.renew()  # hears that it is not to drain
        await looks_for_the_dead(two, clock)
        await first.renew()
        assert await one.result(execution) == OK
        await one.settled(lambda: one.executor.hot == two.executor.hot == 0)
        await one.check(execution)


async def test_a_host_that_was_slow_but_not_declared_dead_keeps_what_it_runs(still: Lab, clock: ManualClock) -> None:
    async with still.daemon(SPINNING, slots=FIRST) as one:
        lease = await lease_of(one, clock, "first")
        execution = await one.submit(SPIN)
        await one.waiting(execution, "locked")
        executor_id = one.members[0].services.executor_id
        clock.advance(2 * LEASE)
        await lease.renew()
        assert await looks_for_the_dead(one, clock) == 0
        assert (one.members[0].services.executor_id, one.members[0].running) == (executor_id, 1)


async def test_what_a_host_is_to_do_it_hears_by_its_heartbeat(still: Lab, clock: ManualClock) -> None:
    async with still.daemon(FIBO, slots=FIRST) as one:
        lease = await lease_of(one, clock, "first")
        await one.store.set_draining("first", draining=True)
        await lease.renew()
        assert (lease.draining, one.members[0].is_draining) == (True, True)
        await one.store.set_draining("first", draining=False)
        await lease.renew()
        assert (lease.draining, one.members[0].is_draining) == (False, False)


async def test_a_host_whose_name_another_daemon_has_taken_stops(still: Lab, clock: ManualClock) -> None:
    async with still.daemon(FIBO, slots=FIRST) as one:
        lease = await lease_of(one, clock, "first")
        clock.advance(2 * LEASE)
        await one.store.register_host(NewHost("first", "1.0"), clock.now(), clock.now() + 1)
        with pytest.raises(OperatorError, match="another daemon works on this database as host 'first'"):
            await lease.renew()


async def test_a_clean_stop_leaves_no_lease_that_anybody_has_to_wait_for(still: Lab, clock: ManualClock) -> None:
    async with still.daemon(FIBO, slots=FIRST) as one:
        lease = await lease_of(one, clock, "first")
        await lease.end()
        await lease.renew()  # the last one of a task that is about to end
        (known,) = [host for host in await one.store.hosts() if host.host == "first"]
        assert not known.is_alive(clock.now())
        await (await lease_of(one, clock, "first")).renew()
