"""Stopping, dying, cancelling, evicting, other code: nothing is lost and nothing is counted that should not be."""

import asyncio
from datetime import timedelta

import msgspec
import pytest

from obelisk_daemon.execution.events import CancellationRequested, Finished, Paused, TemporarilyTimedOut, Unlocked
from obelisk_daemon.execution.outcome import Failed, Returned
from obelisk_daemon.ids import ExecutionId, child_id
from tests.building import OK, outcome_of
from tests.conftest import places  # noqa: F401 - on both kinds of databases
from tests.fakes.clock import START, ManualClock
from tests.integration.executor.engine import Daemon, Lab, NewLab
from tests.integration.executor.uses import FIBO, FIBOA, Use

pytestmark = pytest.mark.anyio
RUN = "testing:fibo/workflow.fiboa"
NEST = "testing:nested/outer.run"
NAP = "testing:sleeper/sleeper.nap"
DRAW = "testing:random/random.draw"
SPIN = "testing:faults/faults.spin"
CALL_SPIN = "testing:faulty-caller/caller.call-spin"
ELSEWHERE = msgspec.structs.replace(FIBO, labels=frozenset({"elsewhere"}))
"""The activity, which only another executor could run: a workflow that calls it waits."""
UNLOADING = msgspec.structs.replace(FIBOA, on_block="unload")


async def waiting_for_elsewhere(daemon: Daemon, number: int = 1) -> ExecutionId:
    execution = await daemon.submit(RUN, 10, 3, number=number)
    await daemon.waiting(execution)
    return execution


# daemons that end


@pytest.mark.parametrize("crash", [True, False], ids=["crash", "stop"])
@pytest.mark.parametrize("workflow", [FIBOA, UNLOADING], ids=["hot", "unload"])
async def test_a_waiting_workflow_goes_on_in_the_next_daemon(lab: Lab, workflow: Use, crash: bool) -> None:
    async with lab.daemon(ELSEWHERE, workflow, crash=crash) as daemon:
        execution = await waiting_for_elsewhere(daemon)
    async with lab.daemon(FIBO, workflow) as daemon:
        assert await daemon.result(execution) == OK
        assert "temporarily_timed_out" not in await daemon.types(execution)
        assert (await daemon.types(child_id(execution, "o:1", 1))).count("locked") == 1
        await daemon.check(execution)


@pytest.mark.parametrize("crash", [True, False], ids=["crash", "stop"])
@pytest.mark.parametrize("on_block", ["hot", "unload"])
async def test_a_sleeper_wakes_in_the_next_daemon(still: Lab, clock: ManualClock, on_block: str, crash: bool) -> None:
    sleeper = Use("sleeper", on_block=on_block)
    async with still.daemon(sleeper, crash=crash) as daemon:
        execution = await daemon.submit(NAP, 60_000)
        await daemon.waiting(execution)
        due = clock.now() + 60_000_000
    clock.advance(timedelta(minutes=2))
    async with still.daemon(sleeper) as daemon:
        assert await daemon.result(execution) == Returned({"ok": due // 1_000_000})


async def test_a_running_activity_of_a_dead_daemon_is_repeated_and_counted(lab: Lab) -> None:
    async with lab.daemon(Use("faults"), crash=True) as daemon:
        execution = await daemon.submit(SPIN)
        await daemon.waiting(execution, "locked")
    async with lab.daemon(Use("faults", timeout=timedelta(milliseconds=20))) as daemon:
        await daemon.result(execution)
        counted = [e.event for e in await daemon.log(execution) if isinstance(e.event, TemporarilyTimedOut)]
        assert [event.reason for event in counted] == ["lost", "timeout"]


async def test_stopping_releases_what_runs_and_counts_nothing(lab: Lab) -> None:
    async with lab.daemon(Use("faults"), crash=True) as daemon:
        execution = await daemon.submit(SPIN)
        await daemon.settled(lambda: daemon.executor.running == 1)
        await daemon.executor.stop(timedelta())
        await daemon.settled(lambda: daemon.executor.running == 0)
        assert isinstance((await daemon.log(execution))[-1].event, Unlocked)
        row = await daemon.row(execution)
        assert (row.status, row.attempts) == ("pending_at", 0)
        await daemon.check(execution)


async def test_stopping_gives_an_attempt_its_grace(lab: Lab) -> None:
    async with lab.daemon(Use("faults", timeout=timedelta(milliseconds=400)), crash=True) as daemon:
        execution = await daemon.submit(SPIN)
        await daemon.settled(lambda: daemon.executor.running == 1)
        await daemon.executor.stop(timedelta(seconds=10))
        assert "unlocked" not in await daemon.types(execution)
        assert "temporarily_timed_out" in await daemon.types(execution)


async def test_stopping_in_the_moment_of_a_lock_releases_what_was_locked(lab: Lab) -> None:
    """The database has locked it; the executor hasn't heard yet."""
    async with lab.daemon(Use("faults"), crash=True) as daemon:
        submitted = asyncio.create_task(daemon.submit(SPIN))
        stopped = asyncio.Event()

        def stop(change: object) -> None:
            if getattr(change, "status", None) == "locked" and not stopped.is_set():
                stopped.set()
                stopping.append(asyncio.create_task(daemon.executor.stop(timedelta())))

        stopping: list[asyncio.Task[None]] = []
        daemon.store.subscribe(stop)
        execution = await submitted
        await asyncio.wait_for(stopped.wait(), 10)
        await asyncio.gather(*stopping)
        await daemon.settled(lambda: daemon.executor.running == 0)
        row = await daemon.row(execution)
        assert (row.status, row.attempts) == ("pending_at", 0)


async def test_stopping_leaves_waiting_workflows_to_the_next_daemon_without_an_event(lab: Lab) -> None:
    async with lab.daemon(ELSEWHERE, FIBOA) as daemon:
        execution = await waiting_for_elsewhere(daemon)
        version = (await daemon.row(execution)).version
    async with lab.daemon(ELSEWHERE, FIBOA) as daemon:
        assert (await daemon.row(execution)).version == version


async def test_a_guest_sees_the_same_time_whether_it_is_replayed_or_not(new_lab: NewLab) -> None:
    """Also where the clock fell behind the log, right after the lock."""
    drawn = []
    for on_block in ("hot", "unload"):
        clock = ManualClock()
        async with new_lab(clock).daemon(Use("random", on_block=on_block)) as daemon:

            def fall_behind(change: object, clock: ManualClock = clock) -> None:
                if getattr(change, "status", None) == "locked" and clock.now() == START + 3_600_000_000:
                    clock.advance(timedelta(minutes=-59))

            daemon.store.subscribe(fall_behind)
            execution = await daemon.submit(DRAW, wait=timedelta(minutes=1))
            clock.advance(timedelta(hours=1))
            daemon.look_at_the_clock()
            await daemon.waiting(execution)
            clock.advance(timedelta(hours=2))
            daemon.look_at_the_clock()
            drawn.append(await daemon.result(execution))
    assert drawn[0] == drawn[1]


# eviction


@pytest.mark.parametrize("max_hot", [0, 1, 2])
async def test_of_too_many_waiting_workflows_those_that_wait_longest_leave_memory(
    still: Lab, clock: ManualClock, max_hot: int
) -> None:
    async with still.daemon(Use("sleeper", max_hot=max_hot)) as daemon:
        ids = await asyncio.gather(*[daemon.submit(NAP, 60_000, number=number) for number in range(1, 6)])
        for execution in ids:
            await daemon.waiting(execution)
        await daemon.settled(lambda: daemon.executor.running == 0 and daemon.executor.hot == max_hot)
        clock.advance(timedelta(minutes=2))
        daemon.look_at_the_clock()
        assert [type(await daemon.result(execution)) for execution in ids] == [Returned] * 5
        locks = [(await daemon.types(execution)).count("locked") for execution in ids]
        assert locks.count(1) == max_hot
        await daemon.check(*ids)


# cancellation


async def test_cancelling_a_workflow_ends_all_below_it_first(lab: Lab) -> None:
    async with lab.daemon(ELSEWHERE, FIBOA, Use("nested")) as daemon:
        root = await daemon.submit(NEST, 10, 3)
        middle = child_id(root, "o:1", 1)
        await daemon.waiting(root)
        await daemon.until(lambda: daemon.states(middle), lambda states: "blocked" in states)
        leaf = child_id(middle, "o:1", 1)
        done = await daemon.cancel(root)
        assert (done.already_finished, done.reached) == (False, 3)
        ends = []
        for execution in (leaf, middle, root):
            entries = await daemon.log(execution)
            assert outcome_of((await daemon.row(execution)).outcome) == ("cancelled", "cancelled on request")
            assert [e.event for e in entries].count(CancellationRequested()) == 1
            ends.append(entries[-1].created_at)
            await daemon.check(execution)
        assert ends == sorted(ends)
        await daemon.settled(lambda: daemon.executor.running == 0 and daemon.executor.hot == 0)


async def test_cancelling_a_running_activity_drops_its_guest_at_once(lab: Lab) -> None:
    async with lab.daemon(Use("faults")) as daemon:
        execution = await daemon.submit(SPIN)
        await daemon.waiting(execution, "locked")
        await daemon.cancel(execution)
        assert daemon.executor.running == 0
        assert isinstance((await daemon.log(execution))[-1].event, Finished)
        assert (await daemon.row(execution)).outcome is not None


async def test_cancelling_in_the_moment_of_a_lock_leaves_no_slot_taken(lab: Lab) -> None:
    async with lab.daemon(Use("faults")) as daemon:
        cancelling: list[asyncio.Task[object]] = []

        def cancel(change: object) -> None:
            if getattr(change, "status", None) == "locked" and not cancelling:
                cancelling.append(asyncio.create_task(daemon.cancel(change.execution_id)))  # type: ignore[attr-defined]

        daemon.store.subscribe(cancel)
        execution = await daemon.submit(SPIN)
        assert outcome_of(await daemon.result(execution)) == ("cancelled", "cancelled on request")
        await daemon.settled(lambda: daemon.executor.running == 0)
        assert daemon.executor.members[0]._runs == {}


async def test_cancelling_a_workflow_with_a_running_activity_drops_both(lab: Lab) -> None:
    async with lab.daemon(Use("faults"), Use("faulty-caller")) as daemon:
        root = await daemon.submit(CALL_SPIN)
        leaf = child_id(root, "o:1", 1)
        await daemon.until(lambda: daemon.states(leaf), lambda states: "locked" in states)
        await daemon.cancel(root)
        assert [outcome_of((await daemon.row(e)).outcome) for e in (leaf, root)] == [
            ("cancelled", "cancelled on request")
        ] * 2
        await daemon.settled(lambda: daemon.executor.running == 0)


async def test_cancelling_what_has_ended_says_so(lab: Lab) -> None:
    async with lab.daemon() as daemon:
        execution = await daemon.submit(RUN, 10, 1)
        await daemon.result(execution)
        assert (await daemon.cancel(execution)).already_finished


async def test_a_cancellation_that_a_crash_cut_off_is_completed_by_the_next_daemon(lab: Lab) -> None:
    async with lab.daemon(
        Use("faults", retry=msgspec.structs.replace(FIBO.retry, max_retries=0)), crash=True
    ) as daemon:
        execution = await daemon.submit(SPIN)
        await daemon.waiting(execution, "locked")
        await daemon.store.request_cancellation(execution, daemon.services.clock.now())
    async with lab.daemon(Use("faults")) as daemon:
        assert outcome_of(await daemon.result(execution)) == ("cancelled", "cancelled on request")


# other code


@pytest.mark.parametrize("workflow", ["fiboa-reordered", "fiboa-changed"])
async def test_code_that_diverges_is_paused_and_goes_on_when_the_former_code_is_back(lab: Lab, workflow: str) -> None:
    async with lab.daemon(ELSEWHERE, FIBOA, crash=True) as daemon:
        execution = await waiting_for_elsewhere(daemon)
    async with lab.daemon(FIBO, FIBOA) as daemon:
        await daemon.until(lambda: daemon.row(execution), lambda row: row.version > 6)
    async with lab.daemon(FIBO, Use(workflow)) as daemon:
        pass
    async with lab.daemon(FIBO, FIBOA) as daemon:
        assert await daemon.result(execution) == OK


async def paused_by(lab: Lab, workflow: str, **settings: object) -> ExecutionId:
    """Give a workflow that was waiting for its first call, and was then replayed with other code."""
    async with lab.daemon(ELSEWHERE, FIBOA, crash=True) as daemon:
        execution = await waiting_for_elsewhere(daemon)
    async with lab.daemon(FIBO, Use(workflow, **settings)) as daemon:  # type: ignore[arg-type]
        await daemon.until(
            lambda: daemon.row(execution), lambda row: row.lifecycle == "paused" or row.status == "finished"
        )
        await daemon.settled(lambda: daemon.executor.running == 0)
        await daemon.check(execution)
    return execution


async def test_a_pause_names_the_version_and_both_sides(lab: Lab) -> None:
    execution = await paused_by(lab, "fiboa-reordered")
    async with lab.daemon(FIBO, Use("fiboa-reordered")) as daemon:
        paused = (await daemon.log(execution))[-1].event
        assert isinstance(paused, Paused)
        assert paused.failure_id is not None
        assert (paused.reason, paused.digest) == (
            "nondeterminism",
            daemon.services.plan.functions[RUN].component.digest,
        )
        message = (await daemon.store.reads.failure(paused.failure_id)).message
        assert message == paused.message
        assert message.startswith("at version 3: expected a call of testing:fibo/fibo.fibo with [10] in join set o:1")
        assert ", got a delay " in message


async def test_a_pause_is_not_lifted_by_the_code_that_diverged(lab: Lab) -> None:
    execution = await paused_by(lab, "fiboa-reordered")
    async with lab.daemon(FIBO, Use("fiboa-reordered")) as daemon:
        assert (await daemon.row(execution)).lifecycle == "paused"
        assert "unpaused" not in await daemon.types(execution)


async def test_a_pause_is_lifted_by_the_former_code_which_ends_right(lab: Lab) -> None:
    execution = await paused_by(lab, "fiboa-reordered")
    async with lab.daemon(FIBO, FIBOA) as daemon:
        assert await daemon.result(execution) == OK
        assert (await daemon.types(execution)).count("paused") == 1
        await daemon.check(execution)


async def test_code_that_diverges_may_fail_the_execution_instead(lab: Lab) -> None:
    execution = await paused_by(lab, "fiboa-reordered", on_nondeterminism="fail")
    async with lab.daemon(FIBO, FIBOA) as daemon:
        outcome = await daemon.result(execution)
        assert isinstance(outcome, Failed)
        assert outcome.kind == "nondeterminism"


async def test_code_that_traps_where_its_log_goes_on_has_diverged_and_is_not_lost(lab: Lab) -> None:
    execution = await paused_by(lab, "trapping")
    async with lab.daemon(FIBO, FIBOA) as daemon:
        (paused,) = [e.event for e in await daemon.log(execution) if isinstance(e.event, Paused)]
        assert paused.message is not None
        assert "expected a new join set o:1, got a failure of the function: wasm" in paused.message
        assert paused.failure_id is not None
        assert (await daemon.store.reads.failure(paused.failure_id)).backtrace
        assert await daemon.result(execution) == OK
