"""Requests are read as they are written, and paths tell their methods."""

import httpx
import pytest

from tests.fakes.api import FIBO, FakeWorld, execution_id

pytestmark = pytest.mark.anyio
PATH = f"/v1/executions/{execution_id(1)}"
CALL = {"ffqn": str(FIBO.ffqn), "params": [3]}


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("/v1/executions?staet=finished", "did you mean 'state'"),
        ("/v1/executions?state=finished&state=locked", "more than once"),
        ("/v1/executions?limit=null", "can't be null"),
        ("/v1/executions?nonsense=1", "there are component, "),
        ("/v1/status?x=1", "there are none here"),
    ],
)
async def test_a_query_that_nobody_reads_is_refused(http: httpx.AsyncClient, url: str, said: str) -> None:
    answer = await http.get(url)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")
    assert said in answer.json()["detail"]


async def test_a_text_may_be_null_as_any_other(http: httpx.AsyncClient) -> None:
    assert (await http.get("/v1/executions?ffqn=null")).json() == {"executions": []}


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"priority": "5"}, "`$.priority`"),
        ({"priority": 2.5}, "`$.priority`"),
        ({"labels": "eu"}, "`$.labels`"),
        ({"prioritee": 5}, "prioritee"),
    ],
)
async def test_a_body_of_other_types_is_refused(
    http: httpx.AsyncClient, world: FakeWorld, more: dict[str, object], said: str
) -> None:
    answer = await http.put(PATH, json={**CALL, **more})
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")
    assert said in answer.json()["detail"]
    assert world.submitted == 0


async def test_a_whole_number_may_be_written_with_a_point(http: httpx.AsyncClient, world: FakeWorld) -> None:
    body = f'{{"ffqn": "{FIBO.ffqn}", "params": [3], "priority": 2.0}}'
    assert (await http.put(PATH, content=body)).status_code == 201
    assert world.calls[-1].priority == 2


@pytest.mark.parametrize(("body", "said"), [(b"{", "not JSON"), (b'"\xff"', "not JSON")])
async def test_a_body_that_is_no_json_is_refused(http: httpx.AsyncClient, body: bytes, said: str) -> None:
    answer = await http.post(f"{PATH}/cancel", content=body)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")
    assert said in answer.json()["detail"]


@pytest.mark.parametrize(
    ("method", "where", "status", "allowed"),
    [
        ("DELETE", "/v1/executions", 405, "GET, OPTIONS, POST"),
        ("PATCH", PATH, 405, "GET, OPTIONS, PUT"),
        ("OPTIONS", "/v1/executions", 204, "GET, OPTIONS, POST"),
        ("POST", "/metrics", 405, "GET, OPTIONS"),
        ("DELETE", "/v1/nowhere", 404, None),
    ],
)
async def test_a_path_tells_its_methods(
    http: httpx.AsyncClient, method: str, where: str, status: int, allowed: str | None
) -> None:
    answer = await http.request(method, where)
    assert (answer.status_code, answer.headers.get("allow")) == (status, allowed)


async def test_a_number_beyond_any_generation_is_refused(http: httpx.AsyncClient) -> None:
    answer = await http.get("/v1/manifest/generations/8858696464944780541952")
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")
