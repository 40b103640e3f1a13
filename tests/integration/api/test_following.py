import asyncio

import httpx
import pytest

from obelisk_daemon.execution.events import ChildFinished, HistoryEvent, JoinNext, JoinSetCreate
from obelisk_daemon.execution.outcome import Returned
from tests.fakes.api import FIBOA, FakeWorld, execution_id
from tests.fakes.serving import until_watched
from tests.integration.api.test_executions import LOCKED

pytestmark = pytest.mark.anyio
ID = execution_id()
EVENTS = f"/v1/executions/{ID}/events"
LOGS = f"/v1/executions/{ID}/logs"


@pytest.fixture
def workflow(world: FakeWorld) -> FakeWorld:
    world.create(ID, FIBOA, 3, 1)
    return world


async def test_events_are_read_page_by_page(http: httpx.AsyncClient, workflow: FakeWorld) -> None:
    workflow.add(ID, LOCKED, HistoryEvent(JoinSetCreate("g:1")), HistoryEvent(JoinNext("g:1")))
    first = (await http.get(EVENTS, params={"limit": 3})).json()
    rest = (await http.get(EVENTS, params={"from": first["next"]})).json()
    assert [event["version"] for event in first["events"] + rest["events"]] == [0, 1, 2, 3]
    assert [event["type"] for event in first["events"]] == ["created", "locked", "history_event"]
    assert (rest["next"], rest["finished"]) == (4, False)


async def test_events_that_are_there_are_given_at_once_though_more_may_come(
    http: httpx.AsyncClient, workflow: FakeWorld
) -> None:
    page = (await http.get(EVENTS, params={"wait": 60})).json()
    assert len(page["events"]) == 1


async def test_who_waits_gets_the_next_event_when_it_is_there(http: httpx.AsyncClient, workflow: FakeWorld) -> None:
    waiting = asyncio.create_task(http.get(EVENTS, params={"from": 1, "wait": 30}))
    await until_watched(workflow)
    workflow.add(ID, LOCKED)
    page = (await waiting).json()
    assert [event["type"] for event in page["events"]] == ["locked"]


async def test_a_response_wakes_only_who_asked_for_responses(http: httpx.AsyncClient, workflow: FakeWorld) -> None:
    waiting = asyncio.create_task(http.get(EVENTS, params={"from": 1, "responses_from": 1, "wait": 30}))
    events_only = asyncio.create_task(http.get(EVENTS, params={"from": 1, "wait": 30}))
    async with asyncio.timeout(10):
        while workflow.watcher.waiting < 2:
            await asyncio.sleep(0)
    workflow.respond(ID, "o:1", ChildFinished(execution_id(2), Returned({"ok": 1})))
    page = (await waiting).json()
    assert [response["type"] for response in page["responses"]] == ["child_finished"]
    assert (page["events"], page["next"], page["next_response"]) == ([], 1, 2)
    assert not events_only.done()
    workflow.finish(ID, {"ok": 1})
    assert (await events_only).json()["finished"]


async def test_responses_have_a_resource_of_their_own(http: httpx.AsyncClient, workflow: FakeWorld) -> None:
    for number in (2, 3):
        workflow.respond(ID, "g:1", ChildFinished(execution_id(number), Returned({"ok": number})))
    page = (await http.get(f"/v1/executions/{ID}/responses", params={"from": 2})).json()
    assert [response["result"] for response in page["responses"]] == [{"ok": 3}]
    assert page["next"] == 3


async def test_nobody_waits_for_an_execution_that_has_finished(http: httpx.AsyncClient, workflow: FakeWorld) -> None:
    workflow.finish(ID, {"ok": 1})
    page = (await http.get(EVENTS, params={"from": 2, "wait": 60})).json()
    assert page == {"events": [], "next": 2, "finished": True}


async def test_the_wait_ends_empty_when_nothing_happens(http: httpx.AsyncClient, workflow: FakeWorld) -> None:
    page = (await http.get(EVENTS, params={"from": 1, "wait": 0.01})).json()
    assert page == {"events": [], "next": 1, "finished": False}


async def test_log_lines_are_followed_by_position(http: httpx.AsyncClient, workflow: FakeWorld) -> None:
    workflow.log(ID, "one")
    first = (await http.get(LOGS)).json()
    assert [(line["level"], line["message"]) for line in first["logs"]] == [("info", "one")]
    waiting = asyncio.create_task(http.get(LOGS, params={"after": first["next"], "wait": 30}))
    await until_watched(workflow)
    workflow.log(ID, "two")
    assert [line["message"] for line in (await waiting).json()["logs"]] == ["two"]


async def test_a_client_that_goes_away_is_not_waited_for(http: httpx.AsyncClient, workflow: FakeWorld) -> None:
    waiting = asyncio.create_task(http.get(EVENTS, params={"from": 1, "wait": 60}))
    await until_watched(workflow)
    waiting.cancel()
    async with asyncio.timeout(10):
        while workflow.watcher.waiting:
            await asyncio.sleep(0)


@pytest.mark.parametrize("query", ["wait=61", "wait=-1", "wait=x", "wait=nan", "from=-1", "limit=501"])
async def test_waits_and_pages_are_bounded(http: httpx.AsyncClient, workflow: FakeWorld, query: str) -> None:
    assert (await http.get(f"{EVENTS}?{query}")).status_code == 400
