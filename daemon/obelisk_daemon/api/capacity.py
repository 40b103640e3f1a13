"""`/v1/queues` and `/v1/executors`: what waits, and who works on it."""

from datetime import timedelta
from typing import Final

import msgspec
from litestar import get

from obelisk_daemon.api.problems import PROBLEMS
from obelisk_daemon.api.requests import ApiRequest, services_of
from obelisk_daemon.api.services import Kind
from obelisk_daemon.clock import Instant, after, to_rfc3339
from obelisk_daemon.storage.capacity import KnownExecutor, Queue
from obelisk_daemon.storage.generations import ALL
from obelisk_daemon.storage.hosts import KnownHost

SHOWN_AFTER: Final = timedelta(hours=1)
"""How long an executor that is gone is still shown."""
_MOST_EXECUTORS: Final = 500


class QueueDocument(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What waits and runs of a component: `never_started` is what `max_pending` limits."""

    component: str
    pending: int
    running: int
    never_started: int
    kind: Kind | None = None
    """Left out of a component that has left the manifest."""
    oldest_due_at: str | None = None
    """Since when the one that waits longest for an executor is due, if any does."""
    max_running: int | None = None
    max_pending: int | None = None


class QueueTotalDocument(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The same of all components together."""

    pending: int
    running: int
    never_started: int
    oldest_due_at: str | None = None
    max_pending: int | None = None


class QueueList(msgspec.Struct, frozen=True):
    """The queues of all components."""

    queues: list[QueueDocument]
    total: QueueTotalDocument


class KnownExecutorDocument(msgspec.Struct, frozen=True, kw_only=True):
    """An executor of any daemon on this database; `here` tells if it is one of the daemon that answers.

    `running` is how many runs hold one of its `max_running` slots, `hot` how many blocked workflows it has in memory.
    """

    name: str
    executor_id: str
    host: str
    labels: list[str]
    max_running: int
    running: int
    hot: int
    started_at: str
    seen_at: str
    """When it last renewed its lease."""
    here: bool


class KnownHostDocument(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A host: a daemon that works on this database. `running` and `hot` are those of its executors together."""

    host: str
    version: str
    alive: bool
    """Whether its lease lasts: without it, others take over what it held."""
    draining: bool
    """Whether it is to take no more work."""
    running: int
    hot: int
    started_at: str
    seen_at: str
    generation: int | None = None
    """What it runs; left out until it has said so."""


class ExecutorList(msgspec.Struct, frozen=True):
    """The hosts and their executors; those that are gone are shown for an hour."""

    executors: list[KnownExecutorDocument]
    hosts: list[KnownHostDocument]


@get("/queues", responses=PROBLEMS, summary="Show what waits and runs of each component")
async def queues(request: ApiRequest) -> QueueList:
    """Count the unfinished executions by component, beside the limits that hold for them."""
    services = services_of(request)
    found = {queue.component: queue for queue in await services.reader.queues(services.engine.status().now)}
    total = found.pop(ALL)
    kinds = {info.name: info.kind for info in services.catalog().components()}
    shown = [
        _queue(found.get(name) or Queue(name), kinds.get(name)) for name in [*kinds, *sorted(found.keys() - kinds)]
    ]
    return QueueList(
        shown,
        QueueTotalDocument(
            pending=total.pending,
            running=total.running,
            never_started=total.never_started,
            oldest_due_at=_time(total.oldest_due_at),
            max_pending=total.max_pending,
        ),
    )


@get("/executors", responses=PROBLEMS, summary="Show the executors")
async def executors(request: ApiRequest) -> ExecutorList:
    """Give this daemon's executors, others that were seen within the last hour, and the hosts they are of."""
    services = services_of(request)
    now = services.engine.status()
    here = {info.executor_id: info for info in now.executors}
    shown, since = [], after(now.now, -SHOWN_AFTER)
    for known in await services.reader.executors(since, _MOST_EXECUTORS):
        info = here.get(known.executor_id)
        if info is not None:  # a reload may have changed it, and its own count is newer than the store's
            known = msgspec.structs.replace(  # noqa: PLW2901
                known, labels=info.labels, max_running=info.max_running, running=info.running, hot=info.hot
            )
        shown.append(_executor(known, here=info is not None))
    hosts = [one for one in await services.reader.hosts() if one.seen_at >= since or one.draining]
    return ExecutorList(sorted(shown, key=lambda one: not one.here), [_host(one, now.now, shown) for one in hosts])


def _host(known: KnownHost, at: Instant, executors: list[KnownExecutorDocument]) -> KnownHostDocument:
    mine = [one for one in executors if one.host == known.host]
    return KnownHostDocument(
        host=known.host,
        version=known.version,
        generation=known.generation,
        alive=known.is_alive(at),
        draining=known.draining,
        running=sum(one.running for one in mine),
        hot=sum(one.hot for one in mine),
        started_at=to_rfc3339(known.started_at),
        seen_at=to_rfc3339(known.seen_at),
    )


def _queue(queue: Queue, kind: Kind | None) -> QueueDocument:
    return QueueDocument(
        component=queue.component,
        kind=kind,
        pending=queue.pending,
        running=queue.running,
        never_started=queue.never_started,
        oldest_due_at=_time(queue.oldest_due_at),
        max_running=queue.max_running,
        max_pending=queue.max_pending,
    )


def _executor(known: KnownExecutor, *, here: bool) -> KnownExecutorDocument:
    return KnownExecutorDocument(
        name=known.name,
        executor_id=known.executor_id,
        host=known.host,
        labels=list(known.labels),
        max_running=known.max_running,
        running=known.running,
        hot=known.hot,
        started_at=to_rfc3339(known.started_at),
        seen_at=to_rfc3339(known.seen_at),
        here=here,
    )


def _time(at: Instant | None) -> str | None:
    return None if at is None else to_rfc3339(at)


ROUTES: Final = (queues, executors)
