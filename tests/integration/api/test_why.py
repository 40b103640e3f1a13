"""Why an execution does not run, as a request and an answer; the rules have tests of their own."""

from pathlib import Path

import httpx
import pytest
from msgspec.structs import replace

from obelisk_daemon.api.why.facts import Code
from obelisk_daemon.clock import Instant
from obelisk_daemon.ffqn import Ffqn
from obelisk_daemon.ids import ExecutionId, ExecutorId, child_id
from obelisk_daemon.storage.records import Child, Standing, Waiting
from tests.fakes.api import FIBO, FIBOA, FakeWorld, execution_id
from tests.fakes.serving import ctl_at, serving, talking
from tests.integration.api.test_executions import problem

pytestmark = pytest.mark.anyio
ID = execution_id()
URL = f"/v1/executions/{ID}/why"


class Chain(FakeWorld):
    """A world in which every execution but the `last` waits for a child."""

    def __init__(self, last: int) -> None:
        super().__init__()
        self.last = last
        self.create(ID, FIBOA, 1, 1)

    async def standing(self, execution_id: ExecutionId, at: Instant) -> Standing:
        row = replace(await self.summary(ID), execution_id=execution_id, started_at=at)
        if execution_id.count(".") == self.last:
            return Standing(row, ())
        child = Child(child_id(execution_id, "o:1", 1), row.ffqn, "blocked", "active")
        blocked = replace(row, status="blocked", join_set="o:1", executor_id=ExecutorId("Exr_x"))
        return Standing(blocked, (), None, Waiting(0, 1, 1, (child,)))


async def codes_of(world: FakeWorld, path: Path) -> list[tuple[str, str | None]]:
    async with serving(world, path), talking(path) as http:
        document = (await http.get(URL)).json()
    assert (document["execution_id"], document["state"], document["lifecycle"]) == (ID, "blocked", "active")
    return [(reason["code"], reason.get("execution_id")) for reason in document["reasons"]]


async def test_the_reasons_of_a_chain_of_children_are_told_down_to_the_last(tmp_path: Path) -> None:
    assert await codes_of(Chain(2), tmp_path / "api.sock") == [
        ("waits_for_child", None),
        ("waits_for_child", f"{ID}.o:1_1"),
        ("no_executor_offers", f"{ID}.o:1_1.o:1_1"),
    ]


async def test_a_chain_is_followed_to_a_depth_of_32(tmp_path: Path) -> None:
    found = await codes_of(Chain(1_000), tmp_path / "api.sock")
    assert len(found) == 33
    assert found[-1] == ("waits_for_child", ID + ".o:1_1" * 32)


async def test_a_function_of_a_longer_name_is_not_taken_for_the_one_that_is_gone(tmp_path: Path) -> None:
    world = Chain(1)
    gone = replace(FIBOA, ffqn=Ffqn.parse("example:fibo/fibo-activity.fibo"))
    world.logs.clear()
    world.create(ID, gone, 1, 1)
    assert world.catalog.find(str(gone.ffqn)) == FIBO
    assert await codes_of(world, tmp_path / "api.sock") == [
        ("waits_for_child", None),
        ("function_gone", f"{ID}.o:1_1"),
    ]


async def test_the_id_is_checked_and_looked_up(http: httpx.AsyncClient) -> None:
    assert problem(await http.get("/v1/executions/nothing/why")) == (400, "invalid_execution_id")


async def test_ctl_tells_that_there_is_no_such_execution(tmp_path: Path) -> None:
    world, path = Chain(1), tmp_path / "api.sock"
    del world.logs[ID]
    async with serving(world, path):
        run = await ctl_at(path, "why", ID)
    assert (run.code, run.out) == (1, "")
    assert "there is no execution" in run.err


async def test_the_codes_are_in_the_description_of_the_api(http: httpx.AsyncClient) -> None:
    document = (await http.get("/v1/openapi.json")).json()
    described = document["components"]["schemas"]["ReasonDocument"]["properties"]["code"]
    assert set(described["enum"]) == set(Code.__args__)
