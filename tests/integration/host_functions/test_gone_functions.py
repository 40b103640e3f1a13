"""Calls of functions that the manifest has no longer (`--allow-break`): clear failures, that a workflow can handle."""

import json

import pytest

from obelisk_daemon.execution.outcome import Failed
from obelisk_daemon.ids import child_id
from tests.building import execution_id
from tests.integration.executor.engine import Lab
from tests.integration.executor.uses import FIBO, Use
from tests.integration.host_functions.programs import CREATE, FIBO_NAME, RUN, SOON, op, told

pytestmark = [pytest.mark.anyio, pytest.mark.guests]
WHY = f"generation 1 has no {FIBO_NAME} of the type that the caller's code knows"


def guest(on_block: str) -> Use:
    return Use("interpreter-python", on_block=on_block)


@pytest.mark.parametrize("on_block", ["hot", "unload"])
async def test_a_call_ends_at_once_and_its_caller_sees_an_error_of_the_declared_type(lab: Lab, on_block: str) -> None:
    async with lab.daemon(guest(on_block)) as daemon:
        execution = await daemon.submit(RUN, json.dumps([op("fibo", n=9), op("random-u64", min=0, max=1)]))
        run = await told(daemon, execution)
        child = child_id(execution, "o:1", 1)
        assert run.gave == [{"err": f"execution_failed: uncategorized (Err_2): {WHY}"}, 0]
        assert await daemon.types(child) == ["created", "finished"]
        row = await daemon.row(child)
        assert isinstance(row.outcome, Failed)
        assert (await daemon.store.reads.failure(row.outcome.failure_id)).message == WHY
        assert row.started_at is None
        await daemon.check(child)


async def test_the_generated_functions_give_the_same_error(lab: Lab) -> None:
    async with lab.daemon(guest("hot")) as daemon:
        program = [
            CREATE,
            op("fibo-submit", set=0, n=9),
            op("fibo-await-next", set=0),
            op("fibo-get", execution=0),
        ]
        execution = await daemon.submit(RUN, json.dumps(program))
        run = await told(daemon, execution)
        error = {"err": f"execution_failed: uncategorized (Err_2): {WHY}"}
        assert run.gave[-2:] == [{"ok": error}, {"ok": error}]


async def test_what_is_scheduled_ends_at_once_and_outlives_its_maker_as_a_failure(lab: Lab) -> None:
    async with lab.daemon(guest("hot")) as daemon:
        execution = await daemon.submit(RUN, json.dumps([op("fibo-schedule", when=SOON, n=9)]))
        await told(daemon, execution)
        (scheduled,) = [
            e.event.event.execution_id
            for e in await daemon.log(execution)
            if e.event.__struct_config__.tag == "history_event" and e.event.event.__struct_config__.tag == "schedule"
        ]
        assert await daemon.types(scheduled) == ["created", "finished"]
        outcome = (await daemon.row(scheduled)).outcome
        assert isinstance(outcome, Failed)
        assert (outcome.kind, outcome.reason) == ("uncategorized", WHY)
        await daemon.check(scheduled)


async def test_a_call_that_waits_when_its_function_goes_waits_until_it_is_back(lab: Lab) -> None:
    elsewhere = Use("fibo-activity", labels=frozenset({"elsewhere"}))
    async with lab.daemon(elsewhere, guest("hot")) as daemon:
        execution = await daemon.submit(RUN, json.dumps([op("fibo", n=10)]))
        await daemon.waiting(execution)
        await daemon.adopt(guest("hot"))
        assert (await daemon.row(child_id(execution_id(), "o:1", 1))).status == "pending_at"
        await daemon.adopt(FIBO, guest("hot"))
        assert (await told(daemon, execution)).gave == [{"ok": 55}]
