"""Cancelling, pausing, retrying, stubs, delays and failures, as requests and answers."""

import json
from pathlib import Path

import httpx
import pytest

from obelisk_daemon.api.catalog import FunctionCatalog
from obelisk_daemon.clock import Instant
from obelisk_daemon.execution.events import DelayRequest as Asked
from obelisk_daemon.execution.events import HistoryEvent, JoinSetCreate, JoinSetRequest
from obelisk_daemon.execution.outcome import Evidence, FailureRecord, HttpExchange
from obelisk_daemon.ids import DelayId, FailureId, delay_id
from tests.fakes.api import APPROVE, FIBO, FIBOA, START, FakeWorld, execution_id
from tests.fakes.serving import ctl_at
from tests.integration.api.test_executions import LOCKED, problem

pytestmark = pytest.mark.anyio
ID, NEW = execution_id(1), execution_id(2)
PATH = f"/v1/executions/{ID}"
DELAY = delay_id(ID, "o:1", 1)
CALL = {"ffqn": "fibo-activity.fibo", "params": [3]}


@pytest.mark.parametrize("body", [b"", b"{}", b"null", b'{"force": false}'])
async def test_cancelling_needs_no_body(http: httpx.AsyncClient, world: FakeWorld, body: bytes) -> None:
    world.create(ID, FIBO, 3)
    assert (await http.post(f"{PATH}/cancel", content=body)).json()["reached"] == 1


async def test_what_may_not_be_cancelled_is_a_conflict_that_force_solves(
    http: httpx.AsyncClient, world: FakeWorld
) -> None:
    world.create(ID, FIBOA, 3, 1)
    world.not_cancellable.add(ID)
    assert problem(await http.post(f"{PATH}/cancel")) == (409, "not_cancellable")
    assert (await http.post(f"{PATH}/cancel", json={"force": True})).json()["reached"] == 1


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"force": "perhaps"}', b'{"froce": true}'])
async def test_a_wrong_wish_is_refused(http: httpx.AsyncClient, world: FakeWorld, body: bytes) -> None:
    world.create(ID, FIBO, 3)
    assert problem(await http.post(f"{PATH}/cancel", content=body)) == (400, "invalid_request")
    assert "finished" not in (await http.get(PATH)).text


@pytest.mark.parametrize("what", ["cancel", "pause", "resume", "retry", "stub", "delays"])
async def test_ids_are_checked_and_looked_up(http: httpx.AsyncClient, what: str) -> None:
    method = "GET" if what == "delays" else "POST"
    assert problem(await http.request(method, f"/v1/executions/nothing/{what}")) == (400, "invalid_execution_id")
    assert problem(await http.request(method, f"{PATH}/{what}")) == (404, "execution_not_found")


@pytest.mark.parametrize("body", [{"execution_id": "E_x"}, {"execution_id": f"{ID}.o:1_1"}])
async def test_the_id_of_a_retry_is_one_that_can_be_submitted(
    http: httpx.AsyncClient, world: FakeWorld, body: dict[str, str]
) -> None:
    world.create(ID, FIBO, 3)
    world.finish(ID, {"ok": 2})
    assert problem(await http.post(f"{PATH}/retry", json=body)) == (400, "invalid_execution_id")


async def test_a_retry_of_a_function_that_has_gone_is_refused(http: httpx.AsyncClient, world: FakeWorld) -> None:
    world.create(ID, FIBO, 3)
    world.finish(ID, {"ok": 2})
    world.catalog = FunctionCatalog(4, (), ())
    assert problem(await http.post(f"{PATH}/retry")) == (422, "function_not_found")


async def test_a_retry_checks_the_parameters_by_the_type_that_the_function_has_now(
    http: httpx.AsyncClient, world: FakeWorld
) -> None:
    world.create(ID, FIBO, 3, 4)
    world.finish(ID, {"ok": 2})
    assert problem(await http.post(f"{PATH}/retry")) == (422, "type_check_failed")


async def test_a_retry_is_found_though_the_function_has_gone(http: httpx.AsyncClient, world: FakeWorld) -> None:
    world.create(ID, FIBO, 3)
    world.finish(ID, {"ok": 2})
    assert (await http.post(f"{PATH}/retry", json={"execution_id": NEW})).status_code == 201
    world.catalog = FunctionCatalog(4, (), ())
    assert (await http.post(f"{PATH}/retry", json={"execution_id": NEW})).status_code == 200


@pytest.mark.parametrize(
    ("due", "said"),
    [
        ({"due_at": "tomorrow"}, "RFC 3339"),
        ({"due_at": "2026-01-02T03:04:05"}, "RFC 3339"),
        ({"due_at": "2026-13-02T03:04:05Z"}, "no time"),
        ({"due_in": "soon"}, "not a duration"),
        ({"due_in": "99999d"}, "100 years"),
        ({"due_in": "5m", "due_at": "2026-01-02T03:04:05Z"}, "not both"),
    ],
)
async def test_a_wrong_time_is_refused(http: httpx.AsyncClient, world: FakeWorld, due: object, said: str) -> None:
    assert isinstance(due, dict)
    refused = await http.put(PATH, json={**CALL, **due})
    assert problem(refused) == (422, "invalid_due")
    assert said in refused.json()["detail"]
    assert world.submitted == 0


async def test_the_intent_is_part_of_what_makes_two_calls_the_same(http: httpx.AsyncClient) -> None:
    intents = [{}, {"due_in": "60s"}, {"due_in": "61s"}, {"due_at": "2026-01-02T03:05:05Z"}]
    for number, due in enumerate(intents, start=1):
        path = f"/v1/executions/{execution_id(number)}"
        assert (await http.put(path, json={**CALL, **due})).status_code == 201
        statuses = [(await http.put(path, json={**CALL, **other})).status_code for other in intents]
        assert statuses == [200 if other is due else 409 for other in intents]
    assert (await http.put(f"/v1/executions/{execution_id(2)}", json={**CALL, "due_in": "1m"})).status_code == 200


async def test_delays_are_listed_in_pages(http: httpx.AsyncClient, world: FakeWorld) -> None:
    world.create(ID, FIBOA, 3, 1)
    for number in range(1, 4):
        world.delay(delay_id(ID, "g:1", number), "g:1", Instant(START + number))
    first = (await http.get(f"{PATH}/delays", params={"limit": 2})).json()
    rest = (await http.get(f"{PATH}/delays", params={"limit": 2, "cursor": first["next"]})).json()
    found = [delay["delay_id"][-1] for page in (first, rest) for delay in page["delays"]]
    assert found == ["1", "2", "3"]
    assert "next" not in rest


@pytest.mark.parametrize("wrong", ["nothing", ID, "Delay_x.o:1_1", DELAY.partition(".")[0]])
async def test_what_is_no_delay_is_refused(http: httpx.AsyncClient, wrong: str) -> None:
    for what in ("cancel", "pause", "resume"):
        assert problem(await http.post(f"/v1/delays/{wrong}/{what}")) == (400, "invalid_delay_id")


async def test_a_delay_that_has_ended_is_told_from_one_that_never_was(
    http: httpx.AsyncClient, world: FakeWorld
) -> None:
    world.create(ID, FIBOA, 3, 1)
    request = JoinSetRequest("o:1", Asked(DELAY, ("in", 5), Instant(START)))
    world.add(ID, LOCKED, HistoryEvent(JoinSetCreate("o:1")), HistoryEvent(request))
    assert (await http.post(f"/v1/delays/{DELAY}/cancel")).json() == {"delay_id": DELAY, "already_ended": True}
    assert problem(await http.post(f"/v1/delays/{DELAY}/pause")) == (409, "delay_ended")
    other = DelayId(DELAY.replace("o:1", "o:2"))
    assert problem(await http.post(f"/v1/delays/{other}/cancel")) == (404, "delay_not_found")
    assert problem(await http.post(f"/v1/delays/{other}/resume")) == (404, "delay_not_found")


async def test_a_stub_takes_the_result_of_its_type(http: httpx.AsyncClient, world: FakeWorld) -> None:
    world.create(ID, APPROVE, 7)
    assert problem(await http.post(f"{PATH}/stub", json={"ok": "yes"})) == (422, "type_check_failed")
    assert (await http.post(f"{PATH}/stub", json={"ok": True})).json()["result"] == {"ok": True}
    assert (await http.post(f"{PATH}/stub", json={"ok": True})).status_code == 200
    assert problem(await http.post(f"{PATH}/stub", json={"ok": False})) == (409, "stub_conflict")


def failure(number: int, cause: int | None = None) -> FailureRecord:
    return FailureRecord(
        FailureId(f"Err_{number}"), "child_failed", "a child failed", cause=cause and FailureId(f"Err_{cause}")
    )


async def test_causes_are_followed_and_bounded(http: httpx.AsyncClient, world: FakeWorld) -> None:
    for number in range(1, 51):
        world.record(execution_id(number), failure(number, number + 1))
    found = (await http.get("/v1/failures/Err_1")).json()
    assert [cause["failure_id"] for cause in found["causes"]] == [f"Err_{number}" for number in range(2, 34)]
    assert found["causes"][-1]["cause"] == "Err_34"
    assert [cause["execution_id"] for cause in found["causes"]][:2] == [execution_id(2), execution_id(3)]
    last = (await http.get("/v1/failures/Err_50")).json()
    assert (last["cause"], "causes" in last) == ("Err_51", False)


async def test_a_failure_shows_what_the_attempt_left(http: httpx.AsyncClient, world: FakeWorld) -> None:
    exchange = HttpExchange("GET", "http://x/", Instant(START), 1_500, 503, None, None, 0, 7)
    evidence = Evidence("boom", (exchange,), http_left_out=4)
    world.create(ID, FIBO, 3)
    world.record(ID, FailureRecord(FailureId("Err_1"), "trap", "unreachable", evidence=evidence))
    found = (await http.get("/v1/failures/Err_1")).json()
    assert (found["stderr"], found["http_left_out"]) == ("boom", 4)
    assert found["http"] == [
        {
            "method": "GET",
            "url": "http://x/",
            "started_at": "2026-01-02T03:04:05.000000Z",
            "duration_ms": 1.5,
            "status": 503,
            "response_bytes": 7,
        }
    ]


async def test_ctl_retries_under_an_id_of_its_own_and_can_wait(world: FakeWorld, http: object, path: Path) -> None:
    world.create(ID, FIBO, 3)
    world.finish(ID, {"ok": 2})
    assert (await ctl_at(path, "retry", ID, "--id", NEW)).out == f"{NEW}\n"
    world.finish(NEW, {"err": "no"})
    run = await ctl_at(path, "retry", ID, "--id", NEW, "--wait")
    assert (run.code, json.loads(run.out)) == (1, {"err": "no"})
    assert len(world.logs) == 2


async def test_ctl_submits_for_later(world: FakeWorld, http: httpx.AsyncClient, path: Path) -> None:
    call = ("submit", "fibo-activity.fibo", "[3]", "--id")
    assert (await ctl_at(path, *call, ID, "--in", "1h30m")).code == 0
    assert (await ctl_at(path, *call, NEW, "--at", "2026-01-02T04:34:05Z")).code == 0
    due = [(await http.get(f"/v1/executions/{known}")).json()["due_at"] for known in (ID, NEW)]
    assert due == ["2026-01-02T04:34:05.000000Z"] * 2


@pytest.mark.parametrize("result", ["-", "@FILE"])
async def test_ctl_reads_a_result_from_a_file_and_from_stdin(
    world: FakeWorld, http: object, path: Path, tmp_path: Path, result: str
) -> None:
    world.create(ID, APPROVE, 7)
    file = tmp_path / "result.json"
    file.write_text('{"ok": true}')
    run = await ctl_at(path, "stub", ID, result.replace("FILE", str(file)), stdin='{"ok": true}\n')
    assert (run.code, run.out) == (0, f'{ID} -> {{"ok": true}}\n')


@pytest.mark.parametrize(
    ("arguments", "code", "error"),
    [
        (("cancel", ID), 1, "not_cancellable"),
        (("pause", NEW), 1, "execution_not_found"),
        (("resume", "nothing"), 65, "invalid_execution_id"),
        (("retry", ID), 1, "not_finished"),
        (("retry", ID, "--id", "E_x"), 65, "invalid_execution_id"),
        (("stub", ID, "{"), 65, "invalid_result"),
        (("stub", ID, "@/no/such/file"), 65, "invalid_result"),
        (("stub", ID, "1"), 1, "not_a_stub"),
        (("stub", ID), 64, "usage"),
        (("error", "Err_x"), 1, "failure_not_found"),
        (("delays", NEW), 1, "execution_not_found"),
        (("delay",), 64, "usage"),
        (("delay", "cancel", "nothing"), 65, "invalid_delay_id"),
        (("delay", "pause", DELAY), 1, "delay_not_found"),
        (("submit", "fibo-activity.fibo", "[3]", "--in", "1m", "--at", "2026-01-02T03:04:05Z"), 64, "usage"),
        (("submit", "fibo-activity.fibo", "[3]", "--in", "soon"), 65, "invalid_due"),
    ],
)
async def test_ctl_tells_what_is_wrong(
    world: FakeWorld, http: object, path: Path, arguments: tuple[str, ...], code: int, error: str
) -> None:
    world.create(ID, FIBOA, 3, 1)
    world.not_cancellable.add(ID)
    run = await ctl_at(path, *arguments, "--json")
    assert (run.code, json.loads(run.out)["error"]["code"]) == (code, error)
