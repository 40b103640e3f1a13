"""`/metrics` of a real server: valid, complete, and with labels that nobody outside can choose."""

import asyncio

import httpx
import pytest
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

from obelisk_daemon.clock import Instant
from obelisk_daemon.storage.records import Census
from tests.fakes.api import START, FakeWorld, execution_id
from tests.fakes.serving import until_watched

pytestmark = pytest.mark.anyio
SECOND = 1_000_000


async def families(http: httpx.AsyncClient) -> dict[str, Metric]:
    answer = await http.get("/metrics")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    return {family.name: family for family in text_string_to_metric_families(answer.text)}


async def samples(http: httpx.AsyncClient, family: str) -> dict[tuple[str, ...], float]:
    """Read the samples of a family, by the values of their labels in the order of their names."""
    found = (await families(http))[family]
    return {
        tuple(v for _, v in sorted(one.labels.items())): one.value for one in found.samples if "le" not in one.labels
    }


def counted(component: str, number: int, oldest: int | None = None, **of: str) -> Census:
    due_at = None if oldest is None else Instant(START - oldest * SECOND)
    state = {"status": "pending_at", "lifecycle": "active"} | of
    return Census(component, number=number, due=0 if oldest is None else number - 1, oldest_due_at=due_at, **state)  # type: ignore[arg-type]


async def test_executions_are_shown_by_component_kind_and_state(http: httpx.AsyncClient, world: FakeWorld) -> None:
    world.counted = (
        counted("fibo", 3, oldest=90),
        counted("fibo", 2, lifecycle="paused"),
        counted("fibo", 1, status="blocked", lifecycle="paused"),
        counted("fibo-workflow", 4, status="blocked"),
        counted("gone", 1),
    )
    assert await samples(http, "obelisk_executions") == {
        ("fibo", "activity", "pending_at"): 3,
        ("fibo", "activity", "paused"): 3,
        ("fibo-workflow", "workflow", "blocked"): 4,
        ("gone", "", "pending_at"): 1,
    }
    assert (await samples(http, "obelisk_queue_depth"))["fibo", "activity"] == 2
    assert (await samples(http, "obelisk_queue_oldest_age_seconds"))["fibo", "activity"] == 90


async def test_a_component_without_a_queue_shows_an_empty_one_and_a_stub_none(http: httpx.AsyncClient) -> None:
    depths = await samples(http, "obelisk_queue_depth")
    assert depths["fibo-workflow", "workflow"] == 0
    assert not [labels for labels in depths if "stub" in labels]


async def test_a_count_is_kept_for_a_while(http: httpx.AsyncClient, world: FakeWorld) -> None:
    world.counted = (counted("fibo", 1),)
    assert await samples(http, "obelisk_executions") == {("fibo", "activity", "pending_at"): 1}
    world.counted = (counted("fibo", 2),)
    assert await samples(http, "obelisk_executions") == {("fibo", "activity", "pending_at"): 1}
    world.now += SECOND
    assert await samples(http, "obelisk_executions") == {("fibo", "activity", "pending_at"): 2}


async def test_requests_are_counted_by_route_and_not_by_path(http: httpx.AsyncClient) -> None:
    await http.get("/v1/healthz")
    for number in (1, 2):
        await http.get(f"/v1/executions/{execution_id(number)}")
    await http.get("/v1/nothing/here")
    await http.get("/../etc/passwd")
    await http.request("BREW", "/v1/healthz")
    requests = await samples(http, "obelisk_api_requests")
    assert requests["GET", "/v1/healthz", "200"] == 1
    assert requests["GET", "/v1/executions/{execution_id}", "404"] == 2
    assert requests["GET", "", "404"] == 2
    assert requests["other", "", "405"] == 1


async def test_a_refused_host_is_counted_too(http: httpx.AsyncClient) -> None:
    await http.get("/v1/healthz", headers={"origin": "https://elsewhere.example"})
    assert (await samples(http, "obelisk_api_requests"))["GET", "", "403"] == 1


async def test_a_long_poll_is_shown_while_it_waits_and_is_not_timed(http: httpx.AsyncClient, world: FakeWorld) -> None:
    body = {"ffqn": "example:fibo/fibo-activity@1.2.0.fibo", "params": [1]}
    await http.put(f"/v1/executions/{execution_id()}", json=body)
    polling = asyncio.create_task(http.get(f"/v1/executions/{execution_id()}/result", params={"wait": 30}))
    await until_watched(world)
    assert await samples(http, "obelisk_api_waiting_requests") == {(): 1}
    assert await samples(http, "obelisk_api_open_requests") == {(): 2}
    polling.cancel()
    await asyncio.wait([polling])
    while world.watcher.waiting:
        await asyncio.sleep(0)
    timed = (await families(http))["obelisk_api_request_duration_seconds"].samples
    assert not [one for one in timed if one.labels["route"].endswith("/result")]


@pytest.mark.parametrize(("state", "shown"), [(None, 1), ("starting", 0)])
async def test_readiness_is_shown(http: httpx.AsyncClient, world: FakeWorld, state: str | None, shown: float) -> None:
    world.not_ready = state
    assert await samples(http, "obelisk_ready") == {(): shown}


async def test_sizes_are_shown_in_bytes(http: httpx.AsyncClient) -> None:
    assert await samples(http, "obelisk_storage_database_bytes") == {(): 8_192}
    assert await samples(http, "obelisk_storage_wal_bytes") == {(): 4_096}
    assert await samples(http, "obelisk_storage_disk_free_bytes") == {(): 1 << 29}


async def test_the_process_and_the_build_are_shown(http: httpx.AsyncClient) -> None:
    shown = await families(http)
    assert {"process_cpu_seconds", "process_resident_memory_bytes", "python_info", "python_gc_collections"} <= set(
        shown
    )
    assert shown["obelisk_build_info"].samples[0].value == 1


async def test_a_stream_is_shown_while_it_lasts_and_is_not_timed(http: httpx.AsyncClient) -> None:
    async with http.stream("GET", "/v1/follow") as stream:
        assert stream.status_code == 200
        assert await samples(http, "obelisk_api_open_streams") == {(): 1}
    async with asyncio.timeout(10):
        while await samples(http, "obelisk_api_open_streams") != {(): 0}:
            await asyncio.sleep(0)
    shown = await families(http)
    assert "/v1/follow" in {one.labels["route"] for one in shown["obelisk_api_requests"].samples}
    assert "/v1/follow" not in {one.labels["route"] for one in shown["obelisk_api_request_duration_seconds"].samples}
