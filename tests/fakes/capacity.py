"""Queues and executors that a test has put there."""

from collections.abc import Sequence

from obelisk_daemon.api.services import ExecutorInfo
from obelisk_daemon.clock import Instant
from obelisk_daemon.storage.capacity import KnownExecutor, Queue
from obelisk_daemon.storage.generations import ALL


class FakeCapacity:
    """What the reader tells of them; `local_executors` are the engine's own."""

    queued: tuple[Queue, ...] = (Queue(ALL),)
    known_executors: tuple[KnownExecutor, ...] = ()
    local_executors: tuple[ExecutorInfo, ...] = ()

    async def queues(self, at: Instant) -> Sequence[Queue]:
        return self.queued

    async def executors(self, seen_since: Instant, limit: int) -> Sequence[KnownExecutor]:
        return [one for one in self.known_executors if one.seen_at >= seen_since][:limit]
