"""Cancelling what may and what may not be cancelled."""

import pytest

from obelisk_daemon.clock import Instant
from tests import guests
from tests.fakes.api import execution_id
from tests.integration.steering.conftest import Start
from tests.integration.steering.daemon import Daemon
from tests.integration.steering.manifests import nested

pytestmark = pytest.mark.anyio
ID = execution_id()
INNER, ACTIVITY = f"{ID}.o:1_1", f"{ID}.o:1_1.o:1_1"
NOWHERE = ("no-executor-offers-this",)


async def wait(daemon: Daemon) -> None:
    """Have a workflow wait for a workflow that waits for an activity that nobody can run."""
    await daemon.submit(ID, "testing:nested/outer.run", 10, 1)
    await daemon.until(ACTIVITY, lambda found: bool(found["state"] == "pending_at"))
    await daemon.until_blocked(INNER)


def report(reached: int, awaited: int = 0, *, finished: bool = False) -> dict[str, object]:
    return {"execution_id": ID, "already_finished": finished, "reached": reached, "awaited": awaited}


async def test_a_workflow_that_may_not_be_cancelled_needs_force(start: Start) -> None:
    async with start(nested(inner=False, outer=False, labels=NOWHERE)) as daemon:
        await wait(daemon)
        status, refused = await daemon.post(f"executions/{ID}/cancel")
        assert (status, refused["code"]) == (409, "not_cancellable")
        assert "force" in refused["detail"]
        assert "cancellation_requested" not in await daemon.types(ID)
        assert await daemon.post(f"executions/{ID}/cancel", {"force": True}) == (200, report(3))
        for known in (ID, INNER, ACTIVITY):
            assert (await daemon.result(known))["execution_failure"]["kind"] == "cancelled"


async def test_cancelling_reaches_all_that_may_be_cancelled(start: Start) -> None:
    async with start(nested(inner=True, outer=True, labels=NOWHERE)) as daemon:
        await wait(daemon)
        assert await daemon.post(f"executions/{ID}/cancel") == (200, report(3))
        assert await daemon.post(f"executions/{ID}/cancel") == (200, report(0, finished=True))


async def test_what_may_not_be_cancelled_is_awaited_until_it_is_forced(start: Start) -> None:
    async with start(nested(inner=False, outer=True, labels=NOWHERE)) as daemon:
        await wait(daemon)
        assert await daemon.post(f"executions/{ID}/cancel") == (200, report(0, awaited=1))
        assert (await daemon.show(ID))["lifecycle"] == "cancelling"
        assert (await daemon.show(INNER))["lifecycle"] == "active"
        assert await daemon.post(f"executions/{ID}/cancel", {"force": True}) == (200, report(3))
        assert (await daemon.types(ID)).count("cancellation_requested") == 2


async def test_a_cancellation_ends_by_itself_when_what_it_waits_for_has_ended(start: Start) -> None:
    async with start(nested(inner=False, outer=True, labels=NOWHERE)) as daemon:
        await wait(daemon)
        await daemon.post(f"executions/{ID}/cancel")
        await daemon.post(f"executions/{ACTIVITY}/cancel")
        assert (await daemon.result(INNER))["err"].startswith("execution_failed: cancelled")
        assert (await daemon.result(ID))["execution_failure"]["kind"] == "cancelled"


async def test_force_outlives_the_daemon_that_was_told(start: Start) -> None:
    manifest = nested(inner=False, outer=False, labels=NOWHERE)
    async with start(manifest) as daemon:
        await wait(daemon)
        # as if the daemon died right after this commit
        daemon.executor.canceller.go_on = lambda execution_id: None  # type: ignore[method-assign]
        await daemon.store.request_cancellation(ID, Instant(0), force=True)
        assert (await daemon.show(INNER))["lifecycle"] == "active"
    async with start(manifest) as daemon:
        for known in (ID, INNER, ACTIVITY):
            assert (await daemon.result(known))["execution_failure"]["kind"] == "cancelled"


async def test_a_finished_workflow_says_so_whether_it_may_be_cancelled_or_not(start: Start) -> None:
    async with start(nested(inner=False, outer=False)) as daemon:
        await daemon.submit(ID, "testing:nested/outer.run", 10, 1)
        await daemon.result(ID)
        assert await daemon.post(f"executions/{ID}/cancel") == (200, report(0, finished=True))


async def test_a_running_activity_is_dropped_at_once(start: Start) -> None:
    async with start(guests.manifest_entry("faults")) as daemon:
        await daemon.submit(ID, "faults.spin")
        await daemon.until(ID, lambda found: bool(found["state"] == "locked"))
        assert await daemon.post(f"executions/{ID}/cancel") == (200, report(1))
        await daemon.until_out_of_memory()
