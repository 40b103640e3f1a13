"""Why executions of a real daemon do not run."""

import asyncio

import pytest

from tests import guests
from tests.fakes.api import execution_id
from tests.fakes.serving import ctl_at
from tests.integration.steering.conftest import Start
from tests.integration.steering.daemon import Daemon
from tests.integration.steering.manifests import APPROVAL, APPROVE, nested

pytestmark = pytest.mark.anyio
ID = execution_id()
NAP = "testing:sleeper/sleeper.nap"
DELAY = ID.replace("E_", "Delay_") + ".o:1_1"
FIBO = "testing:fibo/fibo.fibo"


async def spin(daemon: Daemon, number: int, running: int) -> None:
    """Submit so many attempts that go on until they are dropped, and wait until as many run as can."""
    for one in range(1, number + 1):
        await daemon.submit(execution_id(one), "faults.spin")
    async with asyncio.timeout(60):
        while daemon.executor.running < running:
            await asyncio.sleep(0)


async def test_what_no_executor_offers_is_named(start: Start) -> None:
    async with start(guests.manifest_entry("fibo-activity", labels=("gpu",))) as daemon:
        await daemon.submit(ID, FIBO, 10)
        run = await ctl_at(daemon.socket, "why", ID)
        head, reason, command = run.out.splitlines()
        assert (run.code, head, command) == (0, f"{ID}  pending_at", "    $ obelisk-ctl manifest reload")
        said = 'no executor offers "gpu" (its function requires "gpu"; executor "default" offers none)'
        assert reason.startswith(f"  {said}")


async def test_the_limit_of_a_component_is_told_with_what_runs(start: Start) -> None:
    async with start(guests.manifest_entry("faults", max_running=2)) as daemon:
        await spin(daemon, 4, 2)
        reasons = [await daemon.why(execution_id(number)) for number in (1, 3, 4)]
        assert [[reason["code"] for reason in of] for of in reasons] == [
            ["running"],
            ["limit_reached"],
            ["limit_reached", "queued"],
        ]
        assert reasons[1][0]["text"].startswith('2 of 2 executions of component "faults" run')
        assert reasons[2][1]["text"].startswith("1 execution of its function")
        assert 'executor "default", since 2026-01-02T03:04:05' in reasons[0][0]["text"]


async def test_slots_are_told_when_all_are_taken(start: Start) -> None:
    async with start(guests.manifest_entry("faults")) as daemon:
        await spin(daemon, 11, 10)
        (reason,) = await daemon.why(execution_id(11))
        assert reason["code"] == "slots_taken"
        assert reason["text"].endswith('"default" runs 10 of 10')


@pytest.mark.parametrize("on_block", ["hot", "unload"])
async def test_a_sleeping_workflow_waits_for_its_delay(start: Start, on_block: str) -> None:
    async with start(guests.manifest_entry("sleeper", on_block=on_block)) as daemon:
        await daemon.submit(ID, NAP, 60_000)
        await daemon.until_blocked(ID)
        (reason,) = await daemon.why(ID)
        assert reason == {
            "code": "waits_for_delay",
            "text": f"it waits for the delay {DELAY} until 2026-01-02T03:05:05.000000Z (in 1m)",
        }
        await daemon.post(f"delays/{DELAY}/pause")
        daemon.advance(minutes=2)
        (reason,) = await daemon.why(ID)
        assert reason["commands"] == [f"obelisk-ctl delay resume {DELAY}"]
        run = await ctl_at(daemon.socket, *reason["commands"][0].split()[1:])
        assert run.code == 0
        await daemon.result(ID)
        assert [reason["code"] for reason in await daemon.why(ID)] == ["finished"]


async def test_a_chain_of_children_is_followed_to_what_holds_the_last_one(start: Start) -> None:
    async with start(nested(inner=False, outer=False, labels=("gpu",))) as daemon:
        await daemon.submit(ID, "testing:nested/outer.run", 10, 1)
        child, grandchild = f"{ID}.o:1_1", f"{ID}.o:1_1.o:1_1"
        await daemon.until_blocked(ID)
        await daemon.until_blocked(child)
        reasons = await daemon.why(ID)
        assert [(reason["code"], reason.get("execution_id")) for reason in reasons] == [
            ("waits_for_child", None),
            ("waits_for_child", child),
            ("no_executor_offers", grandchild),
        ]
        assert f"{child} (testing:fibo/workflow.fiboa), which waits itself" in reasons[0]["text"]
        assert f"{grandchild} ({FIBO}), which is pending" in reasons[1]["text"]


async def test_a_cancellation_waits_for_a_child_that_only_force_ends(start: Start) -> None:
    async with start(nested(inner=False, outer=True, labels=("gpu",))) as daemon:
        await daemon.submit(ID, "testing:nested/outer.run", 10, 1)
        child = f"{ID}.o:1_1"
        await daemon.until_blocked(child)
        await daemon.post(f"executions/{ID}/cancel")
        first, *_ = await daemon.why(ID)
        assert (first["code"], first["commands"]) == ("cancelling", [f"obelisk-ctl cancel {child} --force"])
        run = await ctl_at(daemon.socket, *first["commands"][0].split()[1:])
        assert run.code == 0
        assert (await daemon.result(ID))["execution_failure"]["kind"] == "cancelled"


async def test_a_stub_waits_for_its_result(start: Start) -> None:
    async with start(APPROVAL) as daemon:
        await daemon.submit(ID, APPROVE, 7)
        (reason,) = await daemon.why(ID)
        assert (reason["code"], reason["commands"]) == (
            "waits_for_result",
            [f"obelisk-ctl stub {ID} '{{\"ok\": ...}}'"],
        )
        assert "result<bool, string>" in reason["text"]


async def test_what_is_to_start_later_or_again_is_not_due(start: Start) -> None:
    backoff = {"initial": "1h", "max": "1h", "jitter": 0.0}
    async with start(guests.manifest_entry("faults", max_retries=1, backoff=backoff)) as daemon:
        await daemon.submit(ID, "faults.echo-text", "x", due_in="90m")
        (reason,) = await daemon.why(ID)
        assert (reason["code"], "2026-01-02T04:34:05.000000Z (in 1h 30m)" in reason["text"]) == ("not_due", True)
        failing = execution_id(2)
        await daemon.submit(failing, "faults.fail-with", "no")
        await daemon.until(failing, lambda found: found["attempts"] == 1 and found["state"] == "pending_at")
        (reason,) = await daemon.why(failing)
        assert reason["code"] == "waits_for_retry"
        assert (
            "attempt 1 failed: the function returned an error; attempt 2 may start at 2026-01-02T04:04"
            in (reason["text"])
        )
        await daemon.post(f"executions/{failing}/pause")
        assert [reason["code"] for reason in await daemon.why(failing)] == ["paused", "waits_for_retry"]


async def test_a_function_that_left_the_manifest_is_gone(start: Start) -> None:
    async with start(guests.manifest_entry("fibo-activity", labels=("gpu",)) + APPROVAL) as daemon:
        await daemon.submit(ID, FIBO, 10)
    async with start(APPROVAL) as daemon:
        (reason,) = await daemon.why(ID)
        assert (reason["code"], reason["text"]) == (
            "function_gone",
            f"generation 2, which is active, has no {FIBO}",
        )


async def test_a_full_disk_is_no_secret(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    async with start(guests.manifest_entry("faults", max_running=1)) as daemon:
        await spin(daemon, 2, 1)
        waits = execution_id(2)
        assert [reason["code"] for reason in await daemon.why(waits)] == ["limit_reached"]
        monkeypatch.setattr("os.statvfs", lambda path: _Full())
        daemon.engine.not_ready = "stopping"
        assert [reason["code"] for reason in await daemon.why(waits)] == [
            "daemon_not_ready",
            "storage_full",
            "limit_reached",
        ]

        def gone(path: object) -> None:
            raise FileNotFoundError(path)

        monkeypatch.setattr("os.statvfs", gone)
        assert daemon.engine.status().disk_full is False


class _Full:
    f_bavail = 0
