"""Whole logs of workflows that use join sets, delays, stubs, closing and cancellation (issue 3, "Done when" 1)."""

import asyncio
import json

import msgspec
import pytest
from syrupy.assertion import SnapshotAssertion

from obelisk_daemon.execution.outcome import Failed
from obelisk_daemon.ids import ExecutionId
from tests.golden.logs.conftest import told
from tests.integration.executor.engine import Daemon, Lab
from tests.integration.executor.uses import FIBO, FIBOA, Use

pytestmark = [pytest.mark.anyio, pytest.mark.guests]
INTERPRETER = Use("interpreter-python")
RUN = "testing:interpreter/interpreter.run"
SET = {"op": "join-set-create"}
SOON, LATE, NEVER = {"in": {"milliseconds": 1}}, {"in": {"milliseconds": 200}}, {"in": {"hours": 9}}
FIBO_CALL = {"function": "testing:fibo/fibo.fibo", "params": [10]}


async def run(daemon: Daemon, *program: dict[str, object], number: int = 1) -> ExecutionId:
    """Run a program to its end."""
    execution = await daemon.submit(RUN, json.dumps(program), number=number)
    await daemon.result(execution)
    return execution


def hidden(operation: str, **arguments: object) -> dict[str, object]:
    """Ask for something whose answer holds a time or an id that changes."""
    return {"op": operation, "hide": True, **arguments}


async def test_two_delays_race(lab: Lab, snapshot: SnapshotAssertion) -> None:
    async with lab.daemon(FIBO, INTERPRETER) as daemon:
        execution = await run(
            daemon,
            SET,
            {"op": "submit-delay", "set": 0, "when": LATE},
            {"op": "submit-delay", "set": 0, "when": SOON},
            {"op": "join-next", "set": 0},
            {"op": "join-set-last-id", "set": 0},
            {"op": "join-next", "set": 0},
            {"op": "join-set-last-id", "set": 0},
        )
        assert await told(daemon, execution) == snapshot


async def test_a_stub_and_a_delay_race(lab: Lab, snapshot: SnapshotAssertion) -> None:
    async with lab.daemon(FIBO, INTERPRETER) as daemon:
        execution = await run(
            daemon,
            {"op": "join-set-create-named", "name": "approval"},
            {"op": "approve-submit", "set": 0, "order": 7},
            {"op": "submit-delay", "set": 0, "when": SOON},
            {"op": "join-next", "set": 0},
            {"op": "approve-stub", "execution": 0, "result": {"ok": True}},
            {"op": "approve-await-next", "set": 0},
            {"op": "approve-get", "execution": 0},
        )
        stub = ExecutionId(f"{execution}.n:approval_1")
        assert await told(daemon, execution, stub) == snapshot


async def test_join_next_try_finds_nothing_then_something_then_the_end(lab: Lab, snapshot: SnapshotAssertion) -> None:
    async with lab.daemon(FIBO, INTERPRETER) as daemon:
        execution = await run(
            daemon,
            SET,
            {"op": "approve-submit", "set": 0, "order": 7},
            {"op": "join-next-try", "set": 0},
            {"op": "approve-stub", "execution": 0, "result": {"err": "no"}},
            {"op": "join-next-try", "set": 0},
            {"op": "join-next-try", "set": 0},
        )
        assert await told(daemon, execution) == snapshot


async def test_a_join_set_without_more_to_come_says_all_processed(lab: Lab, snapshot: SnapshotAssertion) -> None:
    async with lab.daemon(FIBO, INTERPRETER) as daemon:
        execution = await run(
            daemon,
            SET,
            {"op": "join-next", "set": 0},
            {"op": "fibo-submit", "set": 0, "n": 10},
            {"op": "approve-await-next", "set": 0},
            {"op": "fibo-await-next", "set": 0},
            {"op": "join-next-try", "set": 0},
        )
        assert await told(daemon, execution) == snapshot


async def test_a_close_cancels_what_may_be_cancelled_and_awaits_the_rest(lab: Lab, snapshot: SnapshotAssertion) -> None:
    async with lab.daemon(FIBO, msgspec.structs.replace(FIBOA, cancellable=False), INTERPRETER) as daemon:
        execution = await run(
            daemon,
            SET,
            {"op": "submit-delay", "set": 0, "when": NEVER},
            {"op": "approve-submit", "set": 0, "order": 7},
            {"op": "submit-json", "set": 0, "function": "testing:fibo/workflow.fiboa", "params": [10, 1]},
            {"op": "join-set-close", "set": 0},
            {"op": "get-execution-failure-kind", "execution": 0},
            {"op": "get-execution-failure-kind", "execution": 1},
        )
        log = await told(daemon, execution)
        # which of the members answers first is chance
        lines = log.splitlines()
        answers = sorted(line.partition(" in ")[2] for line in lines if line.startswith("  response"))
        assert [line for line in lines if not line.startswith("  response")] + answers == snapshot


async def test_children_of_a_workflow_that_traps_are_cancelled_before_it_ends(
    lab: Lab, snapshot: SnapshotAssertion
) -> None:
    async with lab.daemon(FIBO, INTERPRETER) as daemon:
        execution = await run(
            daemon,
            SET,
            {"op": "approve-submit", "set": 0, "order": 7},
            {"op": "submit-delay", "set": 0, "when": NEVER},
            {"op": "trap", "message": "on purpose"},
        )
        row = await daemon.row(execution)
        assert isinstance(row.outcome, Failed)
        assert row.outcome.kind == "trap"
        stub = ExecutionId(f"{execution}.g:1_1")
        assert await told(daemon, execution, stub) == snapshot


async def test_a_stub_that_is_not_there_is_not_found(lab: Lab, snapshot: SnapshotAssertion) -> None:
    async with lab.daemon(FIBO, INTERPRETER) as daemon:
        unknown = {"id": "E_00000000000000000000000000"}
        execution = await run(
            daemon,
            {"op": "approve-stub", "execution": unknown, "result": {"ok": True}},
            {"op": "stub-json", "execution": unknown, "result": {"ok": True}},
            {"op": "stub-json", "execution": {"id": "nonsense"}, "result": {"ok": True}},
        )
        assert await told(daemon, execution) == snapshot


async def test_a_stub_takes_the_same_result_twice_and_no_other(lab: Lab, snapshot: SnapshotAssertion) -> None:
    async with lab.daemon(FIBO, INTERPRETER) as daemon:
        execution = await run(
            daemon,
            SET,
            {"op": "approve-submit", "set": 0, "order": 7},
            {"op": "approve-stub", "execution": 0, "result": {"ok": True}},
            {"op": "approve-stub", "execution": 0, "result": {"ok": True}},
            {"op": "approve-stub", "execution": 0, "result": {"ok": False}},
            {"op": "stub-json", "execution": 0, "result": {"ok": 5}},
        )
        assert await told(daemon, execution) == snapshot


async def test_workflows_call_each_other_three_deep(lab: Lab, snapshot: SnapshotAssertion) -> None:
    def nested(*program: dict[str, object]) -> dict[str, object]:
        return {"op": "call-json", "function": RUN, "params": [json.dumps(program)]}

    async with lab.daemon(FIBO, INTERPRETER) as daemon:
        execution = await run(daemon, nested(nested({"op": "fibo", "n": 10})))
        below = [ExecutionId(execution + ".o:1_1" * depth) for depth in range(4)]
        assert await told(daemon, *below) == snapshot


async def test_scheduling_makes_executions_that_are_nobodys_children(lab: Lab, snapshot: SnapshotAssertion) -> None:
    async with lab.daemon(FIBO, INTERPRETER) as daemon:
        execution = await run(
            daemon,
            hidden("execution-id-generate"),
            {"op": "schedule-json", "execution": 0, "when": "now", **FIBO_CALL},
            {"op": "schedule-json", "execution": 0, "when": "now", "function": "no:such/thing.f", "params": []},
            hidden("fibo-schedule", when=SOON, n=9),
        )
        scheduled = [e.event.event for e in await daemon.log(execution) if hasattr(e.event, "event")]
        ids = [item.execution_id for item in scheduled if type(item).__name__ == "Schedule" and item.error is None]
        assert [(await daemon.result(one)).value for one in ids] == [{"ok": 55}, {"ok": 34}]
        assert [type(item).__name__ for item in scheduled] == snapshot


async def test_a_tree_of_fifty_is_cancelled_in_all_its_states(lab: Lab, snapshot: SnapshotAssertion) -> None:
    """Some wait for a delay, some for a stub, some for a child, some have finished."""
    leaf = json.dumps([{"op": "sleep", "when": NEVER}])
    done = json.dumps([{"op": "random-string", "min": 1, "max": 2, "hide": True}])
    branch = [SET]
    branch += [{"op": "submit-json", "set": 0, "function": RUN, "params": [leaf]}] * 3
    branch.append({"op": "submit-json", "set": 0, "function": RUN, "params": [done]})
    branch += [{"op": "approve-submit", "set": 0, "order": n} for n in range(2)]
    branch += [{"op": "join-next", "set": 0}, {"op": "join-next", "set": 0}]
    tree = [SET, *[{"op": "submit-json", "set": 0, "function": RUN, "params": [json.dumps(branch)]} for _ in range(7)]]
    tree.append({"op": "join-next", "set": 0})
    async with lab.daemon(FIBO, INTERPRETER) as daemon:
        execution = await daemon.submit(RUN, json.dumps(tree))
        # the root, its branches and the leaves that sleep; and the stubs, which are pending for ever
        await daemon.until(lambda: counted(daemon), lambda counts: counts == {"blocked": 1 + 7 + 21, "pending_at": 14})
        cancelled = await daemon.executor.canceller.cancel(execution, force=True)
        assert (cancelled.reached, cancelled.awaited) == (1 + 7 * 6, 0)
        assert await counted(daemon) == {}
        outcomes = await asyncio.gather(*[daemon.row(one) for one in await everybody(daemon, execution)])
        assert len(outcomes) == 50
        kinds = [row.outcome.kind if isinstance(row.outcome, Failed) else "ok" for row in outcomes]
        assert {kind: kinds.count(kind) for kind in kinds} == snapshot(name="after")


async def counted(daemon: Daemon) -> dict[str, int]:
    return dict(await daemon.store.reads.counts())


async def everybody(daemon: Daemon, root: ExecutionId) -> list[ExecutionId]:
    found = [root]
    for child in [ExecutionId(f"{root}.g:1_{n}") for n in range(1, 8)]:
        found += [child, *[ExecutionId(f"{child}.g:1_{n}") for n in range(1, 7)]]
    return found
