"""Executions that must not get stuck, nor be tried for ever."""

import json

import msgspec
import pytest

from obelisk_daemon.execution.outcome import Failed
from tests.integration.executor.engine import Lab
from tests.integration.executor.uses import FIBO, FIBOA, QUICK, Use

pytestmark = pytest.mark.anyio
INTERPRETER = Use("interpreter-python")
NEVER = {"in": {"hours": 9}}


@pytest.mark.guests
async def test_a_commit_after_an_answer_that_was_there_leaves_nothing_blocked_that_nobody_wakes(lab: Lab) -> None:
    program = [
        {"op": "join-set-create"},
        *[{"op": "approve-submit", "set": 0, "order": n} for n in range(2)],
        *[{"op": "approve-stub", "execution": n, "result": {"ok": True}} for n in range(2)],
        {"op": "join-next", "set": 0},
        {"op": "join-next", "set": 0},
        {"op": "approve-stub", "execution": 0, "result": {"ok": True}},  # commits, after a join-next without a wait
        {"op": "sleep", "when": NEVER},
    ]
    async with lab.daemon(FIBO, INTERPRETER) as daemon:
        execution = await daemon.submit("testing:interpreter/interpreter.run", json.dumps(program))
        await daemon.until(lambda: daemon.row(execution), lambda row: row.status == "blocked" and row.join_set == "o:1")
        assert "unlocked" not in await daemon.types(execution)


async def test_an_activity_whose_stored_parameters_no_longer_fit_fails_after_its_retries(lab: Lab) -> None:
    async with lab.daemon(FIBO) as daemon:
        execution = await daemon.submit("testing:fibo/fibo.fibo", "not a number")
        outcome = await daemon.result(execution)
        assert isinstance(outcome, Failed)
        assert (outcome.kind, "don't fit" in outcome.reason) == ("uncategorized", True)
        assert (await daemon.types(execution)).count("temporarily_failed") == 2


async def test_a_workflow_whose_stored_parameters_no_longer_fit_waits_for_code_that_takes_them(lab: Lab) -> None:
    async with lab.daemon(FIBO, FIBOA) as daemon:
        execution = await daemon.submit("testing:fibo/workflow.fiboa", "not a number", 1)
        row = await daemon.until(lambda: daemon.row(execution), lambda row: row.lifecycle == "paused")
        assert row.pause_reason == "nondeterminism"
        assert (await daemon.types(execution))[-1] == "paused"


async def test_a_workflow_that_takes_the_daemon_with_it_too_often_fails_in_a_run_of_its_own(lab: Lab) -> None:
    spinning = Use("logging", retry=msgspec.structs.replace(QUICK, max_retries=0))
    async with lab.daemon(FIBO, spinning, crash=True) as daemon:
        execution = await daemon.submit("testing:logging/logging.run", 0, True)
        await daemon.waiting(execution, "locked")
    async with lab.daemon(FIBO, spinning) as daemon:
        outcome = await daemon.result(execution)
        assert isinstance(outcome, Failed)
        assert (outcome.kind, "after 1 attempts" in outcome.reason) == ("timed_out", True)
        assert await daemon.types(execution) == ["created", "locked", "temporarily_timed_out", "locked", "finished"]
