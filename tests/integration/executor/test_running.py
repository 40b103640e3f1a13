"""Workflows and activities from their submission to their result."""

import asyncio
import gc
import weakref
from collections.abc import Sequence
from datetime import timedelta

import msgspec
import pytest

from obelisk_daemon.execution.events import Entry, HistoryEvent, TemporarilyFailed, TemporarilyTimedOut
from obelisk_daemon.execution.outcome import Failed, Returned
from obelisk_daemon.ids import ExecutionId, child_id
from obelisk_daemon.storage.records import Append
from obelisk_daemon.storage.sql.store import SqlStore
from obelisk_daemon.wasm.callbacks import GUESTS
from tests.building import OK, execution_id, outcome_of
from tests.fakes.clock import ManualClock
from tests.integration.executor.engine import Lab, NewLab
from tests.integration.executor.uses import FIBO, FIBOA, QUICK, Use

pytestmark = pytest.mark.anyio
RUN = "testing:fibo/workflow.fiboa"
NEST = "testing:nested/outer.run"
NAP = "testing:sleeper/sleeper.nap"
FAULTS = "testing:faults/faults."
CALLER = "testing:faulty-caller/caller."
UNLOADING = msgspec.structs.replace(FIBOA, on_block="unload")


def history_of(entries: Sequence[Entry]) -> list[object]:
    """Give what a workflow asked, and its end, without locks and times."""
    kept = [e.event for e in entries if e.event.__struct_config__.tag not in ("created", "locked", "unlocked")]
    return [event.event if isinstance(event, HistoryEvent) else event for event in kept]


async def test_a_workflow_calls_activities_and_returns_the_last_answer(lab: Lab) -> None:
    async with lab.daemon() as daemon:
        execution = await daemon.submit(RUN, 10, 3)
        assert await daemon.result(execution) == OK
        calls = ["history_event"] * 9
        assert await daemon.types(execution) == ["created", "locked", *calls, "finished"]
        for number in (1, 2, 3):
            child = child_id(execution, f"o:{number}", 1)
            assert await daemon.types(child) == ["created", "locked", "finished"]
            assert (await daemon.row(child)).outcome == OK
            await daemon.check(execution, child)


async def test_a_workflow_that_asks_for_nothing_returns(lab: Lab) -> None:
    async with lab.daemon() as daemon:
        assert await daemon.call(RUN, 10, 0) == Returned({"ok": 0})


async def test_an_error_of_an_activity_reaches_the_workflows_caller(lab: Lab) -> None:
    async with lab.daemon() as daemon:
        outcome = await daemon.call(RUN, 94, 1)
        assert isinstance(outcome, Returned)
        assert list(outcome.value) == ["err"]


async def test_a_workflow_that_is_unloaded_leaves_the_same_log_and_result(lab: Lab, new_lab: NewLab) -> None:
    histories = []
    for one, workflow in ((lab, FIBOA), (new_lab(), UNLOADING)):
        async with one.daemon(FIBO, workflow) as daemon:
            execution = await daemon.submit(RUN, 10, 4)
            assert await daemon.result(execution) == OK
            histories.append(history_of(await daemon.log(execution)))
            await daemon.check(execution)
            locks = (await daemon.types(execution)).count("locked")
            assert locks == (1 if workflow is FIBOA else 5)
    assert histories[0] == histories[1]


@pytest.mark.parametrize("workflow", [FIBOA, UNLOADING], ids=["hot", "unload"])
async def test_a_workflow_calls_a_workflow(lab: Lab, workflow: Use) -> None:
    async with lab.daemon(FIBO, workflow, Use("nested")) as daemon:
        execution = await daemon.submit(NEST, 10, 2)
        assert await daemon.result(execution) == OK
        child = child_id(execution, "o:1", 1)
        assert (await daemon.row(child_id(child, "o:2", 1))).outcome == OK
        await daemon.check(execution, child)


@pytest.mark.parametrize("workflow", [FIBOA, UNLOADING], ids=["hot", "unload"])
@pytest.mark.parametrize("max_running", [1, 2])
async def test_few_slots_are_enough_for_workflows_that_wait_for_their_children(
    lab: Lab, workflow: Use, max_running: int
) -> None:
    async with lab.daemon(FIBO, workflow, Use("nested"), max_running=max_running) as daemon:
        ids = [await daemon.submit(NEST, 10, 3, number=number) for number in range(1, 5)]
        assert [await daemon.result(execution) for execution in ids] == [OK] * 4
        await daemon.settled(lambda: daemon.executor.running == 0)


async def test_only_so_many_run_at_a_time(lab: Lab) -> None:
    """More than the limit are due, and each spins until its time is over."""
    spinning = Use("faults", timeout=timedelta(milliseconds=20), retry=msgspec.structs.replace(QUICK, max_retries=0))
    async with lab.daemon(spinning, max_running=2) as daemon:
        most = 0

        def look(_: object) -> None:
            nonlocal most
            most = max(most, len(GUESTS))  # a run whose end is being written has none any more, nor a slot

        daemon.store.subscribe(look)
        ids = [await daemon.submit(f"{FAULTS}spin", number=number) for number in range(1, 7)]
        for execution in ids:
            await daemon.result(execution)
        assert most == 2


async def test_a_workflow_that_has_ended_leaves_nothing_to_the_garbage_collector(lab: Lab) -> None:
    async with lab.daemon(FIBO, FIBOA) as daemon:
        gc.disable()
        try:
            submitting = asyncio.create_task(daemon.submit(RUN, 10, 3))
            await daemon.settled(lambda: daemon.executor.holds(execution_id()))
            run = weakref.ref(daemon.members[0]._runs[execution_id()])
            await daemon.result(await submitting)
            await daemon.settled(lambda: run() is None)
        finally:
            gc.enable()


@pytest.mark.parametrize("on_block", ["hot", "unload"])
async def test_a_sleeper_sleeps_as_long_as_it_says(still: Lab, clock: ManualClock, on_block: str) -> None:
    async with still.daemon(Use("sleeper", on_block=on_block)) as daemon:
        execution = await daemon.submit(NAP, 3_600_000)
        await daemon.waiting(execution)
        due = clock.now() + 3_600_000_000
        clock.advance(timedelta(minutes=59))
        daemon.look_at_the_clock()
        await daemon.settled(lambda: daemon.timers._next == due)
        assert (await daemon.row(execution)).status == "blocked"
        clock.advance(timedelta(minutes=1))
        daemon.look_at_the_clock()
        assert await daemon.result(execution) == Returned({"ok": due // 1_000_000})


# attempts


async def test_an_activity_that_takes_too_long_is_repeated_and_then_timed_out(lab: Lab) -> None:
    async with lab.daemon(Use("faults", timeout=timedelta(milliseconds=20))) as daemon:
        execution = await daemon.submit(f"{FAULTS}spin")
        outcome = await daemon.result(execution)
        assert outcome_of(outcome) == ("timed_out", "timed out after 3 attempts: longer than 0.02 s")
        counted = [e.event for e in await daemon.log(execution) if isinstance(e.event, TemporarilyTimedOut)]
        assert [(event.attempt, event.reason) for event in counted] == [(1, "timeout"), (2, "timeout")]
        await daemon.check(execution)


async def test_an_activity_that_traps_is_repeated_and_every_failure_kept(lab: Lab) -> None:
    async with lab.daemon(Use("faults")) as daemon:
        execution = await daemon.submit(f"{FAULTS}trap")
        outcome = await daemon.result(execution)
        assert isinstance(outcome, Failed)
        assert outcome.kind == "trap"
        failed = [e.event for e in await daemon.log(execution) if isinstance(e.event, TemporarilyFailed)]
        ids = [*[event.failure_id for event in failed], outcome.failure_id]
        records = [await daemon.store.reads.failure(failure) for failure in ids if failure]
        assert [record.kind for record in records] == ["trap"] * 3
        assert all("unreachable" in record.message for record in records)


async def test_an_error_is_repeated_and_the_last_one_returned(lab: Lab) -> None:
    async with lab.daemon(Use("faults")) as daemon:
        execution = await daemon.submit(f"{FAULTS}fail-with", "no route")
        assert await daemon.result(execution) == Returned({"err": "no route"})
        assert (await daemon.types(execution)).count("temporarily_failed") == 2
        assert (await daemon.row(execution)).attempts == 3


async def test_a_permanent_error_is_not_repeated(lab: Lab) -> None:
    async with lab.daemon(Use("faults")) as daemon:
        assert await daemon.call(f"{FAULTS}permanent") == Returned({"err": "permanent_thing"})
        assert (await daemon.row(ExecutionId(f"E_{1:026d}"))).attempts == 1


async def test_a_function_without_a_result_returns_nothing(lab: Lab) -> None:
    async with lab.daemon(Use("faults")) as daemon:
        assert await daemon.call(f"{FAULTS}no-result") == Returned({"ok": None})


@pytest.mark.parametrize(
    ("function", "seen"),
    [
        ("call-trap", "execution_failed: trap (Err_"),
        ("call-spin", "execution_failed: timed_out (Err_"),
        ("call-permanent", "permanent-thing"),
        ("call-trap-variant", "execution-failed: execution_failed: trap (Err_"),
    ],
)
async def test_a_workflow_sees_the_failure_of_its_activity_as_an_error(lab: Lab, function: str, seen: str) -> None:
    patience = timedelta(milliseconds=20) if function == "call-spin" else timedelta(seconds=60)
    async with lab.daemon(Use("faults", timeout=patience), Use("faulty-caller")) as daemon:
        outcome = await daemon.call(f"{CALLER}{function}")
        assert isinstance(outcome, Returned)
        assert str(outcome.value["ok"]).startswith(seen)


async def test_a_workflow_fails_with_its_child_where_no_type_can_carry_the_failure(lab: Lab) -> None:
    async with lab.daemon(Use("faults"), Use("faulty-caller")) as daemon:
        execution = await daemon.submit(f"{CALLER}call-trap-no-result")
        outcome = await daemon.result(execution)
        child = (await daemon.row(child_id(execution, "o:1", 1))).outcome
        assert isinstance(outcome, Failed)
        assert isinstance(child, Failed)
        assert outcome.kind == "child_failed"
        assert (await daemon.store.reads.failure(outcome.failure_id)).cause == child.failure_id


async def test_a_workflow_that_computes_too_long_between_two_calls_is_timed_out_and_counted(lab: Lab) -> None:
    workflow = Use("logging", timeout=timedelta(milliseconds=60))
    async with lab.daemon(FIBO, workflow) as daemon:
        execution = await daemon.submit("testing:logging/logging.run", 2, True)
        assert outcome_of(await daemon.result(execution)) == (
            "timed_out", "timed out after 3 attempts: it computed too long between two host calls",
        )  # fmt: skip
        assert (await daemon.types(execution)).count("temporarily_timed_out") == 2
        await daemon.check(execution)


# log lines


LINES = ["begin", "after", "after", "after"]


@pytest.mark.parametrize("on_block", ["hot", "unload"])
async def test_a_workflows_log_lines_are_stored_exactly_once(lab: Lab, on_block: str) -> None:
    async with lab.daemon(FIBO, Use("logging", on_block=on_block)) as daemon:
        execution = await daemon.submit("testing:logging/logging.run", 3, False)
        assert await daemon.result(execution) == Returned({"ok": 7})
        assert await daemon.lines(execution) == LINES


async def test_many_lines_of_an_activity_are_written_a_few_at_a_time_and_the_last_with_its_end(lab: Lab) -> None:
    appends: list[Append] = []

    def over(store: SqlStore) -> SqlStore:
        appending = store.append
        store.append = lambda made, **how: appends.append(made) or appending(made, **how)  # type: ignore[method-assign]
        return store

    async with lab.daemon(Use("printing"), over=over) as daemon:
        execution = await daemon.submit("test:hostile/printing.run")
        assert await daemon.result(execution) == Returned({"ok": 7})
        assert await daemon.lines(execution) == ["a line"] * 600
        assert [len(append.logs) for append in appends] == [100]
        await daemon.check(execution)


async def test_the_log_lines_of_a_run_that_is_repeated_are_stored_once(lab: Lab) -> None:
    """The run logs and then computes too long, three times; each replay logs the same again."""
    async with lab.daemon(FIBO, Use("logging", timeout=timedelta(milliseconds=60))) as daemon:
        execution = await daemon.submit("testing:logging/logging.run", 3, True)
        assert isinstance(await daemon.result(execution), Failed)
        assert await daemon.lines(execution) == LINES
