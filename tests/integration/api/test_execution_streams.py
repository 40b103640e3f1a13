import asyncio
import itertools
from pathlib import Path

import httpx
import pytest

from obelisk_daemon.execution.events import ChildFinished, HistoryEvent, JoinNext, JoinSetCreate
from obelisk_daemon.execution.outcome import Returned
from obelisk_daemon.ids import child_id
from tests.fakes.api import FIBO, FIBOA, FakeWorld, execution_id
from tests.fakes.serving import serving, talking
from tests.fakes.streaming import Message, names, stream
from tests.integration.api.test_executions import LOCKED

pytestmark = pytest.mark.anyio
ID = execution_id()
FOLLOW = f"/v1/executions/{ID}/follow"


@pytest.fixture
def workflow(world: FakeWorld) -> FakeWorld:
    world.create(ID, FIBOA, 3, 1)
    return world


async def test_a_stream_tells_what_was_what_is_and_what_comes_until_the_end(
    http: httpx.AsyncClient, workflow: FakeWorld
) -> None:
    async with stream(http, FOLLOW) as reader:
        assert reader.response.headers["content-type"] == "text/event-stream"
        first = await reader.take(2)
        workflow.add(ID, LOCKED, HistoryEvent(JoinSetCreate("o:1")))
        second = await reader.take(3)
        workflow.respond(ID, "o:1", ChildFinished(execution_id(2), Returned({"ok": 1})))
        third = await reader.take(1)
        workflow.finish(ID, {"ok": 55})
        last = await reader.rest()
    assert [(m.event, m.id) for m in first] == [("event", "v1.r0.l0"), ("state", "v1.r0.l0")]
    assert [(m.event, m.id) for m in second] == [("event", "v2.r0.l0"), ("event", "v3.r0.l0"), ("state", "v3.r0.l0")]
    assert [(m.event, m.id) for m in third] == [("response", "v3.r1.l0")]
    assert [(m.event, m.id) for m in last] == [("event", "v4.r1.l0"), ("finished", "v4.r1.l0")]
    assert last[-1].data["result"] == {"ok": 55}
    assert last[-1].data["outcome"] == "ok"
    assert second[0].data["type"] == "locked"
    assert second[-1].data["state"] == "locked"


async def test_a_stream_begins_with_a_comment_so_that_proxies_pass_it_on(
    http: httpx.AsyncClient, workflow: FakeWorld
) -> None:
    async with stream(http, FOLLOW) as reader:
        await reader.next()
    assert reader.raw == ["retry: 1000", ": obeliskd"]
    assert reader.response.headers["cache-control"] == "no-store"


async def test_a_stream_that_is_resumed_anywhere_loses_and_repeats_nothing(
    http: httpx.AsyncClient, workflow: FakeWorld
) -> None:
    workflow.add(ID, LOCKED)
    for number in range(1, 5):
        workflow.add(ID, HistoryEvent(JoinSetCreate(f"o:{number}")), HistoryEvent(JoinNext(f"o:{number}")))
        workflow.respond(ID, f"o:{number}", ChildFinished(child_id(ID, f"o:{number}", 1), Returned({"ok": number})))
        workflow.log(ID, f"line {number}")
    workflow.finish(ID, {"ok": 55})
    async with stream(http, FOLLOW, logs=True) as reader:
        whole = _kept(await reader.rest())
    assert len(whole) == 2 + 4 * 4 + 1
    assert [m.event for m in whole[2:6]] == ["event", "event", "response", "log"]
    for cut in range(len(whole)):
        async with stream(http, FOLLOW, after=whole[cut].id, logs=True) as reader:
            assert whole[: cut + 1] + _kept(await reader.rest()) == whole


def _kept(messages: list[Message]) -> list[Message]:
    """Leave out what tells of a state."""
    return [message for message in messages if message.event in ("event", "response", "log")]


async def test_a_client_without_headers_of_its_own_resumes_by_the_query(
    http: httpx.AsyncClient, workflow: FakeWorld
) -> None:
    workflow.finish(ID, {"ok": 1})
    response = await http.get(FOLLOW, params={"after": "v1.r0.l0"})
    assert "event: event\n" in response.text
    assert '"version":0' not in response.text


async def test_a_long_log_is_told_page_by_page_in_order(http: httpx.AsyncClient, workflow: FakeWorld) -> None:
    workflow.add(ID, LOCKED, *[HistoryEvent(JoinSetCreate(f"g:{number}")) for number in range(1_000)])
    for number in range(450):
        workflow.log(ID, f"line {number}")
    workflow.finish(ID, {"ok": 1})
    async with stream(http, FOLLOW, logs=True) as reader:
        messages = await reader.rest()
    assert [m.data["version"] for m in messages if m.event == "event"] == list(range(1_003))
    assert [m.data["message"] for m in messages if m.event == "log"] == [f"line {number}" for number in range(450)]
    times = [m.data["created_at"] for m in _kept(messages)]
    assert times == sorted(times)


async def test_lines_are_left_out_unless_they_are_wanted(http: httpx.AsyncClient, workflow: FakeWorld) -> None:
    workflow.log(ID, "one")
    workflow.finish(ID, {"ok": 1})
    async with stream(http, FOLLOW) as reader:
        assert names(await reader.rest()) == ["event", "event", "finished"]


async def test_children_are_told_at_the_start_and_when_they_change(
    http: httpx.AsyncClient, workflow: FakeWorld
) -> None:
    first, below = child_id(ID, "o:1", 1), child_id(child_id(ID, "o:1", 1), "o:1", 1)
    workflow.create(first, FIBOA, 1, 1, parent=ID)
    async with stream(http, FOLLOW, children=True) as reader:
        start = await reader.take(3)
        workflow.create(below, FIBO, 3, parent=first)
        workflow.create(execution_id(9), FIBO, 3)
        (made,) = await reader.take(1)
        workflow.finish(below, {"ok": 2})
        workflow.finish(first, {"ok": 1})
        workflow.finish(ID, {"ok": 1})
        last = await reader.rest()
    assert names(start) == ["event", "child", "state"]
    assert (made.event, made.data["execution_id"], made.data["parent_id"]) == ("child", below, first)
    assert {m.data["execution_id"]: m.data["outcome"] for m in last if m.event == "child"} == {first: "ok", below: "ok"}
    assert last[-1].event == "finished"


async def test_children_are_not_told_unless_they_are_wanted(http: httpx.AsyncClient, workflow: FakeWorld) -> None:
    workflow.create(child_id(ID, "o:1", 1), FIBO, 1, parent=ID)
    workflow.finish(ID, {"ok": 1})
    async with stream(http, FOLLOW) as reader:
        assert "child" not in names(await reader.rest())


async def test_a_position_beyond_the_log_begins_anew(http: httpx.AsyncClient, workflow: FakeWorld) -> None:
    workflow.finish(ID, {"ok": 1})
    async with stream(http, FOLLOW, after="v7.r0.l0") as reader:
        assert names(await reader.rest()) == ["reset", "event", "event", "finished"]


@pytest.mark.parametrize("after", ["x", "v1", "v1.r1", "v-1.r0.l0", "v1.r0.l0 ", f"v{'1' * 16}.r0.l0", "v\u0661.r0.l0"])
async def test_what_is_no_position_is_refused(http: httpx.AsyncClient, workflow: FakeWorld, after: str) -> None:
    response = await http.get(FOLLOW, params={"after": after})
    assert (response.status_code, response.json()["code"]) == (400, "invalid_position")


async def test_an_execution_that_is_not_there_is_answered_as_any_other_request(http: httpx.AsyncClient) -> None:
    response = await http.get(FOLLOW)
    assert (response.status_code, response.json()["code"]) == (404, "execution_not_found")


async def test_a_hundred_who_follow_the_same_share_the_reads(workflow: FakeWorld, path: Path) -> None:
    async with serving(workflow, path), talking(path) as http:
        async with asyncio.timeout(30):
            await _follow_together(http, workflow)
        assert len(workflow.live.streams) == 0


async def _follow_together(http: httpx.AsyncClient, workflow: FakeWorld) -> None:
    began, seen = itertools.count(1), asyncio.Event()

    async def one() -> list[Message]:
        async with stream(http, FOLLOW) as reader:
            first = await reader.until("state")
            if next(began) == 50:
                seen.set()
            return first + await reader.rest()

    followers = [asyncio.create_task(one()) for _ in range(50)]
    await seen.wait()
    before = workflow.reads
    workflow.finish(ID, {"ok": 1})
    told = [await follower for follower in followers]
    assert all(messages == told[0] for messages in told)
    assert workflow.reads - before <= 5


async def test_a_stream_ends_when_the_server_stops_and_goes_on_at_the_next_one(workflow: FakeWorld, path: Path) -> None:
    async with talking(path) as http, serving(workflow, path) as server, stream(http, FOLLOW) as reader:
        first = await reader.until("state")
        async with asyncio.timeout(3):
            await server.stop()
            assert await reader.rest() == []
    workflow = _restarted(workflow)
    async with talking(path) as http, serving(workflow, path):
        workflow.add(ID, LOCKED)
        workflow.finish(ID, {"ok": 1})
        async with stream(http, FOLLOW, after=first[-1].id) as reader:
            assert [m.id for m in _kept(await reader.rest())] == ["v2.r0.l0", "v3.r0.l0"]


def _restarted(before: FakeWorld) -> FakeWorld:
    world = FakeWorld()
    world.logs, world.delivered, world.lines, world.now = before.logs, before.delivered, before.lines, before.now
    return world


async def test_a_stream_ends_with_its_client(http: httpx.AsyncClient, workflow: FakeWorld) -> None:
    async with stream(http, FOLLOW) as reader:
        await reader.until("state")
        assert len(workflow.live.streams) == 1
    async with asyncio.timeout(10):
        while len(workflow.live.streams):
            await asyncio.sleep(0.001)


async def test_more_streams_than_the_bound_are_refused_until_one_ends(path: Path) -> None:
    world = FakeWorld(max_streams=1)
    world.create(ID, FIBO, 3)
    async with serving(world, path), talking(path) as http:
        async with stream(http, FOLLOW) as reader:
            await reader.next()
            refused = await http.get("/v1/follow")
            assert (refused.status_code, refused.json()["code"]) == (503, "too_many_streams")
            assert int(refused.headers["retry-after"]) > 0
            world.finish(ID, {"ok": 1})
            await reader.rest()
        async with stream(http, FOLLOW) as reader:
            assert (await reader.rest())[-1].event == "finished"


async def test_a_stream_can_be_ended_by_who_it_belongs_to(http: httpx.AsyncClient, workflow: FakeWorld) -> None:
    async with stream(http, FOLLOW) as mine, stream(http, "/v1/follow") as other:
        await mine.until("state")
        await other.until("load")
        ended = workflow.live.streams.end_where(lambda scope: scope["path"] == FOLLOW)
        assert ended == 1
        assert await mine.rest() == []
        workflow.add(ID, LOCKED)
        assert (await other.take(1))[0].event == "execution"
