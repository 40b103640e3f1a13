"""The lease of this host and of its executors: taken at start, and renewed for as long as the daemon lives."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Final, Protocol

import structlog

from obelisk_daemon import __version__
from obelisk_daemon.clock import Clock, Instant, after
from obelisk_daemon.errors import OperatorError, StorageUnavailableError
from obelisk_daemon.executor.executor import Executor
from obelisk_daemon.ids import ExecutorId
from obelisk_daemon.storage.hosts import Beat, HostStore, NewHost
from obelisk_daemon.storage.upkeep import NewExecutor, RecoveryStore

_BEATS: Final = 3
"""How often a lease is renewed in its time."""
_log: Final = structlog.get_logger("lease")


class LeaseStore(HostStore, RecoveryStore, Protocol):
    """What a lease is kept in."""


class HostLease:
    """Says in the database that this host is alive, and hears there what the host is to do."""

    def __init__(
        self,
        store: LeaseStore,
        clock: Clock,
        host: str,
        members: Sequence[Executor],
        lease: timedelta,
        *,
        new_id: Callable[[], ExecutorId],
    ) -> None:
        self.host = host
        self.draining = False
        self._store = store
        self._clock = clock
        self._members = tuple(members)
        self._lease = lease
        self._new_id = new_id
        self._started_at = Instant(0)
        self._turn = asyncio.Lock()
        self._ended = False

    @property
    def pause(self) -> float:
        """Give how many seconds are between two signs of life, and between two looks for others that are dead."""
        return self._lease.total_seconds() / _BEATS

    async def take(self) -> None:
        """Make the host and its executors known, before they lock anything.

        A daemon that was killed leaves a lease under its name: its end is waited for.

        Raises:
            OperatorError: `host_taken`: another daemon works under this name.
        """
        held_until = await self._register_host()
        while held_until is not None:
            _log.warning("waiting_for_lease", host=self.host, detail="the daemon before this one did not stop cleanly")
            await asyncio.sleep(max(held_until - self._clock.now(), 0) / 1_000_000)
            before, held_until = held_until, await self._register_host()
            if held_until is not None and held_until > before:
                raise self._taken()
        for member in self._members:
            await self._register(member, member.services.executor_id)

    async def keep(self) -> None:
        """Renew it for ever.

        Raises:
            OperatorError: `host_taken`: another daemon has begun to work under this name.
        """
        while True:
            await asyncio.sleep(self.pause)
            try:
                await self.renew()
            except StorageUnavailableError as error:
                _log.error("heartbeat_failed", code=error.code, detail=str(error))

    async def renew(self) -> None:
        """Give a sign of life, and do what is heard: drain, or start over where others have declared us dead.

        Raises:
            StorageUnavailableError: the database can't be written now.
            OperatorError: `host_taken`.
        """
        async with self._turn:  # the watchdog asks for it too
            if not self._ended:
                await self._renew()

    async def _renew(self) -> None:
        heard = await self._store.heartbeat(self._beat())
        if not heard.is_known and await self._register_host() is not None:
            raise self._taken()
        for member in self._members:
            if member.services.executor_id in heard.dead:
                await self._start_over(member)
            member.drain(heard.draining)
        if heard.draining is not self.draining:
            self.draining = heard.draining
            _log.info("draining" if heard.draining else "working_again", host=self.host)

    async def end(self) -> None:
        """Let go of it when all runs have ended, so that nobody waits for its end.

        Raises:
            StorageUnavailableError: the database can't be written now: the lease ends by itself.
        """
        async with self._turn:
            self._ended = True
            await self._store.end_lease(self._beat())

    async def _start_over(self, member: Executor) -> None:
        new = self._new_id()
        _log.warning("lease_lost", executor=member.name, executor_id=member.services.executor_id, becomes=new)
        await self._register(member, new)
        member.start_over(new)

    async def _register_host(self) -> Instant | None:
        now = self._clock.now()
        held_until = await self._store.register_host(NewHost(self.host, __version__), now, after(now, self._lease))
        if held_until is None:
            self._started_at = now
        return held_until

    async def _register(self, member: Executor, executor_id: ExecutorId) -> None:
        now, labels = self._clock.now(), tuple(member.services.plan.labels)
        new = NewExecutor(executor_id, self.host, member.name, labels, member.max_running)
        await self._store.register_executor(new, now, after(now, self._lease))

    def _beat(self) -> Beat:
        now = self._clock.now()
        executors = [member.services.executor_id for member in self._members]
        return Beat(self.host, self._started_at, executors, now, after(now, self._lease))

    def _taken(self) -> OperatorError:
        return OperatorError(
            "host_taken",
            f"another daemon works on this database as host {self.host!r}: give each a name of its own, "
            'by `host = "..."` in [daemon]',
        )
