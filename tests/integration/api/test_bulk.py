import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from obelisk_daemon.clock import to_rfc3339
from obelisk_daemon.ids import parse_submitted_id, retry_id
from tests.fakes.api import FIBO, FIBOA, FakeWorld, execution_id
from tests.fakes.serving import ctl_at
from tests.integration.api.test_executions import LOCKED, problem

pytestmark = pytest.mark.anyio


async def bulk(http: httpx.AsyncClient, action: str, filters: dict[str, Any], **more: Any) -> dict[str, Any]:
    answer = await http.post("/v1/executions/bulk", json={"action": action, "filter": filters, **more})
    assert answer.status_code == 200, answer.text
    document: dict[str, Any] = answer.json()
    return document


def counts(done: dict[str, Any]) -> tuple[int, int, int, list[str]]:
    return done["matched"], done["changed"], done["unchanged"], [one["code"] for one in done["refused"]]


async def test_a_dry_run_counts_and_changes_nothing(http: httpx.AsyncClient, world: FakeWorld) -> None:
    for number in range(1, 151):
        world.create(execution_id(number), FIBO, 3)
    before = {known: len(log) for known, log in world.logs.items()}
    assert counts(await bulk(http, "cancel", {"state": "pending_at"}, dry_run=True)) == (150, 0, 0, [])
    assert {known: len(log) for known, log in world.logs.items()} == before


async def test_an_action_goes_on_from_call_to_call_and_again_finds_nothing_to_do(
    http: httpx.AsyncClient, world: FakeWorld
) -> None:
    for number in range(1, 151):
        world.create(execution_id(number), FIBO, 3)
    first = await bulk(http, "pause", {"ffqn": "example:"})
    assert counts(first) == (100, 100, 0, [])
    rest = await bulk(http, "pause", {"ffqn": "example:", "created_before": first["as_of"]}, cursor=first["next"])
    assert (counts(rest), rest.get("next")) == ((50, 50, 0, []), None)
    assert counts(await bulk(http, "pause", {"ffqn": "example:"})) == (100, 0, 100, [])
    assert counts(await bulk(http, "resume", {"ffqn": "example:"}))[:2] == (100, 100)


async def test_what_can_not_be_changed_is_named_with_its_reason(http: httpx.AsyncClient, world: FakeWorld) -> None:
    world.create(execution_id(1), FIBO, 3)
    world.add(execution_id(1), LOCKED)
    world.create(execution_id(2), FIBO, 3)
    done = await bulk(http, "pause", {"component": "fibo"})
    assert counts(done) == (2, 1, 0, ["running"])
    assert done["refused"][0]["execution_id"] == execution_id(1)
    world.not_cancellable.add(execution_id(2))
    assert counts(await bulk(http, "cancel", {"component": "fibo"})) == (2, 1, 0, ["not_cancellable"])
    assert counts(await bulk(http, "cancel", {"component": "fibo"}, force=True)) == (1, 1, 0, [])


async def test_retrying_again_retries_nothing_again_and_not_what_the_retry_made(
    http: httpx.AsyncClient, world: FakeWorld
) -> None:
    world.create(execution_id(1), FIBOA, 3, 1)
    world.create(execution_id(2), FIBO, 3, parent=execution_id(1))
    for number in (2, 1):
        world.fail(execution_id(number), "boom")
    world.create(execution_id(3), FIBO, 3)
    world.finish(execution_id(3), {"ok": 1})
    filters = {"outcome": "failed"}
    as_of = (await bulk(http, "retry", filters, dry_run=True))["as_of"]
    assert counts(await bulk(http, "retry", filters | {"created_before": as_of})) == (1, 1, 0, [])
    made = retry_id(execution_id(1))
    assert (await http.get(f"/v1/executions/{made}")).json()["retried_from"] == execution_id(1)
    world.fail(made, "boom again")
    assert counts(await bulk(http, "retry", filters | {"created_before": as_of})) == (1, 0, 1, [])
    world.tick()
    later = {**filters, "created_before": to_rfc3339(world.tick())}
    assert counts(await bulk(http, "retry", later)) == (2, 1, 1, []), "the retry itself is retried when it is asked for"


def test_the_id_of_a_retry_follows_from_what_it_repeats() -> None:
    made = [retry_id(execution_id(number)) for number in range(100)]
    assert [parse_submitted_id(one) for one in made] == made
    assert len(set(made)) == 100
    assert retry_id(execution_id(1)) == made[1]
    assert made[1][:12] == execution_id(1)[:12]


@pytest.mark.parametrize(
    ("wish", "code"),
    [
        ({"action": "cancel", "filter": {}}, "invalid_filter"),
        ({"action": "cancel", "filter": {"top_level": False}}, "invalid_filter"),
        ({"action": "cancel", "filter": {"ffqn": "", "component": "", "tag": []}}, "invalid_filter"),
        ({"action": "cancel", "filter": {"created_before": ""}}, "invalid_filter"),
        ({"action": "pause", "filter": {"generation": 1, "created_before": ""}}, "invalid_filter"),
        ({"action": "retry", "filter": {"outcome": "failed", "created_before": ""}}, "invalid_filter"),
        ({"action": "retry", "filter": {"outcome": "failed"}}, "invalid_filter"),
        ({"action": "cancel", "filter": {"digest": "odd"}}, "invalid_filter"),
        ({"action": "cancel", "filter": {"state": "odd"}}, "invalid_request"),
        ({"action": "cancel", "filter": {"limit": 5}}, "invalid_request"),
        ({"action": "delete", "filter": {"state": "locked"}}, "invalid_request"),
        ({"action": "cancel", "filter": {"state": "locked"}, "cursor": "odd"}, "invalid_cursor"),
    ],
)
async def test_wrong_wishes_are_refused(http: httpx.AsyncClient, wish: dict[str, Any], code: str) -> None:
    status, told = problem(await http.post("/v1/executions/bulk", json=wish))
    assert (status in (400, 422), told) == (True, code)


@pytest.mark.usefixtures("http")
async def test_ctl_counts_first_and_then_acts_on_all(world: FakeWorld, path: Path) -> None:
    for number in range(1, 251):
        world.create(execution_id(number), FIBO, 3)
    run = await ctl_at(path, "bulk", "pause", "--component", "fibo", "--dry-run")
    assert (run.code, run.out) == (0, "250 would be paused\n")
    run = await ctl_at(path, "bulk", "pause", "--component", "fibo", "--json")
    assert (run.code, counts(json.loads(run.out))) == (0, (250, 250, 0, []))
    run = await ctl_at(path, "bulk", "pause", "--component", "fibo", "--yes")
    assert (run.code, run.out) == (0, "0 paused, 250 were already, 0 refused\n")


@pytest.mark.usefixtures("http")
async def test_ctl_tells_what_was_refused_and_by_its_exit_code(world: FakeWorld, path: Path) -> None:
    world.create(execution_id(1), FIBO, 3)
    world.add(execution_id(1), LOCKED)
    run = await ctl_at(path, "bulk", "pause", "--state", "locked")
    assert run.code == 1
    assert run.out.splitlines() == ["0 paused, 0 were already, 1 refused", f"{execution_id(1)}  running: it runs now"]
    assert (await ctl_at(path, "bulk", "delete", "--state", "locked")).code == 64
    assert "name at least one filter" in (await ctl_at(path, "bulk", "cancel")).err
