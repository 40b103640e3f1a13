"""Pausing and resuming executions."""

import asyncio
import json

import pytest

from obelisk_daemon.ids import ExecutionId
from tests import guests
from tests.fakes.api import execution_id
from tests.integration.steering.conftest import Start
from tests.integration.steering.manifests import interpreter

pytestmark = pytest.mark.anyio
ID = execution_id()
NAP = "testing:sleeper/sleeper.nap"
SLEEPER = guests.manifest_entry("sleeper")
FAULTS = guests.manifest_entry("faults")
UNLOADED = guests.manifest_entry("sleeper", on_block="unload")
START = 1_767_323_045


async def test_a_paused_sleeper_stays_paused_over_a_restart_and_goes_on_when_it_is_resumed(start: Start) -> None:
    async with start(SLEEPER) as daemon:
        await daemon.submit(ID, NAP, 60_000)
        await daemon.until_blocked(ID)
        assert await daemon.post(f"executions/{ID}/pause") == (
            200,
            {"execution_id": ID, "changed": True, "state": "pending_at", "lifecycle": "paused"},
        )
    async with start(SLEEPER) as daemon:
        daemon.advance(minutes=2)
        assert await daemon.responses(ID) == ["delay_finished"]
        shown = await daemon.show(ID)
        assert (shown["lifecycle"], shown["pause_reason"], shown["state"]) == ("paused", "operator", "pending_at")
        assert (await daemon.post(f"executions/{ID}/resume"))[1]["changed"] is True
        assert await daemon.result(ID) == {"ok": START + 60}
        types = await daemon.types(ID)
        assert types[-4:] == ["paused", "unpaused", "locked", "finished"]
        assert types.count("locked") == 2


@pytest.mark.parametrize("turns", [0, 1, 2, 5, 20])
async def test_pausing_wins_whatever_the_executor_is_doing(start: Start, turns: int) -> None:
    known = [execution_id(number) for number in range(20)]

    async def submit_and_pause(one: ExecutionId) -> None:
        await daemon.submit(one, NAP, 60_000)
        for _ in range(turns):
            await asyncio.sleep(0)
        assert (await daemon.post(f"executions/{one}/pause"))[0] == 200

    async with start(SLEEPER) as daemon:
        await asyncio.gather(*map(submit_and_pause, known))
        await daemon.until_out_of_memory()
        assert {(await daemon.show(one))["lifecycle"] for one in known} == {"paused"}
        for one in known:
            await daemon.post(f"executions/{one}/resume")
            await daemon.until_blocked(one)
        daemon.advance(minutes=1)
        assert [await daemon.result(one) for one in known] == [{"ok": START + 60}] * len(known)


@pytest.mark.parametrize("manifest", [SLEEPER, UNLOADED], ids=["hot", "unload"])
async def test_a_blocked_workflow_that_is_paused_leaves_memory_and_is_replayed(start: Start, manifest: str) -> None:
    async with start(manifest) as daemon:
        await daemon.submit(ID, NAP, 60_000)
        await daemon.until_blocked(ID)
        await daemon.post(f"executions/{ID}/pause")
        await daemon.until_out_of_memory()
        await daemon.post(f"executions/{ID}/resume")
        await daemon.until_blocked(ID)
        daemon.advance(minutes=1)
        assert await daemon.result(ID) == {"ok": START + 60}


async def test_pausing_and_resuming_again_changes_nothing(start: Start) -> None:
    async with start(SLEEPER) as daemon:
        await daemon.submit(ID, NAP, 60_000)
        await daemon.until_blocked(ID)
        pause, resume = f"executions/{ID}/pause", f"executions/{ID}/resume"
        assert (await daemon.post(resume))[1]["changed"] is False
        assert [(await daemon.post(pause))[1]["changed"] for _ in range(2)] == [True, False]
        assert [(await daemon.post(resume))[1]["changed"] for _ in range(2)] == [True, False]
        assert (await daemon.types(ID)).count("paused") == 1


async def test_an_activity_that_runs_can_not_be_paused(start: Start) -> None:
    async with start(FAULTS) as daemon:
        await daemon.submit(ID, "faults.spin")
        await daemon.until(ID, lambda found: bool(found["state"] == "locked"))
        status, refused = await daemon.post(f"executions/{ID}/pause")
        assert (status, refused["code"]) == (409, "running")
        assert (await daemon.post(f"executions/{ID}/cancel"))[1] == {
            "execution_id": ID,
            "already_finished": False,
            "reached": 1,
            "awaited": 0,
        }


async def test_an_activity_paused_between_attempts_is_not_tried_again_until_it_is_resumed(start: Start) -> None:
    table = guests.manifest_entry("faults", max_retries=1, backoff={"initial": "1h", "max": "1h", "jitter": 0.0})
    async with start(table) as daemon:
        await daemon.submit(ID, "faults.fail-with", "no")
        await daemon.until(ID, lambda found: found["attempts"] == 1 and found["state"] == "pending_at")
        await daemon.post(f"executions/{ID}/pause")
        daemon.advance(hours=2)
        other = execution_id(2)
        await daemon.submit(other, "faults.echo-text", "what is due is run")
        await daemon.result(other)
        assert (await daemon.show(ID))["lifecycle"] == "paused"
        await daemon.post(f"executions/{ID}/resume")
        assert await daemon.result(ID) == {"err": "no"}


async def test_what_has_ended_or_is_not_there_can_not_be_paused(start: Start) -> None:
    async with start(FAULTS) as daemon:
        await daemon.submit(ID, "faults.echo-text", "x")
        await daemon.result(ID)
        status, refused = await daemon.post(f"executions/{ID}/pause")
        assert (status, refused["code"]) == (409, "already_finished")
        status, refused = await daemon.post(f"executions/{execution_id(9)}/pause")
        assert (status, refused["code"]) == (404, "execution_not_found")


async def test_a_paused_execution_can_be_cancelled(start: Start) -> None:
    async with start(guests.manifest_entry("sleeper", cancellable=True)) as daemon:
        await daemon.submit(ID, NAP, 60_000)
        await daemon.until_blocked(ID)
        await daemon.post(f"executions/{ID}/pause")
        assert (await daemon.post(f"executions/{ID}/cancel"))[1]["reached"] == 1
        assert (await daemon.result(ID))["execution_failure"]["kind"] == "cancelled"


@pytest.mark.guests
async def test_a_workflow_that_computes_is_dropped_when_it_is_paused(start: Start) -> None:
    async with start(interpreter()) as daemon:
        await daemon.submit(ID, "interpreter.run", json.dumps([{"op": "spin", "iterations": 10**12}]))
        await daemon.until(ID, lambda found: bool(found["state"] == "locked"))
        await daemon.post(f"executions/{ID}/pause")
        await daemon.until_out_of_memory()
        assert (await daemon.types(ID))[1:] == ["locked", "unlocked", "paused"]


@pytest.mark.guests
async def test_resuming_lifts_a_pause_that_the_daemon_made(start: Start) -> None:
    async with start(interpreter(on_trap="pause")) as daemon:
        await daemon.submit(ID, "interpreter.run", json.dumps([{"op": "trap"}]))
        first = await daemon.until(ID, lambda found: bool(found["lifecycle"] == "paused"))
        assert first["pause_reason"] == "trap"
        assert "RuntimeError: trap" in first["failure"]["stderr"]
        await daemon.post(f"executions/{ID}/resume")
        again = await daemon.until(ID, lambda found: found["lifecycle"] == "paused" and found["version"] > 3)
        assert again["failure"]["failure_id"] != first["failure"]["failure_id"]
        assert (await daemon.types(ID))[1:] == ["locked", "paused", "unpaused", "locked", "paused"]
