"""What the metrics count of real runs: each turn once, when it is durable."""

from datetime import timedelta

import msgspec
import pytest

from obelisk_daemon.execution.outcome import Failed, FailureRecord
from obelisk_daemon.ids import ExecutionId, FailureId
from obelisk_daemon.metrics import ExecutionMetrics
from obelisk_daemon.storage.records import DelayEnded, Recorded
from obelisk_daemon.telemetry.spans import SpanRecord, spans_of
from tests.building import OK
from tests.fakes.clock import ManualClock
from tests.integration.executor.engine import Daemon, Lab
from tests.integration.executor.uses import FIBO, FIBOA, QUICK, Use

pytestmark = pytest.mark.anyio
RUN = "testing:fibo/workflow.fiboa"
FAULTS = "testing:faults/faults."
CALL_SPIN = "testing:faulty-caller/caller.call-spin"
ACTIVITY, WORKFLOW = ("fibo-activity", "activity"), ("fibo-workflow", "workflow")
BROKEN = ("faults", "activity")
ONCE = msgspec.structs.replace(QUICK, max_retries=0)
UNLOADING = msgspec.structs.replace(FIBOA, on_block="unload")


def counted(daemon: Daemon) -> ExecutionMetrics:
    return daemon.services.metrics.executions


def attempts(daemon: Daemon, of: tuple[str, str]) -> dict[str, float]:
    """Give the attempts of a component by outcome."""
    names = ("ok", "error", "trap", "timeout", "cancelled", "lost")
    return {name: number for name in names if (number := counted(daemon).attempts.value(*of, name))}


async def test_a_workflow_and_its_activities_are_submitted_started_and_finished_once(lab: Lab) -> None:
    async with lab.daemon(FIBO, FIBOA) as daemon:
        assert await daemon.call(RUN, 10, 3) == OK
        metrics = counted(daemon)
        for of, number in ((ACTIVITY, 3), (WORKFLOW, 1)):
            assert metrics.submitted.value(*of) == number
            assert metrics.started.value(*of) == number
            assert metrics.finished.value(*of, "ok", "") == number
            assert metrics.wait_seconds.count(*of) == number
            assert attempts(daemon, of) == {"ok": number}
        assert metrics.attempt_seconds.count("fibo-activity") == 3
        assert metrics.workflow_seconds.count("fibo-workflow") == 1
        assert metrics.workflow_seconds.count("fibo-activity") == metrics.replay_seconds.count("fibo-workflow") == 0


async def test_a_workflow_that_leaves_memory_is_started_once_and_replayed_as_often_as_it_comes_back(lab: Lab) -> None:
    async with lab.daemon(FIBO, UNLOADING) as daemon:
        assert await daemon.call(RUN, 10, 3) == OK
        metrics = counted(daemon)
        assert metrics.started.value(*WORKFLOW) == 1
        assert metrics.wait_seconds.count(*WORKFLOW) == 4
        assert metrics.replay_seconds.count("fibo-workflow") == 3
        assert metrics.replayed_events.value("fibo-workflow") > 3
        assert attempts(daemon, WORKFLOW) == {"ok": 1}


@pytest.mark.parametrize(
    ("function", "ended", "of_attempts"),
    [
        ("fail-with", ("err", ""), {"error": 3}),
        ("permanent", ("err", ""), {"error": 1}),
        ("trap", ("failed", "trap"), {"trap": 3}),
        ("spin", ("failed", "timed_out"), {"timeout": 3}),
    ],
)
async def test_each_attempt_is_counted_by_what_came_of_it(
    lab: Lab, function: str, ended: tuple[str, str], of_attempts: dict[str, float]
) -> None:
    patience = timedelta(milliseconds=20) if function == "spin" else timedelta(seconds=60)
    async with lab.daemon(Use("faults", timeout=patience)) as daemon:
        await daemon.call(f"{FAULTS}{function}", *(["no route"] if function == "fail-with" else []))
        assert attempts(daemon, BROKEN) == of_attempts
        assert counted(daemon).finished.value(*BROKEN, *ended) == 1
        assert counted(daemon).started.value(*BROKEN) == 1
        assert counted(daemon).attempt_seconds.count("faults") == sum(of_attempts.values())


async def test_a_cancelled_run_is_an_attempt_and_what_only_waited_is_none(lab: Lab) -> None:
    async with lab.daemon(Use("faults"), Use("faulty-caller"), max_running=1) as daemon:
        running = await daemon.submit(f"{FAULTS}spin")
        await daemon.waiting(running, "locked")
        waiting = await daemon.submit(f"{FAULTS}spin", number=2)
        await daemon.cancel(waiting)
        assert attempts(daemon, BROKEN) == {}
        await daemon.cancel(running)
        assert attempts(daemon, BROKEN) == {"cancelled": 1}
        assert counted(daemon).finished.value(*BROKEN, "failed", "cancelled") == 2


@pytest.mark.parametrize("retry", [QUICK, ONCE], ids=["repeated", "given up"])
async def test_a_run_of_a_dead_daemon_is_lost(lab: Lab, retry: object) -> None:
    spinning = Use("faults", timeout=timedelta(milliseconds=20), retry=retry)  # type: ignore[arg-type]
    async with lab.daemon(msgspec.structs.replace(spinning, timeout=timedelta(seconds=30)), crash=True) as daemon:
        execution = await daemon.submit(f"{FAULTS}spin")
        await daemon.waiting(execution, "locked")
    async with lab.daemon(spinning) as daemon:
        await daemon.result(execution)
        assert attempts(daemon, BROKEN)["lost"] == 1
        assert counted(daemon).started.value(*BROKEN) == 0
        assert counted(daemon).finished.value(*BROKEN, "failed", "timed_out") == 1


async def test_a_wait_is_as_long_as_from_due_to_locked(still: Lab, clock: ManualClock) -> None:
    async with still.daemon(Use("faults", retry=ONCE), max_running=1) as daemon:
        spinning = await daemon.submit(f"{FAULTS}spin")
        await daemon.waiting(spinning, "locked")
        await daemon.submit(f"{FAULTS}trap", number=2, wait=timedelta(seconds=5))
        clock.advance(timedelta(seconds=65))
        daemon.look_at_the_clock()
        await daemon.cancel(spinning)
        assert isinstance(await daemon.result(ExecutionId(f"E_{2:026d}")), Failed)
        assert counted(daemon).wait_seconds.count(*BROKEN) == 2
        assert counted(daemon).wait_seconds.total(*BROKEN) == 60
        assert counted(daemon).attempt_seconds.total("faults") == 65


async def test_what_the_database_refuses_is_not_counted(lab: Lab) -> None:
    async with lab.daemon(Use("faults"), max_running=1) as daemon:
        running = await daemon.submit(f"{FAULTS}spin")
        await daemon.waiting(running, "locked")
        record = FailureRecord(FailureId("Err_1"), "cancelled", "by hand")
        await daemon.store.end_all_leases()
        await daemon.store.finish_cancelled(running, daemon.services.clock.now(), record)
        await daemon.executor.drop(running, "cancelled")
        assert attempts(daemon, BROKEN) == {"cancelled": 1}
        assert await daemon.submit(f"{FAULTS}spin") == running  # the same call again
        assert counted(daemon).submitted.value(*BROKEN) == 1


async def test_a_workflow_that_waits_again_where_its_log_ends_makes_no_span_and_breaks_nothing(lab: Lab) -> None:
    caller = Use("faulty-caller", on_block="unload")
    spans: list[SpanRecord] = []
    recorded: list[Recorded | DelayEnded] = []
    async with lab.daemon(Use("faults"), caller) as daemon:
        daemon.store.observe(recorded.append)
        daemon.store.observe(lambda ended: spans.extend(spans_of(ended)))
        execution = await daemon.submit(CALL_SPIN)
        await daemon.waiting(execution)
        await daemon.store.pause(execution, daemon.services.clock.now())
        await daemon.store.unpause(execution, daemon.services.clock.now(), "operator")
        await daemon.settled(lambda: any(isinstance(one, Recorded) and not one.entries for one in recorded))
        assert (await daemon.row(execution)).status == "blocked"
        assert not [span for span in spans if span.name == CALL_SPIN]
        await daemon.cancel(execution)
