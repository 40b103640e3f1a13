import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from obelisk_daemon.execution.events import Paused
from obelisk_daemon.ids import ExecutionId
from tests.fakes.api import DIGEST, FIBO, FIBOA, FakeWorld, execution_id
from tests.fakes.serving import ctl_at
from tests.integration.api.test_executions import problem

pytestmark = pytest.mark.anyio
ID = execution_id(1)


async def submit(http: httpx.AsyncClient, known: ExecutionId, **more: Any) -> httpx.Response:
    body = {"ffqn": "fibo-activity.fibo", "params": [3]} | more
    return await http.put(f"/v1/executions/{known}", json=body)


async def test_tags_are_shown_in_order_and_found_by(http: httpx.AsyncClient) -> None:
    created = await submit(http, ID, tags={"team": "blue", "order": "7"})
    assert (created.status_code, list(created.json()["tags"].items())) == (201, [("order", "7"), ("team", "blue")])
    await submit(http, execution_id(2))

    async def found(*tags: str) -> list[str]:
        page = (await http.get("/v1/executions", params={"tag": list(tags)})).json()
        return [row["execution_id"] for row in page["executions"]]

    assert await found("team=blue") == [ID]
    assert await found("team", "order=7") == [ID]
    assert await found("team=red") == await found("team=") == await found("team", "none") == []
    assert "tags" not in (await http.get(f"/v1/executions/{execution_id(2)}")).json()


async def test_submitting_again_with_other_tags_is_another_call(http: httpx.AsyncClient) -> None:
    await submit(http, ID, tags={"team": "blue", "order": "7"})
    assert (await submit(http, ID, tags={"order": "7", "team": "blue"})).status_code == 200
    assert problem(await submit(http, ID)) == (409, "execution_exists")
    assert problem(await submit(http, ID, tags={"team": "red", "order": "7"})) == (409, "execution_exists")


@pytest.mark.parametrize(
    ("tags", "named"),
    [
        ({f"t{n}": "" for n in range(17)}, "up to 16"),
        ({"": "x"}, "begins with a letter or a digit"),
        ({"-a": "x"}, "begins with a letter or a digit"),
        ({"a=b": "x"}, "letters, digits and"),
        ({"ä": "x"}, "letters, digits and"),
        ({"k" * 65: "x"}, "1 to 64"),
        ({"k": "x" * 257}, "up to 256"),
        ({"k": "a\nb"}, "printable"),
        ({"k": "a\x00b"}, "printable"),
    ],
)
async def test_wrong_tags_are_refused_and_write_nothing(
    http: httpx.AsyncClient, world: FakeWorld, tags: dict[str, str], named: str
) -> None:
    answer = await submit(http, ID, tags=tags)
    assert problem(answer) == (422, "invalid_tag")
    assert named in answer.json()["detail"]
    assert world.submitted == 0


async def test_the_longest_tags_there_may_be_are_taken(http: httpx.AsyncClient) -> None:
    tags = {f"{n:02}{'k' * 62}": "é" * 256 for n in range(16)}
    assert (await submit(http, ID, tags=tags)).json()["tags"] == tags


async def test_a_retry_keeps_tags_labels_and_priority(http: httpx.AsyncClient, world: FakeWorld) -> None:
    await submit(http, ID, tags={"team": "blue"}, labels=["gpu"], priority=7)
    world.fail(ID, "boom")
    again = (await http.post(f"/v1/executions/{ID}/retry", json={"execution_id": execution_id(2)})).json()
    assert (again["tags"], again["submitted_labels"], again["priority"]) == ({"team": "blue"}, ["gpu"], 7)


async def test_a_row_tells_how_its_execution_ended(http: httpx.AsyncClient, world: FakeWorld) -> None:
    for number in (1, 2, 3, 4):
        world.create(execution_id(number), FIBO, 3)
    world.finish(execution_id(1), {"ok": 1})
    world.finish(execution_id(2), {"err": "no"})
    world.fail(execution_id(3), "boom")
    rows = (await http.get("/v1/executions")).json()["executions"]
    ended = [(row.get("outcome"), row.get("failure_kind")) for row in rows]
    assert ended == [(None, None), ("failed", "trap"), ("err", None), ("ok", None)]


async def test_every_filter_reaches_the_list(http: httpx.AsyncClient, world: FakeWorld) -> None:
    world.create(execution_id(1), FIBO, 3)
    world.fail(execution_id(1), "boom")
    world.create(execution_id(2), FIBOA, 3, 1)
    world.add(execution_id(2), Paused("operator"))
    second = (await http.get(f"/v1/executions/{execution_id(2)}")).json()["created_at"]

    async def found(**query: Any) -> list[int]:
        page = (await http.get("/v1/executions", params=query)).json()
        return [int(row["execution_id"][-3:]) for row in page["executions"]]

    assert await found(lifecycle="paused") == [2]
    assert await found(outcome="failed") == await found(failure="trap") == await found(state="finished") == [1]
    assert await found(failure="timed_out") == await found(outcome="ok") == []
    assert await found(component="fibo") == [1]
    assert await found(digest=DIGEST) == await found(digest="abab") == [2, 1]
    assert await found(digest="sha256:00") == []
    assert await found(created_after=second) == [2]
    assert await found(created_before=second) == [1]
    assert await found(label="none") == []


@pytest.mark.usefixtures("http")
async def test_ctl_submits_with_tags_and_lists_by_them(path: Path) -> None:
    await ctl_at(path, "submit", "fibo-activity.fibo", "[3]", "--id", ID, "--tag", "team=blue", "--tag", "order=a=b")
    await ctl_at(path, "submit", "fibo-activity.fibo", "[3]")
    run = await ctl_at(path, "list", "--tag", "team=blue", "--tag", "order", "--created-after", "20000d", "--json")
    (row,) = json.loads(run.out)["executions"]
    assert (row["execution_id"], row["tags"]) == (ID, {"order": "a=b", "team": "blue"})
    run = await ctl_at(path, "list")
    assert run.out.splitlines()[0].split() == ["ID", "STATE", "FUNCTION", "CREATED", "TAGS"]
    assert "order=a=b team=blue" in run.out
    assert (await ctl_at(path, "list", "--created-after", "0s")).out == ""


@pytest.mark.parametrize("tags", [["--tag", "team"], ["--tag", "a=1", "--tag", "a=2"]])
async def test_ctl_says_what_is_wrong_with_a_tag(path: Path, tags: list[str]) -> None:
    run = await ctl_at(path, "submit", "fibo-activity.fibo", "[3]", *tags)
    assert run.code == 64
    assert f"--tag {tags[-1].split('=')[0]}" in run.err.replace("'", "")


@pytest.mark.usefixtures("http")
async def test_ctl_lists_all_through_pages(world: FakeWorld, path: Path) -> None:
    for number in range(1, 620):
        world.create(execution_id(number), FIBO, 3)
    document = json.loads((await ctl_at(path, "list", "--all", "--json")).out)
    assert len({row["execution_id"] for row in document["executions"]}) == 619
    assert "next" not in document
