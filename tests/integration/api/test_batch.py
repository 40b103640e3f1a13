from typing import Any

import httpx
import pytest

from tests.fakes.api import FIBO, FakeWorld, execution_id
from tests.integration.api.test_executions import problem

pytestmark = pytest.mark.anyio
FFQN = str(FIBO.ffqn)


def call(number: int, *params: object, **more: object) -> dict[str, object]:
    return {"execution_id": execution_id(number), "ffqn": FFQN, "params": params or (3,), **more}


async def batch(http: httpx.AsyncClient, *calls: dict[str, object]) -> dict[str, Any]:
    answer = await http.post("/v1/executions/batch", json={"executions": calls})
    assert answer.status_code == 200, answer.text
    document: dict[str, Any] = answer.json()
    return document


async def test_calls_are_submitted_together_and_sending_them_again_changes_nothing(
    http: httpx.AsyncClient, world: FakeWorld
) -> None:
    calls = [call(number, number, tags={"order": str(number)}) for number in range(1, 101)]
    assert await batch(http, *calls) == {"created": 100, "unchanged": 0, "refused": []}
    assert [one.params for one in world.calls] == [[number] for number in range(1, 101)]
    assert world.calls[6].tags == {"order": "7"}
    assert await batch(http, *calls, call(101)) == {"created": 1, "unchanged": 100, "refused": []}
    assert world.submitted == 101


async def test_a_call_that_is_refused_stops_no_other_one_and_is_named_with_its_reason(
    http: httpx.AsyncClient, world: FakeWorld
) -> None:
    await batch(http, call(1, 1))
    done = await batch(
        http,
        call(1, 2),
        call(2, "three"),
        call(3, ffqn="example:none/none.none"),
        call(4, execution_id="E_odd"),
        call(5, priority=11),
        call(6, due_in="soon"),
        call(7),
    )
    assert (done["created"], done["unchanged"]) == (1, 0)
    assert [(one["execution_id"][-1], one["code"]) for one in done["refused"]] == [
        ("1", "execution_exists"),
        ("2", "type_check_failed"),
        ("3", "function_not_found"),
        ("d", "invalid_execution_id"),
        ("5", "invalid_priority"),
        ("6", "invalid_due"),
    ]
    assert [one.execution_id for one in world.calls] == [execution_id(1), execution_id(7)]


async def test_a_call_that_is_there_is_found_though_its_function_has_gone(
    http: httpx.AsyncClient, world: FakeWorld
) -> None:
    await batch(http, call(1))
    world.catalog = type(world.catalog)(4, (), ())
    assert await batch(http, call(1)) == {"created": 0, "unchanged": 1, "refused": []}


async def test_an_id_that_is_twice_in_a_batch_is_submitted_once(http: httpx.AsyncClient, world: FakeWorld) -> None:
    assert await batch(http, call(1), call(1)) == {"created": 1, "unchanged": 1, "refused": []}
    done = await batch(http, call(2), call(2, 4))
    assert (done["created"], [one["code"] for one in done["refused"]]) == (1, ["execution_exists"])


@pytest.mark.parametrize(
    "wanted", [{}, {"executions": []}, {"executions": [{"ffqn": FFQN}]}, {"executions": [call(1)] * 1_001}]
)
async def test_what_is_no_batch_is_refused_whole(http: httpx.AsyncClient, world: FakeWorld, wanted: object) -> None:
    assert problem(await http.post("/v1/executions/batch", json=wanted)) == (400, "invalid_request")
    assert world.submitted == 0


async def test_a_full_disk_refuses_the_whole_batch(http: httpx.AsyncClient, world: FakeWorld) -> None:
    world.storage_full = True
    answer = await http.post("/v1/executions/batch", json={"executions": [call(1), call(2)]})
    assert problem(answer) == (507, "storage_full")
