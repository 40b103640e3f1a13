"""The lease of this host and of its executors: taken at start, and renewed for as long as the daemon lives."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Final

import structlog

from obelisk_daemon import __version__
from obelisk_daemon.clock import Clock, Instant, after
from obelisk_daemon.errors import StorageUnavailableError
from obelisk_daemon.executor.executor import Executor
from obelisk_daemon.storage.hosts import Beat, NewHost
from obelisk_daemon.storage.sql.store import SqlStore
from obelisk_daemon.storage.upkeep import NewExecutor

_log: Final = structlog.get_logger("obeliskd")


class HostLease:
    """Says in the database that this host is alive."""

    def __init__(self, store: SqlStore, clock: Clock, host: str, members: Sequence[Executor], lease: timedelta) -> None:
        self.host = host
        self._store = store
        self._clock = clock
        self._members = tuple(members)
        self._lease = lease

    async def take(self) -> None:
        """Make the host and its executors known, before they lock anything."""
        at, until = self._span()
        await self._store.register_host(NewHost(self.host, __version__), at, until)
        for member in self._members:
            await self._register(member, at, until)

    async def _register(self, member: Executor, at: Instant, until: Instant) -> None:
        labels = tuple(member.services.plan.labels)
        new = NewExecutor(member.services.executor_id, self.host, member.name, labels, member.max_running)
        await self._store.register_executor(new, at, until)

    async def keep(self) -> None:
        """Renew it for ever, three times in each lease."""
        while True:
            await asyncio.sleep(self._lease.total_seconds() / 3)
            try:
                await self.renew()
            except StorageUnavailableError as error:
                _log.error("heartbeat_failed", code=error.code, detail=str(error))

    async def renew(self) -> None:
        """Give a sign of life.

        Raises:
            StorageUnavailableError: the database can't be written now.
        """
        at, until = self._span()
        await self._store.heartbeat(Beat(self.host, [one.services.executor_id for one in self._members], at, until))

    def _span(self) -> tuple[Instant, Instant]:
        now = self._clock.now()
        return now, after(now, self._lease)
