"""What is noted of requests, over the API and for obelisk-ctl."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest

from obelisk_daemon.api.listeners import TcpListener, UnixListener
from obelisk_daemon.api.server import ApiServer
from obelisk_daemon.errors import StorageUnavailableError
from obelisk_daemon.storage.audit import AuditFilter, AuditRow
from obelisk_daemon.storage.sql.store import SqlStore
from obelisk_daemon.storage.sqlite.store import open_store
from tests.fakes.api import APPROVE, FIBO, FakeWorld, execution_id
from tests.fakes.serving import access, ctl_at, talking
from tests.fakes.tokens import holder

pytestmark = pytest.mark.anyio
READER, READING = holder("reader", "read")
OPERATOR, OPERATING = holder("operator", "operate")
ID = execution_id()


class Scene(NamedTuple):
    world: FakeWorld
    store: SqlStore
    http: httpx.AsyncClient
    socket: Path

    async def post(self, path: str, token: str = OPERATOR, body: Any = None) -> httpx.Response:
        return await self.http.post(path, headers={"authorization": f"Bearer {token}"}, json=body)

    async def rows(self) -> list[AuditRow]:
        return await self.store.audit_rows(AuditFilter(limit=500))


def fail(error: Exception) -> None:
    raise error


@pytest.fixture
async def scene(world: FakeWorld, path: Path, tmp_path: Path) -> AsyncIterator[Scene]:
    """Serve a world whose audit log is a database."""
    async with open_store(tmp_path / "obelisk.db", fail) as store:
        listeners = [UnixListener(path), TcpListener("127.0.0.1", 0)]
        server = ApiServer(world.services(), listeners, access(READING, OPERATING, log=store))
        await server.start()
        async with httpx.AsyncClient(base_url=f"http://{server.addresses[1]}", timeout=30) as http:
            yield Scene(world, store, http, path)
        await server.stop()


async def test_who_did_what_to_what_is_noted_with_its_outcome(scene: Scene) -> None:
    scene.world.create(ID, FIBO, 3)
    assert (await scene.post(f"/v1/executions/{ID}/cancel", body={"force": True})).status_code == 200
    (row,) = await scene.rows()
    assert (row.entry.actor, row.entry.role, row.entry.peer) == ("operator", "operate", "127.0.0.1")
    assert (row.entry.action, row.entry.subject, row.entry.params) == ("cancel", ID, '{"force":true}')
    assert row.outcome is not None
    assert (row.outcome.status, row.outcome.code, row.refused) == (200, "", False)


async def test_what_fails_is_noted_with_its_code(scene: Scene) -> None:
    assert (await scene.post(f"/v1/executions/{ID}/pause")).status_code == 404
    (row,) = await scene.rows()
    assert row.outcome is not None
    assert (row.outcome.status, row.outcome.code) == (404, "execution_not_found")


async def test_it_is_noted_before_it_is_carried_out(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    scene.world.create(ID, FIBO, 3)
    before: list[AuditRow] = []

    async def pause(_: object) -> bool:
        before.extend(await scene.rows())
        return True

    monkeypatch.setattr(scene.world, "pause", pause)
    await scene.post(f"/v1/executions/{ID}/pause")
    assert [(row.entry.action, row.outcome) for row in before] == [("pause", None)]


async def test_what_can_not_be_noted_is_not_carried_out(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    scene.world.create(ID, FIBO, 3)

    async def full(_: object) -> int:
        raise StorageUnavailableError("storage_full", "no space left")

    monkeypatch.setattr(scene.store, "audit_begin", full)
    before = len(scene.world.logs[ID])
    refused = await scene.post(f"/v1/executions/{ID}/cancel")
    assert (refused.status_code, refused.json()["code"]) == (507, "storage_full")
    assert len(scene.world.logs[ID]) == before


async def test_values_of_guests_and_what_is_not_named_are_not_noted(scene: Scene) -> None:
    scene.world.create(ID, APPROVE, 7)
    assert (await scene.post(f"/v1/executions/{ID}/stub", body={"ok": True})).status_code == 200
    await scene.post(f"/v1/executions/{ID}/cancel", body={"force": "x" * 10_000, "secret": "hunter2"})
    await scene.http.post(
        f"/v1/executions/{ID}/cancel", headers={"authorization": f"Bearer {OPERATOR}"}, content=b"[" * 100_000
    )
    broken, long, stub = await scene.rows()
    assert (stub.entry.action, stub.entry.params) == ("finish_stub", "{}")
    assert "hunter2" not in long.entry.params
    assert len(long.entry.params) < 300
    assert broken.entry.params == "{}"


async def test_reading_and_submitting_are_not_noted(scene: Scene) -> None:
    submitted = {"ffqn": str(FIBO.ffqn), "params": [3]}
    assert (await scene.post("/v1/executions", body=submitted)).status_code == 201
    assert (await scene.http.get("/v1/status", headers={"authorization": f"Bearer {READER}"})).status_code == 200
    assert await scene.rows() == []


async def test_a_verdict_on_the_manifest_is_an_outcome(scene: Scene) -> None:
    async with talking(scene.socket) as admin:
        assert (await admin.post("/v1/manifest/reload", json={"allow_remove": True})).status_code == 200
    (row,) = await scene.rows()
    assert row.entry.actor.startswith("unix:uid=")
    assert (row.entry.action, row.entry.subject) == ("manifest_reload", "/v1/manifest/reload")
    assert row.entry.params == '{"allow_remove":true}'
    assert row.outcome is not None
    assert row.outcome.code in ("active", "unchanged", "refused")


async def test_who_may_not_is_noted_and_a_scanner_does_not_fill_the_log(scene: Scene) -> None:
    for _ in range(20):
        assert (await scene.post(f"/v1/executions/{ID}/cancel", READER)).status_code == 403
        assert (await scene.post(f"/v1/executions/{ID}/cancel", "obk_guess")).status_code == 401
        assert (await scene.http.get("/v1/status", headers={"authorization": "Basic eDp5"})).status_code == 401
        assert (await scene.http.get("/v1/status")).status_code == 401
    rows = await scene.rows()
    assert [(row.entry.actor, row.entry.action, row.outcome and row.outcome.code) for row in rows] == [
        ("anonymous", "status", "unauthenticated"),
        ("anonymous", "cancel", "unauthenticated"),
        ("reader", "cancel", "forbidden"),
    ]
    assert all(row.refused for row in rows)


async def test_the_log_is_read_by_admins_page_by_page(scene: Scene) -> None:
    for _ in range(3):
        await scene.post(f"/v1/executions/{ID}/pause")
    assert (await scene.http.get("/v1/audit", headers={"authorization": f"Bearer {OPERATOR}"})).status_code == 403
    async with talking(scene.socket) as admin:
        first = (await admin.get("/v1/audit?limit=2&action=pause&actor=operator")).json()
        second = (await admin.get(f"/v1/audit?limit=2&action=pause&cursor={first['next']}")).json()
        assert [len(page["entries"]) for page in (first, second)] == [2, 1]
        assert "next" not in second
        entry = first["entries"][0]
        assert (entry["actor"], entry["role"], entry["status"]) == ("operator", "operate", 404)
        assert entry["code"] == "execution_not_found"
        assert (await admin.get("/v1/audit?after=2030-01-01T00:00:00Z")).json() == {"entries": []}
        wrong = await admin.get("/v1/audit?after=yesterday")
        assert (wrong.status_code, wrong.json()["code"]) == (400, "invalid_time")


async def test_ctl_shows_it(scene: Scene) -> None:
    scene.world.create(ID, FIBO, 3)
    await scene.post(f"/v1/executions/{ID}/cancel", body={"force": True})
    await scene.post(f"/v1/executions/{ID}/pause", READER)
    shown = await ctl_at(scene.socket, "audit")
    assert shown.code == 0
    header, refused, done = shown.out.splitlines()
    assert header.split() == ["WHEN", "WHO", "ACTION", "SUBJECT", "RESULT", "FROM", "DETAILS"]
    assert refused.split()[1:] == ["reader", "(read)", "pause", ID, "403", "forbidden", "127.0.0.1"]
    assert done.split()[1:] == ["operator", "(operate)", "cancel", ID, "200", "127.0.0.1", "force=true"]
    told = json.loads((await ctl_at(scene.socket, "audit", "--actor", "reader", "--json")).out)
    assert [one["action"] for one in told["entries"]] == ["pause"]
    assert (await ctl_at(scene.socket, "audit", "--after", "soon")).code == 65
