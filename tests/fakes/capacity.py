"""What is counted, and the queues and executors that a test has put there."""

from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from obelisk_daemon.api.services import ExecutorInfo
from obelisk_daemon.clock import Instant
from obelisk_daemon.errors import NotFoundError
from obelisk_daemon.storage.capacity import KnownExecutor, Queue, Sizes
from obelisk_daemon.storage.generations import ALL
from obelisk_daemon.storage.hosts import KnownHost
from obelisk_daemon.storage.records import Census


class FakeCapacity:
    """What the reader tells of them; `local_executors` are the engine's own."""

    queued: tuple[Queue, ...] = (Queue(ALL),)
    known_executors: tuple[KnownExecutor, ...] = ()
    local_executors: tuple[ExecutorInfo, ...] = ()
    known_hosts: tuple[KnownHost, ...] = ()
    counted: tuple[Census, ...] = ()

    async def queues(self, at: Instant) -> Sequence[Queue]:
        return self.queued

    async def executors(self, seen_since: Instant, limit: int) -> Sequence[KnownExecutor]:
        return [one for one in self.known_executors if one.seen_at >= seen_since][:limit]

    async def hosts(self) -> list[KnownHost]:
        return list(self.known_hosts)

    async def set_draining(self, host: str, *, draining: bool) -> None:
        if not any(one.host == host for one in self.known_hosts):
            raise NotFoundError("host_not_found", f"no host {host!r} works on this database")
        self.known_hosts = tuple(
            replace(one, draining=draining) if one.host == host else one for one in self.known_hosts
        )

    async def automatic_pauses(self) -> Mapping[str, int]:
        return {}

    async def locked_of(self, component: str) -> int:
        return 0

    async def counts(self) -> Mapping[str, int]:
        return {"pending": 1, "blocked": 2}

    async def census(self, at: Instant) -> Sequence[Census]:
        return self.counted

    async def sizes(self) -> Sizes:
        return Sizes(database=8_192, wal=4_096, disk=1 << 30, disk_free=1 << 29)
