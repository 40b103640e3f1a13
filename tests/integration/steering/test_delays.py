"""Delays: listed, held back, let go and cancelled from outside."""

import pytest

from obelisk_daemon.ids import delay_id
from tests import guests
from tests.fakes.api import execution_id
from tests.integration.steering.conftest import Start
from tests.integration.steering.daemon import Daemon

pytestmark = pytest.mark.anyio
ID = execution_id()
DELAY = delay_id(ID, "o:1", 1)
SLEEPER = guests.manifest_entry("sleeper")
START = 1_767_323_045
DUE = "2026-01-02T03:05:05.000000Z"


async def nap(daemon: Daemon) -> None:
    await daemon.submit(ID, "testing:sleeper/sleeper.nap", 60_000)
    await daemon.until_blocked(ID)


async def test_a_delay_is_listed_until_it_has_ended(start: Start) -> None:
    async with start(SLEEPER) as daemon:
        await nap(daemon)
        path = f"/v1/executions/{ID}/delays"
        one = {"delay_id": DELAY, "join_set": "o:1", "due_at": DUE, "paused": False}
        assert (await daemon.http.get(path)).json() == {"delays": [one]}
        daemon.advance(minutes=1)
        assert await daemon.result(ID) == {"ok": START + 60}
        assert (await daemon.http.get(path)).json() == {"delays": []}


async def test_a_paused_delay_waits_beyond_its_time_also_over_a_restart_and_ends_when_it_is_resumed(
    start: Start,
) -> None:
    async with start(SLEEPER) as daemon:
        await nap(daemon)
        assert await daemon.post(f"delays/{DELAY}/pause") == (
            200,
            {"delay_id": DELAY, "paused": True, "due_at": DUE},
        )
    async with start(SLEEPER) as daemon:
        daemon.advance(minutes=5)
        other = execution_id(2)
        await daemon.submit(other, "testing:sleeper/sleeper.nap", 1)
        await daemon.until_blocked(other)
        daemon.advance(minutes=1)
        await daemon.result(other)
        assert (await daemon.show(ID))["state"] == "blocked"
        assert (await daemon.post(f"delays/{DELAY}/resume"))[1]["paused"] is False
        assert await daemon.result(ID) == {"ok": START + 60}


async def test_a_cancelled_delay_ends_the_sleep_with_an_error(start: Start) -> None:
    async with start(SLEEPER) as daemon:
        await nap(daemon)
        assert await daemon.post(f"delays/{DELAY}/cancel") == (200, {"delay_id": DELAY, "already_ended": False})
        assert await daemon.result(ID) == {"err": "the delay was cancelled"}
        assert await daemon.post(f"delays/{DELAY}/cancel") == (200, {"delay_id": DELAY, "already_ended": True})
        responses = (await daemon.http.get(f"/v1/executions/{ID}/responses")).json()["responses"]
        assert [(one["type"], one["cancelled"]) for one in responses] == [("delay_finished", True)]


async def test_a_paused_delay_can_be_cancelled(start: Start) -> None:
    async with start(SLEEPER) as daemon:
        await nap(daemon)
        await daemon.post(f"delays/{DELAY}/pause")
        await daemon.post(f"delays/{DELAY}/cancel")
        assert await daemon.result(ID) == {"err": "the delay was cancelled"}


@pytest.mark.parametrize("what", ["cancel", "pause", "resume"])
@pytest.mark.parametrize("wrong", [delay_id(ID, "o:9", 1), delay_id(execution_id(9), "o:1", 1)])
async def test_a_delay_that_never_was_is_not_found(start: Start, what: str, wrong: str) -> None:
    async with start(SLEEPER) as daemon:
        await nap(daemon)
        status, refused = await daemon.post(f"delays/{wrong}/{what}")
        assert (status, refused["code"]) == (404, "delay_not_found")


@pytest.mark.parametrize("what", ["pause", "resume"])
async def test_a_delay_that_has_ended_can_not_be_paused(start: Start, what: str) -> None:
    async with start(SLEEPER) as daemon:
        await nap(daemon)
        daemon.advance(minutes=1)
        await daemon.result(ID)
        status, refused = await daemon.post(f"delays/{DELAY}/{what}")
        assert (status, refused["code"]) == (409, "delay_ended")
