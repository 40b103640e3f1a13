"""Shortcuts answer as litestar does: each request goes both ways, over worlds that are alike."""

import json
from pathlib import Path
from typing import Any

import pytest
from litestar.types import Receive, Scope, Send

from obelisk_daemon.api.access import IDENTITY
from obelisk_daemon.api.app import make_app
from obelisk_daemon.api.connection import ARRIVAL, Arrival
from obelisk_daemon.api.hot_routes import SHORTCUTS
from obelisk_daemon.api.identity import Anonymous, Identity
from obelisk_daemon.api.listeners import UnixListener
from obelisk_daemon.api.shortcuts import Shortcuts
from tests.fakes.api import FIBO, FakeWorld, execution_id
from tests.fakes.serving import access

pytestmark = pytest.mark.anyio
ALL = "/v1/executions"
ONE = f"{ALL}/{execution_id(1)}"
THERE = f"{ALL}/{execution_id(2)}"
CALL = {"ffqn": "fibo-activity.fibo", "params": [3]}
OPERATOR = Identity("ci", "operate")
READER = Identity("eye", "read")
BATCH = {"executions": [{"execution_id": execution_id(1), **CALL}, {"execution_id": execution_id(3), **CALL}]}

PLAIN: list[tuple[str, str, Any]] = [
    ("PUT", ONE, CALL),
    ("PUT", ONE, {**CALL, "due_in": "1h", "labels": ["gpu"], "priority": 9, "tags": {"a": "b"}}),
    ("PUT", THERE, CALL),
    ("PUT", THERE, {**CALL, "params": [4]}),
    ("PUT", ONE, {**CALL, "params": ["x"]}),
    ("PUT", ONE, {**CALL, "due_in": "soon"}),
    ("PUT", ONE, {**CALL, "ffqn": "nothing.here"}),
    ("POST", ALL, CALL),
    ("POST", ALL, {**CALL, "params": []}),
    ("POST", f"{ALL}/batch", BATCH),
    ("POST", f"{ALL}/batch", {"executions": [{"execution_id": "E_1", **CALL}]}),
    ("GET", f"{THERE}/result", None),
    ("GET", f"{THERE}/result?wait=20", None),
    ("GET", f"{ONE}/result", None),
]
ODD: list[tuple[str, str, Any]] = [
    ("PUT", f"{ONE}/", CALL),
    ("PUT", f"{ALL}/E_1", CALL),
    ("PUT", f"{ONE}?x=1", CALL),
    ("PUT", ONE, {**CALL, "priority": 3.0}),
    ("PUT", ONE, {**CALL, "priority": "3"}),
    ("PUT", ONE, {**CALL, "more": 1}),
    ("PUT", ONE, {"params": [3]}),
    ("PUT", ONE, [CALL]),
    ("PUT", ONE, b"{"),
    ("PUT", ONE, b'{"ffqn": "\xff"}'),
    ("PUT", ONE, b"[" * 100_000),
    ("PUT", ONE, None),
    ("POST", f"{ALL}/batch", {"executions": []}),
    ("POST", ONE, CALL),
    ("DELETE", ONE, None),
    ("GET", f"{THERE}/result?wait=0.0", None),
    ("GET", f"{THERE}/result?wait=61", None),
    ("GET", f"{THERE}/result?wait=x", None),
    ("GET", f"{THERE}/result?wait=0&wait=0", None),
    ("GET", f"{ALL}/E_1/result", None),
]


def world() -> FakeWorld:
    """Make a world with one execution that has finished."""
    made = FakeWorld()
    made.create(execution_id(2), FIBO, 3)
    made.finish(execution_id(2), {"ok": 2})
    return made


def scope_of(method: str, target: str, headers: list[tuple[bytes, bytes]], who: object) -> Any:
    path, _, query = target.partition("?")
    return {
        "type": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "scheme": "http",
        "http_version": "1.1",
        "client": None,
        "server": None,
        "headers": headers,
        "state": {ARRIVAL: Arrival(UnixListener(Path("/x"))), IDENTITY: who},
    }


def headers_for(content: bytes, **more: str) -> list[tuple[bytes, bytes]]:
    found = {"host": "localhost", **({"content-type": "application/json"} if content else {}), **more}
    length = [(b"content-length", str(len(content)).encode())] if content else []
    return [*((name.replace("_", "-").encode(), value.encode()) for name, value in found.items()), *length]


async def ask(app: Any, scope: Any, content: bytes) -> list[Any]:
    """Send a request, its body in two parts; give the answer, and how metrics name its route."""
    half = len(content) // 2
    left = [(content[:half], True), (content[half:], False)]
    told: list[Any] = []

    async def receive() -> Any:
        body, more = left.pop(0)
        return {"type": "http.request", "body": body, "more_body": more}

    async def send(message: Any) -> None:
        told.append({**message, "headers": sorted(message.get("headers", ()))})

    await app(scope, receive, send)
    return [scope.get("path_template"), told]


async def both(method: str, target: str, content: bytes, who: object = OPERATOR, **more: str) -> tuple[Any, Any]:
    """Ask litestar, and litestar behind the shortcuts."""
    answers = []
    for has_shortcuts in (False, True):
        services = world().services()
        app: Any = make_app(services, access().audit)
        if has_shortcuts:
            app = Shortcuts(app, services, SHORTCUTS, 8 << 20)
        answers.append(await ask(app, scope_of(method, target, headers_for(content, **more), who), content))
    return answers[0], answers[1]


def written(body: Any) -> bytes:
    return body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()


@pytest.mark.parametrize(("method", "target", "body"), PLAIN + ODD)
async def test_a_request_is_answered_as_litestar_answers_it(method: str, target: str, body: Any) -> None:
    theirs, ours = await both(method, target, written(body))
    assert ours == theirs


@pytest.mark.parametrize(("method", "target", "body"), PLAIN[:12])
@pytest.mark.parametrize("who", [READER, Anonymous("nobody")])
async def test_a_role_that_is_missing_is_missing_on_both_ways(method: str, target: str, body: Any, who: object) -> None:
    theirs, ours = await both(method, target, written(body), who)
    assert ours == theirs


@pytest.mark.parametrize(
    "more", [{"content_type": "text/plain"}, {"content_type": "application/json; charset=utf-8"}, {"host": "a/b"}]
)
async def test_other_headers_are_read_by_litestar(more: dict[str, str]) -> None:
    theirs, ours = await both("PUT", ONE, written(CALL), **more)
    assert ours == theirs


async def framework(scope: Scope, receive: Receive, send: Send) -> None:
    raise AssertionError("the framework was asked")


@pytest.mark.parametrize(("method", "target", "body"), PLAIN)
async def test_a_plain_request_takes_the_shortcut(method: str, target: str, body: Any) -> None:
    content = written(body)
    shortcuts = Shortcuts(framework, world().services(), SHORTCUTS, 8 << 20)
    _, told = await ask(shortcuts, scope_of(method, target, headers_for(content), OPERATOR), content)
    assert told[0]["status"] < 500


async def test_a_body_that_is_longer_than_may_be_is_left_to_litestar() -> None:
    content = written(CALL)
    shortcuts = Shortcuts(framework, world().services(), SHORTCUTS, len(content) - 1)
    with pytest.raises(AssertionError, match="the framework was asked"):
        await ask(shortcuts, scope_of("PUT", ONE, headers_for(content), OPERATOR), content)


async def test_a_bug_of_ours_is_answered_500_and_says_nothing() -> None:
    broken = world()
    broken.broken = True
    shortcuts = Shortcuts(framework, broken.services(), SHORTCUTS, 8 << 20)
    _, told = await ask(shortcuts, scope_of("GET", f"{THERE}/result", headers_for(b""), OPERATOR), b"")
    assert (told[0]["status"], json.loads(told[1]["body"])["code"]) == (500, "internal")
