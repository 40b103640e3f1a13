"""Executions that are under way when other code becomes active: they move if their log replays there, or stay."""

from datetime import timedelta

import msgspec
import pytest

from obelisk_daemon.execution.divergence import HOST_ABI
from obelisk_daemon.execution.events import ComponentUpgraded, Locked, Paused
from obelisk_daemon.execution.outcome import Returned
from obelisk_daemon.ids import ExecutionId, child_id
from obelisk_daemon.storage.sql.store import SqlStore
from obelisk_daemon.wasm.callbacks import GUESTS
from tests.building import OK, execution_id
from tests.fakes.clock import ManualClock
from tests.integration.executor.engine import Daemon, Lab
from tests.integration.executor.test_commits import Refusing, conflict
from tests.integration.executor.uses import FIBO, REACHING, Use, plan_of

pytestmark = pytest.mark.anyio
RUN = "testing:fibo/workflow.fiboa"
NAP = "testing:sleeper/sleeper.nap"
SPIN = "testing:faults/faults.spin"
ELSEWHERE = msgspec.structs.replace(FIBO, labels=frozenset({"elsewhere"}))
"""The activity, which only another executor could run: a workflow that calls it waits."""
FIBOA = Use("fibo-workflow", component="fiboa", on_upgrade="replay")


def fiboa(code: str, **changes: object) -> Use:
    """Give the same component with other code or settings."""
    return msgspec.structs.replace(FIBOA, name=code, **changes)


COMPATIBLE = fiboa("fibo-workflow+1")
AT_ONCE, LATER = fiboa("fiboa-reordered"), fiboa("fiboa-changed")
"""Code that diverges at its first request, and at its second call."""


def digest(daemon: Daemon, use: Use) -> str:
    return daemon._lab.linked[use.name].component.digest


async def blocked(daemon: Daemon, number: int = 1, iterations: int = 3) -> ExecutionId:
    """Have a workflow wait for a call that nobody runs, and give its slot back."""
    execution = await daemon.submit(RUN, 10, iterations, number=number)
    await daemon.waiting(execution)
    await daemon.settled(lambda: daemon.executor.running == 0)
    return execution


async def upgrades(daemon: Daemon, execution: ExecutionId) -> list[ComponentUpgraded]:
    return [e.event for e in await daemon.log(execution) if isinstance(e.event, ComponentUpgraded)]


async def locks(daemon: Daemon, execution: ExecutionId) -> list[str]:
    """Give the digests that an execution was locked with."""
    return [e.event.digest for e in await daemon.log(execution) if isinstance(e.event, Locked)]


async def followers(daemon: Daemon, execution: ExecutionId) -> list[str]:
    """Give what comes right after each upgrade."""
    types = await daemon.types(execution)
    return [types[at + 1] for at, name in enumerate(types) if name == "component_upgraded"]


# compatible code


@pytest.mark.parametrize("on_block", ["hot", "unload"])
async def test_a_waiting_workflow_moves_to_code_that_goes_on_with_its_log(lab: Lab, on_block: str) -> None:
    async with lab.daemon(ELSEWHERE, fiboa("fibo-workflow", on_block=on_block)) as daemon:
        execution = await blocked(daemon)
        version = (await daemon.row(execution)).version
        await daemon.adopt(FIBO, fiboa("fibo-workflow+1", on_block=on_block))
        assert await daemon.result(execution) == OK
        (upgraded,) = await upgrades(daemon, execution)
        assert (upgraded.ok, upgraded.digest) == (True, digest(daemon, COMPATIBLE))
        types = await daemon.types(execution)
        assert types[version : version + 3] == ["locked", "component_upgraded", "history_event"]
        assert {*await locks(daemon, execution)} == {digest(daemon, FIBOA), digest(daemon, COMPATIBLE)}
        assert (await daemon.row(execution)).digest == digest(daemon, COMPATIBLE)
        await daemon.check(execution)


async def test_a_workflow_in_memory_leaves_it_at_once_when_its_code_is_replaced(lab: Lab) -> None:
    async with lab.daemon(ELSEWHERE, FIBOA) as daemon:
        execution = await blocked(daemon)
        assert daemon.executor.hot == 1
        await daemon.adopt(ELSEWHERE, COMPATIBLE)
        await daemon.settled(lambda: daemon.executor.hot == 0)
        row = await daemon.row(execution)
        assert (row.status, row.executor_id, row.digest) == ("blocked", None, digest(daemon, FIBOA))
        assert await daemon.types(execution) == ["created", "locked", *["history_event"] * 3]


async def test_a_workflow_that_is_blocking_just_then_leaves_memory_too(lab: Lab) -> None:
    """Its block is on its way to the disk: it would stay on the replaced code for as long as it waits."""
    async with lab.daemon(ELSEWHERE, FIBOA) as daemon:
        plan = plan_of(lab.linked, [ELSEWHERE, COMPATIBLE], 1)
        adopted: list[str] = []

        def adopt(change: object) -> None:
            if getattr(change, "status", None) == "blocked" and not adopted:
                adopted.append("now")
                daemon.executor.adopt(plan, {"default": ((), 10)})

        daemon.store.subscribe(adopt)
        execution = await daemon.submit(RUN, 10, 3)
        await daemon.settled(lambda: bool(adopted) and daemon.executor.running == daemon.executor.hot == 0)
        row = await daemon.row(execution)
        assert (row.status, row.executor_id) == ("blocked", None)


async def test_a_sleeping_workflow_moves_when_it_wakes(still: Lab, clock: ManualClock) -> None:
    sleeper = Use("sleeper", component="sleeper", on_upgrade="replay")
    async with still.daemon(sleeper) as daemon:
        execution = await daemon.submit(NAP, 60_000)
        await daemon.waiting(execution)
        due = clock.now() + 60_000_000
        await daemon.adopt(msgspec.structs.replace(sleeper, name="sleeper+1"))
        clock.advance(timedelta(minutes=1))
        daemon.look_at_the_clock()
        assert await daemon.result(execution) == Returned({"ok": due // 1_000_000})
        assert (await daemon.types(execution))[-3:] == ["locked", "component_upgraded", "finished"]


async def test_a_workflow_that_was_never_started_begins_on_the_current_code(still: Lab, clock: ManualClock) -> None:
    async with still.daemon(FIBO, FIBOA) as daemon:
        execution = await daemon.submit(RUN, 10, 1, wait=timedelta(minutes=1))
        await daemon.adopt(FIBO, COMPATIBLE)
        clock.advance(timedelta(minutes=1))
        daemon.look_at_the_clock()
        assert await daemon.result(execution) == OK
        assert await locks(daemon, execution) == [digest(daemon, COMPATIBLE)]
        assert await upgrades(daemon, execution) == []


async def test_a_paused_workflow_moves_when_it_is_resumed(lab: Lab) -> None:
    async with lab.daemon(ELSEWHERE, FIBOA) as daemon:
        execution = await blocked(daemon)
        await daemon.store.pause(execution, daemon.services.clock.now())
        await daemon.adopt(FIBO, COMPATIBLE)
        await daemon.result(child_id(execution, "o:1", 1))
        assert await upgrades(daemon, execution) == []
        await daemon.store.unpause(execution, daemon.services.clock.now(), "operator")
        assert await daemon.result(execution) == OK
        assert await followers(daemon, execution) == ["history_event"]


async def test_workflows_that_are_running_all_the_while_move_from_code_to_code_and_end_right(lab: Lab) -> None:
    async with lab.daemon(FIBO, FIBOA, max_running=20) as daemon:
        ids = [await daemon.submit(RUN, 10, 40, number=number) for number in range(1, 41)]

        async def written() -> int:
            return sum([(await daemon.row(execution)).version for execution in ids])

        for variant in range(1, 6):
            await daemon.until(written, lambda events, least=700 * variant: events > least)
            await daemon.adopt(FIBO, fiboa(f"fibo-workflow+{variant}", on_block="hot" if variant % 2 else "unload"))
        assert [await daemon.result(execution) for execution in ids] == [OK] * 40
        await daemon.check(*ids)
        found = [upgraded for execution in ids for upgraded in await upgrades(daemon, execution)]
        assert found
        assert all(upgraded.ok for upgraded in found)
        for execution in ids:
            assert (await daemon.types(execution)).count("history_event") == 120
        await daemon.settled(lambda: daemon.executor.running == daemon.executor.hot == 0)


# code that diverges


async def blocked_at_the_second_call(lab: Lab, daemon: Daemon) -> ExecutionId:
    """Have a workflow wait for its second call: its executor loses sight of the activity while the first one runs."""
    blind = plan_of(lab.linked, [ELSEWHERE, FIBOA], 1)
    first = child_id(execution_id(), "o:1", 1)

    def look_away(change: object) -> None:
        if getattr(change, "status", None) == "locked" and getattr(change, "execution_id", None) == first:
            daemon.executor.adopt(blind, {"default": ((), 10)})

    daemon.store.subscribe(look_away)
    execution = await daemon.submit(RUN, 10, 3)
    await daemon.until(lambda: daemon.row(execution), lambda row: row.join_set == "o:2" and row.status == "blocked")
    await daemon.settled(lambda: daemon.executor.running == 0)
    return execution


@pytest.mark.parametrize(("code", "version"), [("fiboa-reordered", 3), ("trapping", 2)])
@pytest.mark.parametrize("on_block", ["hot", "unload"])
async def test_a_workflow_stays_on_its_code_and_ends_there_where_other_code_does_not_go_on_with_its_log(
    lab: Lab, code: str, version: int, on_block: str
) -> None:
    async with lab.daemon(ELSEWHERE, fiboa("fibo-workflow", on_block=on_block)) as daemon:
        execution = await blocked(daemon)
        own = digest(daemon, FIBOA)
        await daemon.adopt(FIBO, fiboa(code, on_block=on_block))
        assert await daemon.result(execution) == OK
        (failed,) = await upgrades(daemon, execution)
        assert (failed.ok, failed.digest, failed.version) == (False, digest(daemon, fiboa(code)), version)
        assert failed.message is not None
        assert failed.message.startswith(f"at version {version}: expected a")
        assert await followers(daemon, execution) == ["unlocked"]
        first, trial, *after = await locks(daemon, execution)
        assert (first, trial, {*after}) == (own, failed.digest, {own})
        assert (await daemon.row(execution)).digest == own
        assert (await daemon.row(execution)).attempts == 1
        await daemon.check(execution)


async def test_a_divergence_is_found_where_it_is_and_not_before(lab: Lab) -> None:
    async with lab.daemon(REACHING, FIBOA) as daemon:
        execution = await blocked_at_the_second_call(lab, daemon)
        await daemon.adopt(REACHING, LATER)
        assert await daemon.result(execution) == OK
        (failed,) = await upgrades(daemon, execution)
        assert (failed.ok, failed.version) == (False, 6)
        assert "expected a call of testing:fibo/fibo.fibo with [10]" in str(failed.message)
        assert "got a call of testing:fibo/fibo.fibo with [11]" in str(failed.message)


async def test_code_that_would_diverge_later_goes_on_with_a_log_that_has_not_come_that_far(lab: Lab) -> None:
    async with lab.daemon(ELSEWHERE, FIBOA) as daemon:
        execution = await blocked(daemon)
        await daemon.adopt(FIBO, LATER)
        assert await daemon.result(execution) == Returned({"ok": 89})
        assert [upgraded.ok for upgraded in await upgrades(daemon, execution)] == [True]


async def test_what_is_new_runs_on_the_new_code_beside_what_stays(lab: Lab) -> None:
    async with lab.daemon(ELSEWHERE, FIBOA) as daemon:
        staying = await blocked(daemon, 1)
        await daemon.adopt(FIBO, AT_ONCE)
        new = await daemon.submit(RUN, 10, 2, number=2)
        assert [await daemon.result(execution) for execution in (staying, new)] == [OK, OK]
        assert {*await locks(daemon, new)} == {digest(daemon, AT_ONCE)}
        assert "DelayRequest" in str(await daemon.log(new))
        assert "DelayRequest" not in str(await daemon.log(staying))


async def test_what_diverged_once_is_not_tried_there_again_after_a_restart(lab: Lab) -> None:
    async with lab.daemon(ELSEWHERE, FIBOA) as daemon:
        execution = await blocked(daemon)
        await daemon.adopt(ELSEWHERE, AT_ONCE)
        await tried(daemon, execution)
    async with lab.daemon(FIBO, AT_ONCE) as daemon:
        assert await daemon.result(execution) == OK
        assert [upgraded.ok for upgraded in await upgrades(daemon, execution)] == [False]


async def test_an_execution_moves_over_three_codes_and_stays_where_it_must(lab: Lab) -> None:
    """Old, diverging, compatible, old again: each is tried once, and the log tells them all."""
    async with lab.daemon(ELSEWHERE, FIBOA) as daemon:
        execution = await blocked(daemon)

        for use in (AT_ONCE, COMPATIBLE, fiboa("fibo-workflow+2")):
            await daemon.adopt(ELSEWHERE, use)
            await tried(daemon, execution)
        assert (await daemon.row(execution)).digest == digest(daemon, fiboa("fibo-workflow+2"))
        await daemon.adopt(FIBO, FIBOA)
        assert await daemon.result(execution) == OK
        wanted = [(False, AT_ONCE), (True, COMPATIBLE), (True, fiboa("fibo-workflow+2")), (True, FIBOA)]
        found = [(upgraded.ok, upgraded.digest) for upgraded in await upgrades(daemon, execution)]
        assert found == [(ok, digest(daemon, use)) for ok, use in wanted]
        await daemon.check(execution)


async def test_a_workflow_on_older_code_keeps_it_over_generations_that_do_not_touch_it(lab: Lab) -> None:
    async with lab.daemon(ELSEWHERE, FIBOA) as daemon:
        execution = await blocked(daemon)
        await daemon.adopt(ELSEWHERE, AT_ONCE)
        await tried(daemon, execution)
        await daemon.settled(lambda: daemon.executor.hot == 1)
        (run,) = daemon.members[0]._runs.values()
        for max_hot in range(3, 6):
            await daemon.adopt(ELSEWHERE, fiboa("fiboa-reordered", max_hot=max_hot))
            assert [*daemon.members[0]._runs.values()] == [run]
        await daemon.adopt(FIBO, AT_ONCE)
        assert await daemon.result(execution) == OK
        assert len(await upgrades(daemon, execution)) == 1
        assert len(await locks(daemon, execution)) == 3


async def tried(daemon: Daemon, execution: ExecutionId) -> None:
    """Have a workflow be locked without its answer, and try the code that is active."""
    before = len(await upgrades(daemon, execution))
    await daemon.store.pause(execution, daemon.services.clock.now())
    await daemon.store.unpause(execution, daemon.services.clock.now(), "operator")
    await daemon.until(lambda: upgrades(daemon, execution), lambda found: len(found) > before)
    await daemon.waiting(execution)


# other policies


async def test_a_pinned_workflow_stays_in_memory_and_on_its_code(lab: Lab) -> None:
    pinned = fiboa("fibo-workflow", on_upgrade="pin")
    async with lab.daemon(ELSEWHERE, pinned) as daemon:
        execution = await blocked(daemon)
        await daemon.adopt(FIBO, fiboa("fibo-workflow+1", on_upgrade="pin"))
        assert await daemon.result(execution) == OK
        assert await locks(daemon, execution) == [digest(daemon, pinned)]
        assert await upgrades(daemon, execution) == []


@pytest.mark.parametrize("crash", [True, False])
async def test_a_pinned_workflow_stays_on_its_code_over_a_restart(lab: Lab, crash: bool) -> None:
    async with lab.daemon(ELSEWHERE, fiboa("fibo-workflow", on_upgrade="pin"), crash=crash) as daemon:
        execution = await blocked(daemon)
    async with lab.daemon(FIBO, fiboa("fiboa-reordered", on_upgrade="pin")) as daemon:
        assert await daemon.result(execution) == OK
        assert {*await locks(daemon, execution)} == {digest(daemon, FIBOA)}


async def test_a_workflow_that_is_pinned_no_longer_moves(lab: Lab) -> None:
    async with lab.daemon(ELSEWHERE, fiboa("fibo-workflow", on_upgrade="pin")) as daemon:
        execution = await blocked(daemon)
        await daemon.adopt(ELSEWHERE, fiboa("fibo-workflow+1", on_upgrade="pin"))
        assert daemon.executor.hot == 1
        await daemon.adopt(FIBO, COMPATIBLE)
        assert await daemon.result(execution) == OK
        assert [upgraded.ok for upgraded in await upgrades(daemon, execution)] == [True]


async def test_forced_code_that_diverges_pauses_the_workflow_until_other_code_comes(lab: Lab) -> None:
    async with lab.daemon(ELSEWHERE, FIBOA) as daemon:
        execution = await blocked(daemon)
        await daemon.adopt(FIBO, fiboa("fiboa-reordered", on_upgrade="force"))
        await daemon.until(lambda: daemon.row(execution), lambda row: row.lifecycle == "paused")
        paused = (await daemon.log(execution))[-1].event
        assert isinstance(paused, Paused)
        assert (paused.reason, paused.digest) == ("nondeterminism", digest(daemon, AT_ONCE))
        assert await upgrades(daemon, execution) == []
        await daemon.adopt(FIBO, fiboa("fibo-workflow+1", on_upgrade="force"))
        assert await daemon.result(execution) == OK
        await daemon.check(execution)


async def test_a_pause_for_a_divergence_is_lifted_by_code_that_replays(lab: Lab) -> None:
    async with lab.daemon(ELSEWHERE, FIBOA) as daemon:
        execution = await blocked(daemon)
        await daemon.adopt(FIBO, fiboa("fiboa-reordered", on_upgrade="force"))
        await daemon.until(lambda: daemon.row(execution), lambda row: row.lifecycle == "paused")
        await daemon.adopt(FIBO, FIBOA)
        assert await daemon.result(execution) == OK
        assert [upgraded.digest for upgraded in await upgrades(daemon, execution)] == [digest(daemon, FIBOA)]


async def test_the_next_attempt_of_an_activity_runs_on_new_code_and_the_running_one_ends_on_the_old(lab: Lab) -> None:
    faults = Use("faults", component="faults", on_upgrade="latest", timeout=timedelta(milliseconds=200))
    async with lab.daemon(faults) as daemon:
        execution = await daemon.submit(SPIN)
        await daemon.waiting(execution, "locked")
        await daemon.adopt(msgspec.structs.replace(faults, name="faults+1"))
        await daemon.result(execution)
        old, new = digest(daemon, faults), digest(daemon, Use("faults+1"))
        assert await locks(daemon, execution) == [old, new, new]
        assert (await daemon.types(execution))[:3] == ["created", "locked", "temporarily_timed_out"]


async def test_a_child_that_a_daemon_locks_before_it_knows_of_newer_code_waits_and_runs_on_that_only(
    still: Lab, clock: ManualClock
) -> None:
    newer, watched = Use("fibo-activity+1", component="fibo-activity"), list[Refusing]()

    def over(store: SqlStore) -> Refusing:
        watched.append(Refusing(store, lambda _: False, conflict))
        return watched[0]

    async with still.daemon(REACHING, AT_ONCE, over=over) as daemon:  # type: ignore[arg-type]
        execution = await daemon.submit(RUN, 10, 1)
        child = child_id(execution, "o:2", 1)
        await daemon.waiting(execution)
        await daemon.settled(lambda: daemon.executor.running == 0)
        _, plan = await still.activate(daemon.store, [newer, AT_ONCE])
        clock.advance(timedelta(seconds=1))
        daemon.look_at_the_clock()
        await daemon.until(lambda: daemon.row(execution), lambda row: row.join_set == "o:2")
        await daemon.settled(lambda: daemon.executor.running == 0 and child not in daemon.members[0]._runs)
        assert await daemon.types(child) == ["created"]
        assert child not in {append.execution_id for append in watched[0].appends}  # no guest ran to an end
        daemon.executor.adopt(plan, {"default": ((), 10)})
        assert await daemon.result(execution) == OK
        assert await locks(daemon, child) == [digest(daemon, newer)]


async def test_a_workflow_that_computes_is_moved_by_an_operator_and_its_former_run_ends(lab: Lab) -> None:
    spinning = Use("logging", component="logging", on_upgrade="replay")
    newer = msgspec.structs.replace(spinning, name="logging+1")
    async with lab.daemon(spinning) as daemon:
        execution = await daemon.submit("testing:logging/logging.run", 0, True)
        await daemon.settled(lambda: len(GUESTS) == 1)
        await daemon.adopt(newer)
        event = ComponentUpgraded(True, digest(daemon, newer), HOST_ABI, forced=True)
        await daemon.store.upgrade(execution, event, daemon.services.clock.now())
        await daemon.until(lambda: locks(daemon, execution), lambda found: len(found) == 2)
        await daemon.settled(lambda: daemon.executor.running == 1 and len(GUESTS) == 1)
        assert await locks(daemon, execution) == [digest(daemon, spinning), digest(daemon, newer)]
        await daemon.check(execution)
        await daemon.cancel(execution)
