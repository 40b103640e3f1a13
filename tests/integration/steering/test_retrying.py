"""Repeating finished executions, and submitting for later."""

import pytest

from tests import guests
from tests.fakes.api import execution_id
from tests.integration.steering.conftest import Start
from tests.integration.steering.manifests import nested

pytestmark = pytest.mark.anyio
ID, NEW, OTHER = execution_id(1), execution_id(2), execution_id(3)
FAULTS = guests.manifest_entry("faults", max_retries=0)


async def test_a_retry_is_a_new_execution_of_the_same_call_that_names_the_old_one(start: Start) -> None:
    async with start(FAULTS) as daemon:
        await daemon.submit(ID, "faults.fail-with", "no")
        assert await daemon.result(ID) == {"err": "no"}
        status, made = await daemon.post(f"executions/{ID}/retry", {"execution_id": NEW})
        assert (status, made["execution_id"], made["retried_from"], made["params"]) == (201, NEW, ID, ["no"])
        assert await daemon.result(NEW) == {"err": "no"}
        created = (await daemon.events(NEW))[0]
        assert (created["type"], created["retried_from"]) == ("created", ID)
        assert created["seed"] != (await daemon.events(ID))[0]["seed"]


async def test_a_retry_under_the_same_id_is_made_once(start: Start) -> None:
    async with start(FAULTS) as daemon:
        for known in (ID, OTHER):
            await daemon.submit(known, "faults.fail-with", "no")
            await daemon.result(known)
        for expected in (201, 200):
            assert (await daemon.post(f"executions/{ID}/retry", {"execution_id": NEW}))[0] == expected
        status, refused = await daemon.post(f"executions/{OTHER}/retry", {"execution_id": NEW})
        assert (status, refused["code"]) == (409, "execution_exists")


async def test_the_daemon_makes_the_id_of_a_retry_when_none_is_given(start: Start) -> None:
    async with start(FAULTS) as daemon:
        await daemon.submit(ID, "faults.echo-text", "x")
        await daemon.result(ID)
        ids = {(await daemon.post(f"executions/{ID}/retry"))[1]["execution_id"] for _ in range(2)}
        assert len(ids) == 2


async def test_only_what_has_finished_is_retried(start: Start) -> None:
    async with start(guests.manifest_entry("sleeper")) as daemon:
        await daemon.submit(ID, "testing:sleeper/sleeper.nap", 60_000)
        status, refused = await daemon.post(f"executions/{ID}/retry", {"execution_id": NEW})
        assert (status, refused["code"]) == (409, "not_finished")
        status, refused = await daemon.post(f"executions/{OTHER}/retry", {"execution_id": NEW})
        assert (status, refused["code"]) == (404, "execution_not_found")


async def test_a_child_is_retried_at_the_top_level(start: Start) -> None:
    async with start(nested(inner=True, outer=True)) as daemon:
        await daemon.submit(ID, "testing:nested/outer.run", 10, 1)
        assert await daemon.result(ID) == {"ok": 55}
        child = f"{ID}.o:1_1"
        _, made = await daemon.post(f"executions/{child}/retry", {"execution_id": NEW})
        assert (made["ffqn"], made["retried_from"]) == ("testing:fibo/workflow.fiboa", child)
        assert "parent" not in made
        assert await daemon.result(NEW) == {"ok": 55}


async def test_a_call_for_later_waits_also_over_a_restart_and_is_the_same_when_it_is_submitted_again(
    start: Start,
) -> None:
    body = {"ffqn": "faults.echo-text", "params": ["x"], "due_in": "5m"}
    async with start(FAULTS) as daemon:
        made = await daemon.http.put(f"/v1/executions/{ID}", json=body)
        assert (made.status_code, made.json()["due_at"]) == (201, "2026-01-02T03:09:05.000000Z")
    async with start(FAULTS) as daemon:
        daemon.advance(minutes=4)
        again = await daemon.http.put(f"/v1/executions/{ID}", json=body)
        assert (again.status_code, again.json()["state"]) == (200, "pending_at")
        other = await daemon.http.put(f"/v1/executions/{ID}", json={**body, "due_in": "6m"})
        assert (other.status_code, other.json()["code"]) == (409, "execution_exists")
        daemon.advance(minutes=1)
        assert await daemon.result(ID) == {"ok": "x"}


async def test_a_call_for_a_time_is_the_same_in_every_time_zone(start: Start) -> None:
    body = {"ffqn": "faults.echo-text", "params": ["x"]}
    async with start(FAULTS) as daemon:
        for written, status in (("2026-01-02T04:00:00Z", 201), ("2026-01-02T05:00:00.000+01:00", 200)):
            answer = await daemon.http.put(f"/v1/executions/{ID}", json={**body, "due_at": written})
            assert (answer.status_code, answer.json()["due_at"]) == (status, "2026-01-02T04:00:00.000000Z")
        daemon.advance(hours=1)
        assert await daemon.result(ID) == {"ok": "x"}


async def test_a_time_that_has_passed_means_at_once(start: Start) -> None:
    async with start(FAULTS) as daemon:
        await daemon.submit(ID, "faults.echo-text", "x", due_at="2020-01-01T00:00:00Z")
        assert await daemon.result(ID) == {"ok": "x"}
