"""The web UI's files over HTTP."""

import httpx
import pytest

pytestmark = pytest.mark.anyio


async def test_the_page_is_at_the_root_and_may_load_only_from_here(http: httpx.AsyncClient) -> None:
    answer = await http.get("/")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"


async def test_a_file_is_sent_once_and_then_known_by_its_tag(http: httpx.AsyncClient) -> None:
    first = await http.get("/ui/main.js")
    assert first.headers["content-type"] == "text/javascript; charset=utf-8"
    assert first.headers["cache-control"] == "no-cache"
    again = await http.get("/ui/main.js", headers={"if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    other = await http.get("/ui/main.js", headers={"if-none-match": '"other"'})
    assert other.content == first.content


@pytest.mark.parametrize("address", ["/ui/none.js", "/ui/..%2Ffiles.py", "/ui/__init__.py"])
async def test_what_is_no_file_of_the_web_ui_is_not_sent(http: httpx.AsyncClient, address: str) -> None:
    answer = await http.get(address)
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"


async def test_a_function_is_given_with_its_types_in_parts(http: httpx.AsyncClient) -> None:
    answer = await http.get("/v1/functions", params={"ffqn": "approval.approve", "types": True})
    (function,) = answer.json()["functions"]
    primitive = {"type": "primitive", "name": "u64"}
    result = {"type": "result", "ok": primitive | {"name": "bool"}, "err": primitive | {"name": "string"}}
    assert function["types"] == {"params": [["order", primitive]], "result": result}
    everything = (await http.get("/v1/functions")).json()["functions"]
    assert len(everything) > 1
    assert "types" not in everything[0]
