import asyncio
import json
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from obelisk_daemon.api.catalog import FunctionCatalog
from obelisk_daemon.clock import Instant
from obelisk_daemon.execution.events import Created, Locked, Paused, RetryPolicy, TemporarilyFailed
from obelisk_daemon.execution.outcome import FailureRecord
from obelisk_daemon.ids import ExecutionId, ExecutorId, FailureId, RunId
from tests.fakes.api import DIGEST, FIBO, FIBOA, PLACE, START, FakeWorld, execution_id
from tests.fakes.serving import until_watched

pytestmark = pytest.mark.anyio
ID = execution_id()
LOCKED = Locked(
    ExecutorId("Exr_x"), RunId("Run_x"), 1, DIGEST, 3, 30_000_000, RetryPolicy(5, 0.1, 2.0, 60.0, 0.1, ("error",))
)


async def submit(http: httpx.AsyncClient, ffqn: str, params: object, number: int = 1) -> httpx.Response:
    return await http.put(f"/v1/executions/{execution_id(number)}", json={"ffqn": ffqn, "params": params})


def problem(response: httpx.Response) -> tuple[int, str]:
    assert response.headers["content-type"] == "application/problem+json"
    document = response.json()
    assert document["status"] == response.status_code
    assert document["type"] == f"urn:obelisk:problem:{document['code']}"
    assert document["title"]
    assert document["detail"]
    return response.status_code, document["code"]


async def test_a_new_execution_is_answered_201_with_its_state(http: httpx.AsyncClient) -> None:
    response = await submit(http, "fibo-activity.fibo", [3])
    assert response.status_code == 201
    assert response.json() == {
        "execution_id": ID,
        "ffqn": str(FIBO.ffqn),
        "state": "pending_at",
        "lifecycle": "active",
        "created_at": "2026-01-02T03:04:05.001000Z",
        "changed_at": "2026-01-02T03:04:05.001000Z",
        "component": "fibo",
        "component_digest": DIGEST,
        "labels": ["cpu"],
        "attempts": 0,
        "version": 1,
        "due_at": "2026-01-02T03:04:05.000000Z",
        "params": [3],
    }


async def test_the_same_submit_is_answered_200_with_the_current_state(
    http: httpx.AsyncClient, world: FakeWorld
) -> None:
    await submit(http, "fibo-activity.fibo", [3])
    world.finish(ID, {"ok": 2})
    response = await submit(http, str(FIBO.ffqn), [3.0])
    assert response.status_code == 200
    assert response.json()["result"] == {"ok": 2}
    assert world.submitted == 1


@pytest.mark.parametrize(("ffqn", "params"), [("fibo-activity.fibo", [4]), ("fibo-workflow.fiboa", [3, 1])])
async def test_another_call_under_the_same_id_is_answered_409(
    http: httpx.AsyncClient, ffqn: str, params: list[object]
) -> None:
    await submit(http, "fibo-activity.fibo", [3])
    assert problem(await submit(http, ffqn, params)) == (409, "execution_exists")


async def test_the_same_submit_is_found_when_the_function_has_gone(http: httpx.AsyncClient, world: FakeWorld) -> None:
    await submit(http, "fibo-activity.fibo", [3])
    world.catalog = FunctionCatalog(4, (), ())
    assert (await submit(http, "fibo-activity.fibo", [3])).status_code == 200
    assert problem(await submit(http, "fibo-activity.fibo", [4])) == (409, "execution_exists")
    assert problem(await submit(http, "fibo-activity.fibo", [3], number=2)) == (422, "function_not_found")


async def test_the_same_submit_is_found_while_the_disk_is_full(http: httpx.AsyncClient, world: FakeWorld) -> None:
    await submit(http, "fibo-activity.fibo", [3])
    world.storage_full = True
    assert (await submit(http, "fibo-activity.fibo", [3])).status_code == 200
    assert problem(await submit(http, "fibo-activity.fibo", [3], number=2)) == (507, "storage_full")


async def test_records_are_the_same_with_kebab_case_names_and_bytes_as_numbers(
    http: httpx.AsyncClient, world: FakeWorld
) -> None:
    await submit(http, "shop:orders/orders.place", [{"order_id": 2**63, "note": "ä"}, [0, 255]])
    created = world.logs[ID][0].event
    assert isinstance(created, Created)
    assert created.params == [{"order_id": 2**63, "note": "ä"}, b"\x00\xff"]
    again = await submit(http, "shop:orders/orders.place", [{"note": "ä", "order-id": 2**63}, [0, 255]])
    assert again.status_code == 200
    other = await submit(http, "shop:orders/orders.place", [{"note": "ä", "order-id": 2**63 + 1}, [0, 255]])
    assert problem(other) == (409, "execution_exists")


async def test_true_is_not_the_same_as_1(http: httpx.AsyncClient) -> None:
    await submit(http, "fibo-activity.fibo", [1])
    assert problem(await submit(http, "fibo-activity.fibo", [True])) == (409, "execution_exists")


async def test_the_daemon_makes_an_id_when_it_is_asked_to(http: httpx.AsyncClient, world: FakeWorld) -> None:
    body = {"ffqn": "fibo-activity.fibo", "params": [3]}
    one = (await http.post("/v1/executions", json=body)).json()["execution_id"]
    two = (await http.post("/v1/executions", json=body)).json()["execution_id"]
    assert one != two
    assert set(world.logs) == {one, two}


@pytest.mark.parametrize(
    ("known", "body", "expected"),
    [
        ("E_nope", b'{"ffqn": "a.b"}', (400, "invalid_execution_id")),
        (ID + ".o:1_1", b'{"ffqn": "a.b"}', (400, "invalid_execution_id")),
        (ID, b"", (400, "invalid_request")),
        (ID, b"{", (400, "invalid_request")),
        (ID, b"[]", (400, "invalid_request")),
        (ID, b'{"params": []}', (400, "invalid_request")),
        (ID, b'{"ffqn": 5}', (400, "invalid_request")),
        (ID, b'{"ffqn": "a.b", "params": {}}', (400, "invalid_request")),
        (ID, b'{"ffqn": "a.b", "parms": []}', (400, "invalid_request")),
        (ID, b'{"ffqn": "a.b", "params": [NaN]}', (400, "invalid_request")),
        (ID, b'{"ffqn": "a.b", "params": ' + b"[" * 50_000 + b"]" * 50_000 + b"}", (400, "invalid_request")),
        (ID, b'{"ffqn": "a.b", "params": []}', (422, "function_not_found")),
        (ID, b'{"ffqn": "orders.place", "params": []}', (422, "ambiguous_function")),
        (ID, b'{"ffqn": "fibo-activity.fibo", "params": []}', (422, "type_check_failed")),
        (ID, b'{"ffqn": "fibo-activity.fibo", "params": [256]}', (422, "type_check_failed")),
        (ID, b'{"ffqn": "' + b"x" * (8 << 20) + b'"}', (413, "body_too_large")),
    ],
    ids=map(str, range(16)),
)
async def test_wrong_submits_are_refused_and_write_nothing(
    http: httpx.AsyncClient, world: FakeWorld, known: str, body: bytes, expected: tuple[int, str]
) -> None:
    assert problem(await http.put(f"/v1/executions/{known}", content=body)) == expected
    assert world.submitted == 0


async def test_a_wrong_parameter_is_named_with_its_wit_type(http: httpx.AsyncClient) -> None:
    response = await submit(http, "fibo-workflow.fiboa", [1, "many"])
    assert response.json()["detail"] == 'parameter iterations: expected u32, got "many"'


async def test_an_unknown_execution_is_answered_404_everywhere(http: httpx.AsyncClient) -> None:
    for suffix in ("", "/events", "/responses", "/logs", "/result", "/result?wait=5"):
        assert problem(await http.get(f"/v1/executions/{ID}{suffix}")) == (404, "execution_not_found")
    assert problem(await http.post(f"/v1/executions/{ID}/cancel")) == (404, "execution_not_found")
    assert problem(await http.get("/v1/failures/Err_x")) == (404, "failure_not_found")


async def test_unknown_routes_and_methods_are_problems_too(http: httpx.AsyncClient) -> None:
    assert problem(await http.get("/v1/nothing")) == (404, "no_such_route")
    assert problem(await http.get("/nothing")) == (404, "no_such_route")
    assert problem(await http.delete("/v1/status")) == (405, "method_not_allowed")


async def test_a_bug_is_answered_500_without_its_details_and_logged(
    http: httpx.AsyncClient, world: FakeWorld, caplog: pytest.LogCaptureFixture
) -> None:
    world.broken = True
    response = await http.get(f"/v1/executions/{ID}")
    assert problem(response) == (500, "internal")
    assert "a bug" not in response.text
    assert "ZeroDivisionError: a bug" in caplog.text


async def test_showing_a_failed_execution_tells_why(http: httpx.AsyncClient, world: FakeWorld) -> None:
    world.create(ID, FIBO, 3)
    failure_id = world.fail(ID, "unreachable executed")
    shown = (await http.get(f"/v1/executions/{ID}")).json()
    assert shown["state"] == "finished"
    assert shown["result"] == {
        "execution_failure": {"kind": "trap", "failure_id": failure_id, "reason": "unreachable executed"}
    }
    assert shown["failure"] | {"execution_id": ID} == (await http.get(f"/v1/failures/{failure_id}")).json()
    assert shown["failure"]["backtrace"] == "0: fibo!fib\n1: fibo!main"


async def test_showing_a_paused_execution_tells_why(http: httpx.AsyncClient, world: FakeWorld) -> None:
    failure_id = FailureId("Err_y")
    world.failures[failure_id] = FailureRecord(failure_id, "nondeterminism", "version 4: expected x, got y")
    world.create(ID, FIBOA, 1, 1)
    world.add(ID, LOCKED, Paused("nondeterminism", failure_id, DIGEST, "expected x, got y"))
    shown = (await http.get(f"/v1/executions/{ID}")).json()
    assert (shown["lifecycle"], shown["pause_reason"]) == ("paused", "nondeterminism")
    assert shown["pause_message"] == "expected x, got y"
    assert shown["failure"]["message"] == "version 4: expected x, got y"


async def test_a_child_names_its_parent_and_can_be_asked_for_by_its_id(
    http: httpx.AsyncClient, world: FakeWorld
) -> None:
    world.create(ID, FIBOA, 1, 1)
    child = ExecutionId(f"{ID}.n:a%?_1")
    world.create(child, FIBO, 1, parent=ID)
    shown = (await http.get(f"/v1/executions/{quote(child, safe='')}")).json()
    assert shown["execution_id"] == child
    assert shown["parent"] == {"execution_id": ID}


async def test_lists_are_filtered_and_paged_newest_first(http: httpx.AsyncClient, world: FakeWorld) -> None:
    for number in range(1, 5):
        world.create(execution_id(number), FIBO if number % 2 else FIBOA, number)
    world.create(execution_id(5), FIBO, 1, parent=execution_id(2))
    world.finish(execution_id(1), {"ok": 1})

    async def ids(**query: Any) -> list[int]:
        page = (await http.get("/v1/executions", params=query)).json()
        return [int(row["execution_id"][-3:]) for row in page["executions"]]

    assert await ids() == [5, 4, 3, 2, 1]
    assert await ids(ffqn="example:fibo/fibo-activity") == [5, 3, 1]
    assert await ids(state="finished") == [1]
    assert await ids(parent=execution_id(2)) == [5]
    assert await ids(top_level="true") == [4, 3, 2, 1]
    page = (await http.get("/v1/executions", params={"limit": 2})).json()
    assert page["next"].endswith(f".{execution_id(4)}")
    assert await ids(limit=2, cursor=page["next"]) == [3, 2]
    assert "next" not in (await http.get("/v1/executions", params={"limit": 6})).json()


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=501",
        "limit=x",
        "state=odd",
        "lifecycle=odd",
        "outcome=odd",
        "failure=odd",
        "cursor=odd",
        "cursor=9" + "9" * 30 + ".E_1",
        "parent=odd",
        "digest=odd",
        "tag==1",
        "tag=a%00=1",
        "&".join(f"tag=t{n}" for n in range(17)),
        "created_after=yesterday",
        "created_before=2026-01-01",
        "generation=0",
        "generation=x",
    ],
)
async def test_wrong_filters_are_refused(http: httpx.AsyncClient, query: str) -> None:
    status, code = problem(await http.get(f"/v1/executions?{query}"))
    assert (status, code) in (
        (400, "invalid_request"),
        (400, "invalid_execution_id"),
        (422, "invalid_filter"),
        (422, "invalid_cursor"),
    )


async def test_large_integers_are_exact_in_both_directions(http: httpx.AsyncClient, world: FakeWorld) -> None:
    body = f'{{"ffqn": "shop:orders/orders.place", "params": [{{"order_id": {2**64 - 1}, "note": ""}}, []]}}'
    await http.put(f"/v1/executions/{ID}", content=body)
    world.finish(ID, {"ok": 2**64 - 1})
    response = await http.get(f"/v1/executions/{ID}/result")
    assert response.content == b'{"ok":18446744073709551615}'
    shown = await http.get(f"/v1/executions/{ID}")
    assert json.loads(shown.content)["params"][0]["order_id"] == 2**64 - 1


async def test_a_result_that_is_not_there_yet_is_answered_202(http: httpx.AsyncClient, world: FakeWorld) -> None:
    world.create(ID, FIBO, 3)
    response = await http.get(f"/v1/executions/{ID}/result")
    assert response.status_code == 202
    assert response.json() == {"execution_id": ID, "state": "pending_at", "lifecycle": "active"}


async def test_who_waits_for_a_result_gets_it_when_it_is_there(http: httpx.AsyncClient, world: FakeWorld) -> None:
    world.create(ID, FIBO, 3)
    waiting = asyncio.create_task(http.get(f"/v1/executions/{ID}/result?wait=30"))
    await until_watched(world)
    reads = world.reads
    world.add(ID, LOCKED, TemporarilyFailed(1, "boom", Instant(START), "trap"))
    world.finish(ID, {"err": "no"})
    response = await waiting
    assert (response.status_code, response.json()) == (200, {"err": "no"})
    assert world.reads <= reads + 2, "changes before the end must not make it read again"
    assert world.watcher.waiting == 0


async def test_who_waits_for_what_runs_here_is_answered_without_a_look_at_the_database(
    http: httpx.AsyncClient, world: FakeWorld
) -> None:
    world.create(ID, FIBO, 3)
    world.held, reads = ID, world.reads
    waiting = asyncio.create_task(http.get(f"/v1/executions/{ID}/result?wait=30"))
    await until_watched(world)
    world.add(ID, LOCKED)
    world.finish(ID, {"ok": 2})
    response = await waiting
    assert (response.status_code, response.json()) == (200, {"ok": 2})
    assert world.reads == reads


@pytest.mark.parametrize("wait", ["", "?wait=0"])
async def test_of_what_runs_here_the_state_is_read_where_nobody_waits_any_longer(
    http: httpx.AsyncClient, world: FakeWorld, wait: str
) -> None:
    world.create(ID, FIBO, 3)
    world.held = ID
    response = await http.get(f"/v1/executions/{ID}/result{wait}")
    assert response.status_code == 202
    assert response.json() == {"execution_id": ID, "state": "pending_at", "lifecycle": "active"}


async def test_cancelling_reports_what_it_reached(http: httpx.AsyncClient, world: FakeWorld) -> None:
    world.create(ID, FIBO, 3)
    first = await http.post(f"/v1/executions/{ID}/cancel")
    again = await http.post(f"/v1/executions/{ID}/cancel")
    assert first.json() == {"execution_id": ID, "already_finished": False, "reached": 1, "awaited": 0}
    assert again.json() == {"execution_id": ID, "already_finished": True, "reached": 0, "awaited": 0}


async def test_functions_show_their_wit_types(http: httpx.AsyncClient) -> None:
    document = (await http.get("/v1/functions")).json()
    assert document["generation"] == 3
    place = next(row for row in document["functions"] if row["ffqn"] == str(PLACE.ffqn))
    assert place["signature"] == "func(order: record {order-id: u64, note: string}, raw: list<u8>)"
    assert place["params"][1] == {"name": "raw", "type": "list<u8>"}
    assert "returns" not in place


async def test_readiness_follows_the_daemon_and_health_does_not(http: httpx.AsyncClient, world: FakeWorld) -> None:
    assert (await http.get("/v1/readyz")).status_code == 200
    world.not_ready = "the disk is full"
    assert problem(await http.get("/v1/readyz")) == (503, "not_ready")
    assert (await http.get("/v1/healthz")).json() == {"status": "ok"}
    status = (await http.get("/v1/status")).json()
    assert (status["ready"], status["not_ready"]) == (False, "the disk is full")


async def test_the_openapi_document_is_served(http: httpx.AsyncClient) -> None:
    document = (await http.get("/v1/openapi.json")).json()
    assert document["openapi"].startswith("3.1")
    assert "/v1/executions/{execution_id}" in document["paths"]


async def test_a_new_execution_is_described_without_a_look_at_the_database(
    http: httpx.AsyncClient, world: FakeWorld
) -> None:
    await submit(http, "fibo-activity.fibo", [3])
    assert world.reads == 0


async def test_the_same_call_is_found_where_nothing_can_be_written(http: httpx.AsyncClient, world: FakeWorld) -> None:
    await submit(http, "fibo-activity.fibo", [3])
    world.storage_full = True
    assert (await submit(http, "fibo-activity.fibo", [3.0])).status_code == 200
    assert problem(await submit(http, "fibo-activity.fibo", [3], number=2)) == (507, "storage_full")
