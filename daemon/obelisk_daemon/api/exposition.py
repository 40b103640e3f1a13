"""`/metrics`: the counters of this process, with what is looked up when Prometheus asks."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec
from litestar import Response, get

from obelisk_daemon.api.problems import PROBLEMS
from obelisk_daemon.api.requests import ApiRequest, services_of
from obelisk_daemon.api.services import Services
from obelisk_daemon.clock import Instant
from obelisk_daemon.storage.records import Census

_CONTENT_TYPE: Final = "text/plain; version=0.0.4"  # litestar adds the charset
_LEAST_AGE: Final = 1_000_000
_SHARE: Final = 20
"""Counting what is unfinished takes as long as there is much of it: one part in so many of the time may go to that."""


class LastCensus(msgspec.Struct):
    """What was counted last, kept for a while where counting takes long. Times are in microseconds."""

    rows: Sequence[Census] = ()
    taken_at: int = 0
    took: int = 0

    async def renewed(self, services: Services, now: Instant) -> Sequence[Census]:
        """Give the rows, counted again if it is time for that."""
        if not self.taken_at <= now < self.taken_at + max(_LEAST_AGE, _SHARE * self.took):
            began = services.engine.status().now
            self.taken_at = now
            self.rows = await services.reader.census(now)
            self.took = services.engine.status().now - began
        return self.rows


@get("/metrics", responses=PROBLEMS, summary="Give the counters in the format of Prometheus", media_type="text/plain")
async def metrics(request: ApiRequest) -> Response[Any]:
    """Give the counters of this process."""
    services = services_of(request)
    status = services.engine.status()
    _show_executions(services, status.now, await request.app.state.census.renewed(services, status.now))
    await _show_storage(services)
    await _show_daemon(services)
    return Response(services.metrics.text(), media_type=_CONTENT_TYPE)


def _show_executions(services: Services, now: Instant, rows: Sequence[Census]) -> None:
    kinds = {info.component: info.kind for info in services.catalog().functions()}
    states: dict[tuple[str, ...], float] = {}
    depths: dict[tuple[str, ...], float] = {(name, kind): 0 for name, kind in kinds.items() if kind != "stub"}
    ages = dict(depths)
    for row in rows:
        of = (row.component, kinds.get(row.component, ""))
        state = row.status if row.lifecycle == "active" else row.lifecycle
        states[(*of, state)] = states.get((*of, state), 0) + row.number
        if row.oldest_due_at is not None:
            depths[of] = depths.get(of, 0) + row.due
            ages[of] = max(0, now - row.oldest_due_at) / 1_000_000
    services.metrics.executions.unfinished.replace(states)
    services.metrics.executions.queued.replace(depths)
    services.metrics.executions.oldest_seconds.replace(ages)


async def _show_storage(services: Services) -> None:
    sizes, shown = await services.reader.sizes(), services.metrics.storage
    shown.database_bytes.set(sizes.database)
    shown.wal_bytes.set(sizes.wal)
    shown.free_bytes.set(sizes.disk_free)
    shown.disk_bytes.set(sizes.disk)


async def _show_daemon(services: Services) -> None:
    status, file, shown = services.engine.status(), await services.manifest.file_state(), services.metrics
    shown.manifest.drift.set(len(file.drift))
    shown.manifest.refused.set(file.refusal is not None)
    shown.process.ready.set(status.not_ready is None)
    shown.process.degraded.set(status.degraded is not None)
    shown.process.slots.replace({(one.name,): one.max_running for one in status.executors})
    shown.process.running.replace({(one.name,): one.running for one in status.executors})
    shown.process.hot.replace({(one.name,): one.hot for one in status.executors})
    shown.api.waiting.set(services.watcher.waiting)
