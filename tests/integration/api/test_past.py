import asyncio

import httpx
import pytest

from obelisk_daemon.api import turns
from obelisk_daemon.execution.events import ChildFinished, HistoryEvent, JoinSetCreate
from obelisk_daemon.execution.outcome import Returned
from obelisk_daemon.ids import child_id
from tests.building import OK, call_items, delay_items, history, one_delay
from tests.fakes.api import FIBOA, START, FakeWorld, execution_id
from tests.integration.api.test_executions import LOCKED

pytestmark = pytest.mark.anyio
ID = execution_id()
STATE = f"/v1/executions/{ID}/state"


@pytest.fixture
def workflow(world: FakeWorld) -> FakeWorld:
    """Give a workflow that has called a child, got its answer, and waits for a delay."""
    world.create(ID, FIBOA, 3, 1)
    world.add(ID, LOCKED, *history(*call_items(ID, 1)))
    world.respond(ID, "o:1", ChildFinished(child_id(ID, "o:1", 1), OK))
    world.add(ID, *history(*delay_items(ID, 2, START + 60_000_000)))
    return world


async def state(http: httpx.AsyncClient, **query: int) -> dict[str, object]:
    response = await http.get(STATE, params=query)
    assert response.status_code == 200, response.text
    document: dict[str, object] = response.json()
    return document


async def test_the_newest_version_is_told_whole(http: httpx.AsyncClient, workflow: FakeWorld) -> None:
    document = await state(http)
    assert (document["version"], document["latest"], document["responses"]) == (8, 8, 1)
    assert (document["state"], document["lifecycle"], document["attempt"]) == ("blocked", "active", 1)
    assert document["waiting_for"] == {"join_set": "o:2", "version": 7}
    delay = {"version": 6, "delay_id": one_delay(ID, 2), "due_at": "2026-01-02T03:05:05.000000Z"}
    assert document["pending"] == [delay | {"join_set": "o:2"}]
    child = {
        "version": 3,
        "execution_id": child_id(ID, "o:1", 1),
        "ffqn": "testing:fibo/fibo.fibo",
        "seq": 1,
        "answered_at": "2026-01-02T03:04:05.006000Z",
        "taken": True,
        "outcome": "ok",
        "result": {"ok": 55},
    }
    counts = {"members_total": 1, "answered": 1, "taken": 1}
    assert document["join_sets"] == [
        {"name": "o:1", "kind": "one_off", "version": 2, "members": [child], **counts},
        {"name": "o:2", "kind": "one_off", "version": 5, "members": [delay], **counts | {"answered": 0, "taken": 0}},
    ]


async def test_an_earlier_version_has_only_what_had_come_by_then(http: httpx.AsyncClient, workflow: FakeWorld) -> None:
    waiting = await state(http, version=5)
    assert (waiting["version"], waiting["latest"], waiting["state"]) == (5, 8, "blocked")
    assert (waiting["responses"], waiting["pending_total"]) == (0, 1)
    assert waiting["event"] == {
        "version": 4,
        "created_at": waiting["at"],
        "type": "history_event",
        "event": {"type": "join_next", "join_set": "o:1", "closing": False},
    }
    going = await state(http, version=6)
    assert (going["responses"], going["pending_total"], going["state"]) == (1, 0, "locked")


@pytest.mark.parametrize("version", range(1, 9))
async def test_every_version_can_be_asked_for(http: httpx.AsyncClient, workflow: FakeWorld, version: int) -> None:
    document = await state(http, version=version)
    event = document["event"]
    assert isinstance(event, dict)
    assert (document["version"], event["version"]) == (version, version - 1)


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ("version=9", 422, "version_not_found"),
        ("version=0", 400, "invalid_request"),
        ("version=x", 400, "invalid_request"),
        ("limit=501", 400, "invalid_request"),
    ],
)
async def test_what_is_no_version_is_refused(
    http: httpx.AsyncClient, workflow: FakeWorld, query: str, status: int, code: str
) -> None:
    response = await http.get(f"{STATE}?{query}")
    assert (response.status_code, response.json()["code"]) == (status, code)


async def test_an_execution_that_is_not_there_is_not_found(http: httpx.AsyncClient) -> None:
    response = await http.get(STATE)
    assert (response.status_code, response.json()["code"]) == (404, "execution_not_found")


async def test_how_it_ended_is_told(http: httpx.AsyncClient, workflow: FakeWorld) -> None:
    workflow.fail(ID, "unreachable")
    document = await state(http)
    assert document["state"] == "finished"
    assert "waiting_for" not in document
    assert document["pending_total"] == 1
    result = document["result"]
    assert isinstance(result, dict)
    assert result["execution_failure"]["kind"] == "trap"


async def test_of_a_long_log_a_part_is_shown_and_all_is_counted(http: httpx.AsyncClient, world: FakeWorld) -> None:
    world.create(ID, FIBOA, 3, 1)
    world.add(ID, LOCKED, *[HistoryEvent(JoinSetCreate(f"n:empty{number}")) for number in range(300)])
    for number in range(1, 401):
        world.add(ID, *history(*call_items(ID, number)))
        if number != 7:
            world.respond(ID, f"o:{number}", ChildFinished(child_id(ID, f"o:{number}", 1), Returned({"ok": number})))
    document = await state(http, limit=3)
    sets = document["join_sets"]
    assert isinstance(sets, list)
    assert [one["name"] for one in sets] == ["o:7", "o:399", "o:400"]
    assert (document["join_sets_total"], document["responses"], document["pending_total"]) == (700, 399, 1)
    early = await state(http, version=10, limit=3)
    assert (early["join_sets_total"], early["responses"]) == (8, 0)


async def test_few_wait_for_a_log_to_be_folded(
    http: httpx.AsyncClient, workflow: FakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "_MOST_WAITING", 1)
    async with workflow.live.turns.one():
        refused = await http.get(STATE)
        assert (refused.status_code, refused.json()["code"]) == (503, "too_many_waiting")
    answers = await asyncio.gather(http.get(STATE))
    assert [answer.status_code for answer in answers] == [200]


async def test_the_tree_has_the_children_of_each(http: httpx.AsyncClient, workflow: FakeWorld) -> None:
    first, below = child_id(ID, "o:1", 1), child_id(child_id(ID, "o:1", 1), "o:1", 1)
    for number in (2, 10, 1):
        workflow.create(child_id(ID, f"g:{number}", 1), FIBOA, 1, 1, parent=ID)
    workflow.create(first, FIBOA, 1, 1, parent=ID)
    workflow.create(below, FIBOA, 1, 1, parent=first)
    tree = (await http.get(f"/v1/executions/{ID}/tree")).json()
    assert (tree["execution_id"], tree["state"], len(tree["children"])) == (ID, "blocked", 4)
    assert [child["execution_id"] for child in tree["children"][3]["children"]] == [below]
    flat = (await http.get(f"/v1/executions/{ID}/tree?depth=1&limit=3")).json()
    assert (len(flat["children"]), flat["more"]) == (2, True)
    assert (await http.get(f"/v1/executions/{ID}/tree?depth=33")).status_code == 400
    assert (await http.get(f"/v1/executions/{execution_id(9)}/tree")).status_code == 404
