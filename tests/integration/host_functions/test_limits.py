"""A workflow that asks for very much: it is warned, fails at its limit, and lets others have its slot meanwhile."""

import json

import pytest

from obelisk_daemon.execution.outcome import Failed, Returned
from obelisk_daemon.executor import workflow as workflow_module
from obelisk_daemon.ids import ExecutionId
from tests.building import execution_id
from tests.integration.executor.engine import Lab
from tests.integration.executor.uses import FIBO, Use
from tests.integration.host_functions.conftest import Both
from tests.integration.host_functions.programs import CREATE, FIBO_NAME, NEVER, RUN, SOON, Program, op, told

pytestmark = [pytest.mark.anyio, pytest.mark.guests]
DRAW = op("random-u64", min=0, max=9)
WARNING = "10 history events: half of max_history_events (20), at which this execution fails"
HOT_AND_UNLOAD = pytest.mark.parametrize("on_block", ["hot", "unload"])


def limited(on_block: str, events: int = 20) -> Use:
    return Use("interpreter-python", on_block=on_block, max_history_events=events)


@HOT_AND_UNLOAD
async def test_a_workflow_is_warned_once_at_half_of_its_limit(lab: Lab, on_block: str) -> None:
    sleeps = [op("sleep", when=SOON, hide=True)] * 3
    async with lab.daemon(limited(on_block)) as daemon:
        execution = await daemon.submit(RUN, json.dumps([*sleeps, op("log", level="info", message="9"), *sleeps]))
        assert isinstance(await daemon.result(execution), Returned)
        assert await daemon.lines(execution) == ["9", WARNING]
        (_, line) = [line for _, _, line in await daemon.store.reads.log_lines(execution, 0, 9)]
        assert line.level == "warn"


@HOT_AND_UNLOAD
async def test_a_workflow_that_stays_below_half_of_its_limit_is_not_warned(lab: Lab, on_block: str) -> None:
    async with lab.daemon(limited(on_block)) as daemon:
        execution = await daemon.submit(RUN, json.dumps([op("sleep", when=SOON, hide=True)] * 3))
        assert isinstance(await daemon.result(execution), Returned)
        assert await daemon.lines(execution) == []


@HOT_AND_UNLOAD
@pytest.mark.parametrize(
    "more",
    [[DRAW] * 30, [op("sleep", when=SOON)] * 10, [op("fibo", n=3)] * 10, [CREATE] * 30],
    ids=["draw", "sleep", "call", "create"],
)
async def test_a_workflow_fails_at_its_limit_with_its_children_closed(
    lab: Lab, on_block: str, more: list[Program]
) -> None:
    open_set = [CREATE, op("approve-submit", set=0, order=7), op("submit-delay", set=0, when=NEVER)]
    async with lab.daemon(FIBO, limited(on_block)) as daemon:
        execution = await daemon.submit(RUN, json.dumps([*open_set, *more]))
        outcome = await daemon.result(execution)
        assert isinstance(outcome, Failed)
        assert (outcome.kind, outcome.reason) == (
            "limit_exceeded",
            "more than 20 history events (max_history_events)",
        )
        stub = await daemon.row(ExecutionId(f"{execution}.g:1_1"))
        assert isinstance(stub.outcome, Failed)
        assert stub.outcome.kind == "cancelled"
        run = await told(daemon, execution)
        closing = [number for number, item in enumerate(run.history) if item.get("closing")]
        assert closing[0] == 20
        assert run.lines == [WARNING]


async def test_a_child_at_its_limit_is_a_failure_its_parent_sees(lab: Lab) -> None:
    child = json.dumps([op("repeat", times=30, body=[DRAW])])
    program = [CREATE, op("submit-json", set=0, function=RUN, params=[child]), op("join-next", set=0)]
    async with lab.daemon(limited("hot")) as daemon:
        run = await told(
            daemon, await daemon.submit(RUN, json.dumps([*program, op("get-execution-failure-kind", execution=0)]))
        )
        assert run.gave[2]["ok"]["err"].startswith('"execution_failed: limit_exceeded (Err_')
        assert run.gave[3] == {"ok": "uncategorized"}


async def test_much_that_is_asked_without_waiting_is_committed_in_parts(lab: Lab) -> None:
    """So that what a workflow has done isn't lost, and memory doesn't grow with it."""
    appended: list[int] = []

    class Counting:
        def __init__(self, store) -> None:
            self._store = store

        def append(self, append, **more):
            appended.append(len(append.entries))
            return self._store.append(append, **more)

        def __getattr__(self, name):
            return getattr(self._store, name)

    body = [DRAW, op("execution-id-generate", hide=True), CREATE, op("join-next", set=0)]
    async with lab.daemon(FIBO, Use("interpreter-python"), over=Counting) as daemon:
        assert isinstance(await daemon.call(RUN, json.dumps([op("repeat", times=300, body=body, hide=True)])), Returned)
    assert max(appended) <= 257
    assert sum(appended) >= 1_200


POLLING = [CREATE, op("approve-submit", set=0, order=7), op("repeat", times=60, body=[op("join-next-try", set=0)])]
DRAWING = [op("repeat", times=1_000, body=[DRAW])]


@HOT_AND_UNLOAD
@pytest.mark.parametrize("program", [POLLING, DRAWING], ids=["polling", "drawing"])
async def test_a_busy_workflow_gives_its_slot_to_others_that_wait(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, on_block: str, program: list[Program]
) -> None:
    monkeypatch.setattr(workflow_module, "_YIELD_AFTER", 20)
    async with lab.daemon(FIBO, Use("interpreter-python", on_block=on_block), max_running=1) as daemon:
        busy = await daemon.submit(RUN, json.dumps(program))
        other = await daemon.submit(FIBO_NAME, 10, number=2)
        assert await daemon.result(other) == Returned({"ok": 55})
        run = await told(daemon, busy)
        log = await daemon.log(busy)
        reasons = [entry.event.reason for entry in log if entry.event.__struct_config__.tag == "unlocked"]
        assert set(reasons) == {"yielded"}
        ended = {one: (await daemon.log(one))[-1].created_at for one in (busy, other)}
        assert ended[other] <= ended[busy]
        assert len(run.history) >= 60


async def test_a_busy_workflow_keeps_its_slot_while_nobody_waits(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workflow_module, "_YIELD_AFTER", 20)
    async with lab.daemon(FIBO, Use("interpreter-python"), max_running=2) as daemon:
        await daemon.call(RUN, json.dumps(POLLING))
        assert "unlocked" not in await daemon.types(execution_id())


async def test_a_yielding_workflow_gives_what_an_undisturbed_one_gives(
    both: Both, lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    undisturbed = await both(*DRAWING)
    monkeypatch.setattr(workflow_module, "_YIELD_AFTER", 20)
    async with lab.daemon(FIBO, Use("interpreter-python"), max_running=1) as daemon:
        busy = await daemon.submit(RUN, json.dumps(DRAWING))
        for number in range(2, 8):
            await daemon.submit(FIBO_NAME, number, number=number)
        run = await told(daemon, busy)
        assert "unlocked" in await daemon.types(busy)
    assert (run.gave, run.history) == (undisturbed.gave, undisturbed.history)
