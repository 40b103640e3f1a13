"""What a million finished executions cost: list pages by every filter, an execution's page, the daemon at rest."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx

from tests import guests
from tests.bench.daemon import Daemon, manifest, running, scratch
from tests.bench.filling import Filled, Filling, fill
from tests.bench.measuring import cpu_seconds
from tests.bench.rows import Row
from tests.bench.run import Run
from tests.building import ACTIVITY, WORKFLOW

ROUNDS = 10
IDLE_SECONDS = 20.0


def listing(_run: Run) -> Iterator[Row]:
    """Fill a database in about a minute, then measure the slowest of several reads through the API of a real daemon."""
    with scratch() as directory:
        text = manifest(["fibo-activity", "fibo-workflow"])
        with running(directory, text):
            pass
        activity = (ACTIVITY, "fibo-activity", guests.digest("fibo-activity"))
        workflow = (WORKFLOW, "fibo-workflow", guests.digest("fibo-workflow"))
        filled = fill(directory / "state" / "obelisk.db", Filling(activity=activity, workflow=workflow))
        yield Row("fill with 1,000,000 finished, 10,000 live", filled.seconds, "s")
        with running(directory, text) as (daemon, seconds):
            yield Row("start on it", seconds, "s")
            yield from _pages(daemon, filled)
            yield Row("CPU at rest", _cpu_at_rest(daemon), "%")


def _pages(daemon: Daemon, filled: Filled) -> Iterator[Row]:
    for name, filters in _filters(daemon.client, filled).items():
        slowest = _slowest(lambda: daemon.client.get("/v1/executions", params=filters))  # noqa: B023 - called at once
        yield Row(f"list {name}", slowest, "ms")
    one = f"/v1/executions/{filled.workflow}"
    for path in (one, f"{one}/events", f"{one}/tree", f"{one}/logs", f"{one}/why", f"/v1/executions/{filled.failed}"):
        yield Row(
            path.replace(filled.workflow, "ID").replace(filled.failed, "FAILED"), _slowest(_getting(daemon, path)), "ms"
        )
    for path in ("/v1/status", "/v1/queues", "/v1/executors", "/metrics"):
        yield Row(path, _slowest(_getting(daemon, path)), "ms")
    counted = {"action": "retry", "filter": {"outcome": "failed"}, "dry_run": True}
    yield Row("bulk, dry run", _slowest(lambda: daemon.client.post("/v1/executions/bulk", json=counted)), "ms")


def _filters(client: httpx.Client, filled: Filled) -> dict[str, dict[str, Any]]:
    half = client.get("/v1/executions", params={"state": "finished"}).json()["executions"]
    day = {
        "created_after": "2000-01-01T00:00:00Z",
        "created_before": half[0]["created_at"] if half else "2100-01-01T00:00:00Z",
    }
    alone: dict[str, dict[str, Any]] = {
        "all": {},
        **{f"state={state}": {"state": state} for state in ("pending_at", "locked", "blocked", "finished")},
        **{f"lifecycle={name}": {"lifecycle": name} for name in ("active", "paused", "cancelling")},
        **{f"outcome={name}": {"outcome": name} for name in ("ok", "err", "failed")},
        "failure": {"failure": "trap"},
        "failure, none": {"failure": "evicted"},
        "ffqn": {"ffqn": WORKFLOW},
        "ffqn, none": {"ffqn": "none:"},
        "label": {"label": "gpu"},
        "label, none": {"label": "none"},
        "tag, none": {"tag": "team=blue"},
        "digest": {"digest": guests.digest("fibo-workflow")},
        "digest, none": {"digest": "sha256:0000"},
        "component": {"component": "fibo-workflow"},
        "component, none": {"component": "none"},
        "generation": {"generation": 1},
        "time": day,
        "parent": {"parent": filled.workflow},
        "top_level": {"top_level": True},
    }
    together = {
        "failure and label": {"failure": "trap", "label": "gpu"},
        "err, none of a component": {"outcome": "err", "component": "none", "top_level": True},
        "pending, none of a component": {"state": "pending_at", "component": "none"},
        "finished, none of a label, 500": {"state": "finished", "component": "none", "limit": 500},
    }
    return alone | together


def _getting(daemon: Daemon, path: str) -> Callable[[], httpx.Response]:
    return lambda: daemon.client.get(path)


def _slowest(ask: Callable[[], httpx.Response]) -> float:
    ask().raise_for_status()
    times = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        ask().raise_for_status()
        times.append(time.perf_counter() - started)
    return max(times) * 1_000


def _cpu_at_rest(daemon: Daemon) -> float:
    before = cpu_seconds(daemon.process.pid)
    time.sleep(IDLE_SECONDS)
    return (cpu_seconds(daemon.process.pid) - before) / IDLE_SECONDS * 100
