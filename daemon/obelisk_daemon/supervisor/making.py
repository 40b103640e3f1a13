"""How the parts that run executions and answer requests are made of what they need."""

import secrets
from collections.abc import Callable, Sequence
from typing import Final

import msgspec
import structlog

from obelisk_daemon.clock import Clock
from obelisk_daemon.deployment.activation import lift_automatic_pauses
from obelisk_daemon.deployment.proposal import Active
from obelisk_daemon.executor.executor import Executor
from obelisk_daemon.executor.executors import Executors
from obelisk_daemon.executor.logs import Level
from obelisk_daemon.executor.run import Services
from obelisk_daemon.executor.takeover import Recovered, take_over
from obelisk_daemon.executor.timers import Timers
from obelisk_daemon.ids import ExecutionId, IdSource
from obelisk_daemon.metrics import Metrics
from obelisk_daemon.storage.sql.store import SqlStore
from obelisk_daemon.wasm.wasi.client import HttpClient
from obelisk_daemon.wasm.wasi.clocks import ActivityClock
from obelisk_daemon.wasm.wasi.context import HttpTrace

_log: Final = structlog.get_logger("obeliskd")
_guest_log: Final = structlog.get_logger("guest")


class Common(msgspec.Struct, frozen=True):
    """What every part of a daemon shares."""

    store: SqlStore
    clock: Clock
    ids: IdSource
    metrics: Metrics
    http: HttpClient
    observe_requests: Callable[[ExecutionId, int, Sequence[HttpTrace]], None] | None = None


class RandomBytes:
    """Random bytes, fetched by the page: every call of the kernel gives the interpreter's lock away.

    With a writer that works beside the loop, a seed for each execution took as long as all else of making it.
    """

    def __init__(self, source: Callable[[int], bytes], page: int = 4_096) -> None:
        self._source = source
        self._page = page
        self._drawn = b""
        self._used = 0

    def __call__(self, number: int) -> bytes:
        """Give so many bytes, each of them once. On the loop only."""
        if number > self._page:
            return self._source(number)
        if len(self._drawn) - self._used < number:
            self._drawn, self._used = self._source(self._page), 0
        drawn = self._drawn[self._used : self._used + number]
        self._used += number
        return drawn


def new_executors(common: Common, active: Active, timers: Timers) -> Executors:
    """Make the executors that the manifest names."""
    shared = Services(
        executor_id=common.ids.executor(),
        store=common.store,
        clock=common.clock,
        ids=common.ids,
        random=RandomBytes(secrets.token_bytes),
        wasi_clock=ActivityClock(common.clock),
        http=common.http,
        plan=active.plan,
        forward=_forward,
        metrics=common.metrics,
        observe_requests=common.observe_requests,
    )
    members = []
    for spec in active.executors:
        plan = active.plan.with_labels(spec.labels)
        own = msgspec.structs.replace(shared, executor_id=common.ids.executor(), plan=plan)
        members.append(Executor(own, timers, spec.max_running, spec.name))
    shared.executor_id = members[0].services.executor_id
    return Executors(shared, timers, members)


async def recover(common: Common, executors: Executors, active: Active) -> None:
    """Take over what daemons that are no more left behind."""
    store, clock = common.store, common.clock
    recovered = await take_over(store, clock, common.ids)
    lifted = await lift_automatic_pauses(store, active.generation.number, clock)
    tell_quarantined(recovered, common.metrics)
    _log.info("recovered", lost_runs=recovered.lost_runs, lifted_pauses=lifted)
    store.subscribe(executors.on_change)


def tell_quarantined(recovered: Recovered, metrics: Metrics) -> None:
    """Count and log what was paused since daemons die of it."""
    for execution_id in recovered.quarantined:
        metrics.executions.automatic_pauses.inc("quarantined")
        _log.warning(
            "paused", execution_id=execution_id, reason="quarantined", detail="daemons died while it ran alone"
        )


def _forward(execution_id: ExecutionId, level: Level, line: str) -> None:
    _guest_log.info("guest_output", execution_id=execution_id, level=level, line=line)
