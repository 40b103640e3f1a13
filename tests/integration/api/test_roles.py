"""Every route by every role, over TCP (issue 5, "Done when" 4)."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any, NamedTuple, get_args

import httpx
import pytest
from litestar import get, post
from litestar.routes import HTTPRoute

from obelisk_config import Role
from obelisk_daemon.api.app import make_app
from obelisk_daemon.api.listeners import TcpListener
from obelisk_daemon.api.roles import needed
from obelisk_daemon.api.server import ApiServer
from tests.fakes.api import FakeWorld, execution_id
from tests.fakes.serving import access
from tests.fakes.tokens import holder

pytestmark = pytest.mark.anyio
ROLES: tuple[Role, ...] = get_args(Role)
HOLDERS = {role: holder(f"the-{role}", role) for role in ROLES}
EXPIRED, EXPIRED_HOLDER = holder("expired", "admin", datetime(2026, 1, 1, tzinfo=UTC))
STRANGER, _ = holder("stranger", "admin")
TOKEN = HOLDERS["admin"][0]


class Asked(NamedTuple):
    """A route: how it is asked, and the role it needs."""

    method: str
    path: str
    role: str
    declared: bool


def every_route() -> list[Asked]:
    found = []
    for route in make_app(FakeWorld().services(), access().audit).routes:
        assert isinstance(route, HTTPRoute)
        for method, (handler, _) in route.route_handler_map.items():
            role = needed(handler, route.path_format)
            found.append(Asked(str(method), route.path_format, role, "role" in handler.opt))
    return found


ROUTES = every_route()
CLOSED = [one for one in ROUTES if one.role != "open"]


def name_of(asked: Asked) -> str:
    return f"{asked.method} {asked.path}"


class Touched:
    """Stands in for what a request reaches, and notes that it was reached."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def __getattr__(self, name: str) -> Any:
        self.names.append(name)
        raise AttributeError(name)


class Scene(NamedTuple):
    http: httpx.AsyncClient
    touched: Touched


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    touched: Any = Touched()
    world = FakeWorld()
    real = world.services()
    services = type(real)(*(touched for _ in real))._replace(live=world.live, metrics=real.metrics)
    known = access(*(token for _, token in HOLDERS.values()), EXPIRED_HOLDER)
    server = ApiServer(services, [TcpListener("127.0.0.1", 0)], known)
    await server.start()
    async with httpx.AsyncClient(base_url=f"http://{server.addresses[0]}") as http:
        yield Scene(http, touched)
    touched.names.clear()
    services = services._replace(watcher=world.watcher)
    server._services = services
    await server.stop()


async def ask(scene: Scene, asked: Asked, headers: list[tuple[str, str]]) -> httpx.Response:
    path = asked.path
    for name in ("execution_id", "delay_id", "failure_id"):
        path = path.replace("{" + name + "}", execution_id())
    path = path.replace("{number}", "1").replace("{path}", "x")
    async with scene.http.stream(asked.method, path, headers=headers) as response:
        if response.status_code >= 400:
            await response.aread()
    return response


def test_every_route_that_is_not_for_reading_declares_its_role() -> None:
    changing = [one for one in ROUTES if one.method not in ("GET", "HEAD", "OPTIONS")]
    assert len(changing) > 10
    assert [name_of(one) for one in changing if not one.declared] == []


def test_a_route_that_does_not_say_its_role_needs_the_most_unless_it_only_reads() -> None:
    @post("/thing")
    async def forgotten() -> None: ...

    @get("/thing")
    async def read() -> None: ...

    assert needed(forgotten, "/v1/thing") == needed(forgotten, "/ui/thing") == "admin"
    assert needed(read, "/v1/thing") == needed(read, "/uid") == needed(read, "/metrics") == "read"
    assert needed(read, "/") == needed(read, "/ui") == needed(read, "/ui/app.js") == "open"


def test_only_the_sign_of_life_and_the_web_pages_are_open() -> None:
    assert {one.path for one in ROUTES if one.role == "open"} - {"/v1/healthz"} <= {
        one.path for one in ROUTES if one.path == "/" or one.path.startswith("/ui")
    }


@pytest.mark.parametrize("role", ROLES)
async def test_a_role_may_ask_for_what_it_includes_and_for_nothing_else(scene: Scene, role: Role) -> None:
    for asked in CLOSED:
        response = await ask(scene, asked, [("authorization", f"Bearer {HOLDERS[role][0]}")])
        if ROLES.index(role) >= ROLES.index(asked.role):  # type: ignore[arg-type]
            assert response.status_code not in (401, 403), asked
            scene.touched.names.clear()
            continue
        assert (response.status_code, response.json()["code"]) == (403, "forbidden"), asked
        assert f"needs the role {asked.role}" in response.json()["detail"]
        assert scene.touched.names == [], asked


REFUSED = {
    "no token": [],
    "wrong": [("authorization", f"Bearer {STRANGER}")],
    "expired": [("authorization", f"Bearer {EXPIRED}")],
    "malformed": [("authorization", f"Bearer {TOKEN[:-1]}")],
    "empty": [("authorization", "")],
    "another scheme": [("authorization", f"Basic {TOKEN}")],
    "twice": [("authorization", f"Bearer {TOKEN}")] * 2,
}


@pytest.mark.parametrize("headers", REFUSED.values(), ids=REFUSED)
async def test_who_is_not_known_is_refused_and_changes_nothing(scene: Scene, headers: list[tuple[str, str]]) -> None:
    for asked in CLOSED:
        response = await ask(scene, asked, headers)
        assert (response.status_code, response.json()["code"]) == (401, "unauthenticated"), asked
        assert response.headers["www-authenticate"] == "Bearer"
        assert scene.touched.names == [], asked


FOREIGN = {
    "foreign_host": [("host", "evil.example"), ("authorization", f"Bearer {TOKEN}")],
    "foreign_origin": [("origin", "http://evil.example"), ("authorization", f"Bearer {TOKEN}")],
}


@pytest.mark.parametrize("code", FOREIGN)
async def test_a_foreign_page_is_refused_even_with_a_token(scene: Scene, code: str) -> None:
    for asked in ROUTES:
        response = await ask(scene, asked, FOREIGN[code])
        assert (response.status_code, response.json()["code"]) == (403, code), asked
        assert scene.touched.names == [], asked


async def test_whoever_asks_is_told_who_they_are(scene: Scene) -> None:
    for role, (token, _) in HOLDERS.items():
        told = await scene.http.get("/v1/me", headers={"authorization": f"Bearer {token}"})
        assert told.json() == {"name": f"the-{role}", "role": role}


async def test_the_sign_of_life_needs_no_token(scene: Scene) -> None:
    assert (await scene.http.get("/v1/healthz")).json() == {"status": "ok"}


async def test_every_answer_has_the_headers_that_keep_pages_apart(scene: Scene) -> None:
    for response in (
        await scene.http.get("/v1/healthz"),
        await scene.http.get("/v1/status"),
        await scene.http.get("/v1/healthz", headers={"host": "evil.example"}),
        await scene.http.get("/nowhere"),
    ):
        assert "default-src 'none'" in response.headers["content-security-policy"]
        assert response.headers["x-content-type-options"] == "nosniff"
        assert response.headers["referrer-policy"] == "no-referrer"
        assert response.headers["cross-origin-opener-policy"] == "same-origin"
        assert response.headers["cross-origin-resource-policy"] == "same-origin"
        assert response.headers["cache-control"] == "no-store"
