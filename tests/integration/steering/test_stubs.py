"""Stubs that a person finishes."""

import json

import pytest

from tests import guests
from tests.fakes.api import execution_id
from tests.fakes.serving import ctl_at
from tests.integration.steering.conftest import Start
from tests.integration.steering.manifests import APPROVAL, APPROVE, interpreter

pytestmark = pytest.mark.anyio
ID = execution_id()


async def test_a_stub_waits_for_its_result_and_takes_it_once(start: Start) -> None:
    async with start(APPROVAL) as daemon:
        await daemon.submit(ID, APPROVE, 7)
        shown = await daemon.show(ID)
        assert shown["state"] == "pending_at"
        assert "due_at" not in shown
        for _ in range(2):
            status, done = await daemon.post(f"executions/{ID}/stub", {"ok": True})
            assert (status, done["state"], done["result"]) == (200, "finished", {"ok": True})
        for other in ({"ok": False}, {"err": "no"}):
            status, refused = await daemon.post(f"executions/{ID}/stub", other)
            assert (status, refused["code"]) == (409, "stub_conflict")


@pytest.mark.parametrize("wrong", [{"ok": 1}, {"err": None}, True, None, {"ok": True, "err": "x"}])
async def test_a_result_of_another_type_is_refused_and_the_stub_waits_on(start: Start, wrong: object) -> None:
    async with start(APPROVAL) as daemon:
        await daemon.submit(ID, APPROVE, 7)
        status, refused = await daemon.post(f"executions/{ID}/stub", wrong)
        assert (status, refused["code"]) == (422, "type_check_failed")
        assert (await daemon.show(ID))["state"] == "pending_at"


async def test_only_stubs_are_given_their_results(start: Start) -> None:
    async with start(guests.manifest_entry("faults")) as daemon:
        await daemon.submit(ID, "faults.echo-text", "x")
        status, refused = await daemon.post(f"executions/{ID}/stub", {"ok": "x"})
        assert (status, refused["code"]) == (409, "not_a_stub")
        status, refused = await daemon.post(f"executions/{execution_id(9)}/stub", {"ok": "x"})
        assert (status, refused["code"]) == (404, "execution_not_found")


async def test_a_cancelled_stub_takes_no_result(start: Start) -> None:
    async with start(APPROVAL) as daemon:
        await daemon.submit(ID, APPROVE, 7)
        await daemon.post(f"executions/{ID}/cancel")
        status, refused = await daemon.post(f"executions/{ID}/stub", {"ok": True})
        assert (status, refused["code"]) == (409, "stub_conflict")
        assert (await daemon.result(ID))["execution_failure"]["kind"] == "cancelled"


@pytest.mark.guests
@pytest.mark.parametrize("on_block", ["hot", "unload"])
async def test_a_workflow_that_waits_for_a_person_goes_on_with_the_answer(start: Start, on_block: str) -> None:
    async with start(interpreter(on_block=on_block)) as daemon:
        await daemon.submit(ID, "interpreter.run", json.dumps([{"op": "approve", "order": 7}]))
        await daemon.until_blocked(ID)
        run = await ctl_at(daemon.socket, "stub", f"{ID}.o:1_1", '{"err": "too expensive"}')
        assert (run.code, run.out) == (0, f'{ID}.o:1_1 -> {{"err": "too expensive"}}\n')
        assert json.loads((await daemon.result(ID))["ok"]) == [{"err": "too expensive"}]
