"""Several hosts on one database: each runs what any of them made active, says so, and is told of those that don't yet.

The active generation is in the database, with all of its code, so a host needs no file of its own to follow. What it
does not run yet, it does not get: the lock statement compares.
"""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Final, Protocol

import msgspec
import structlog

from obelisk_config import Executor, ManifestError
from obelisk_daemon.clock import Clock
from obelisk_daemon.deployment.deployer import Deployer
from obelisk_daemon.errors import ObeliskError, StorageUnavailableError
from obelisk_daemon.storage.generations import Newest
from obelisk_daemon.storage.hosts import KnownHost, Offered

POLL: Final = 2.0
"""Seconds between two looks at the database, where nothing else says that there is something new."""
PATIENCE: Final = timedelta(seconds=30)
"""How long an operator's activation waits for other hosts: about what compiling a large component takes."""
_LONGEST: Final = 60.0
_STEP: Final = 0.2
_log = structlog.get_logger("deployment")


class FollowingStore(Protocol):
    """What is read and written of generations and hosts."""

    async def newest_generation(self, host: str) -> Newest:
        """Read the number of the active generation, beside that which a host runs."""
        ...

    async def note_generation(self, host: str, generation: int, offered: Sequence[Offered] = ()) -> None:
        """Note which generation a host runs now, and what its executors offer."""
        ...

    async def hosts(self) -> list[KnownHost]:
        """Read all hosts that are known, by their names."""
        ...


class Following:
    """Keeps one host on the active generation. `run` is a task of the supervisor.

    Without a `poll`, in seconds, it looks only when it is poked: nobody else can make another one active. `patience` is
    how long an activation waits for others.
    """

    def __init__(
        self,
        deployer: Deployer,
        store: FollowingStore,
        clock: Clock,
        host: str,
        *,
        poll: float | None = POLL,
        patience: timedelta = PATIENCE,
    ) -> None:
        self._deployer = deployer
        self._store = store
        self._clock = clock
        self._host = host
        self._poll = poll
        self._patience = patience
        self.on_followed: Callable[[], None] = lambda: None
        self.problem: str | None = None
        """Why the active generation can't run here."""
        self._poked = asyncio.Event()
        self._told: tuple[Executor, ...] = ()
        self._ran = 0
        self._warn_at: float | None = None
        self._failed = 0
        self._again_at = 0.0
        self._delay = POLL

    def poke(self) -> None:
        """Have a look taken at once."""
        self._poked.set()

    async def run(self) -> None:
        """Follow for ever."""
        while True:
            self._poked.clear()
            try:
                await self.look()
            except StorageUnavailableError as error:
                _log.error("following_failed", code=error.code, detail=str(error))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._poll):
                    await self._poked.wait()

    async def look(self) -> None:
        """Run what is active, if it is newer than what runs here, and tell others.

        Raises:
            StorageUnavailableError: the database can't be used now.
        """
        newest = await self._store.newest_generation(self._host)
        is_due = newest.number != self._failed or self._clock.monotonic() >= self._again_at
        if newest.number > self._deployer.active.generation.number and is_due:
            await self._follow(newest.number)
        runs, executors = self._deployer.active.generation.number, self._deployer.active.executors
        if runs != newest.told or executors != self._told:
            offered = [Offered(one.name, one.labels, one.max_running) for one in executors]
            await self._store.note_generation(self._host, runs, offered)
            self._told = executors
        if runs != self._ran:
            self._ran, self._warn_at = runs, self._clock.monotonic() + self._patience.total_seconds()
        elif self._warn_at is not None and self._clock.monotonic() >= self._warn_at:
            await self._warn(runs)

    async def _follow(self, newest: int) -> None:
        try:
            await self._deployer.follow()
        except StorageUnavailableError:
            raise
        except (ManifestError, ObeliskError) as error:
            self._fail(newest, str(error).partition("\n")[0])
        except Exception as error:  # noqa: BLE001 - the edge: what another host made active must not end this one
            _log.exception("following_failed")
            self._fail(newest, repr(error))
        else:
            self.problem, self._failed = None, 0
            self.on_followed()

    def _fail(self, newest: int, why: str) -> None:
        """Say it once, and try again less and less often: a file or a secret may come to be there."""
        runs = self._deployer.active.generation.number
        problem = f"generation {newest}, which is active, can't run here, so generation {runs} does: {why}"
        if problem != self.problem:
            _log.error("generation_not_followed", generation=newest, runs=runs, detail=why)
        self._delay = POLL if newest != self._failed else min(2 * self._delay, _LONGEST)
        self.problem, self._failed, self._again_at = problem, newest, self._clock.monotonic() + self._delay

    async def _warn(self, number: int) -> None:
        """Name, once for each generation, the hosts that had their time and do not run it."""
        self._warn_at = None
        if laggards := await self._laggards(number):
            _log.warning("hosts_behind", generation=number, hosts={one.host: one.generation for one in laggards})

    async def _laggards(self, number: int) -> list[KnownHost]:
        return [host for host in await self.hosts() if (host.generation or 0) < number]

    async def hosts(self) -> list[KnownHost]:
        """Read the hosts that are alive, by their names; of this one it is known what it runs."""
        now, runs = self._clock.now(), self._deployer.active.generation.number
        alive = [host for host in await self._store.hosts() if host.is_alive(now)]
        return [msgspec.structs.replace(one, generation=runs) if one.host == self._host else one for one in alive]

    async def behind(self, number: int) -> list[KnownHost]:
        """Wait until all live hosts run a generation, but not beyond `patience`; give those that still don't."""
        until = self._clock.monotonic() + self._patience.total_seconds()
        await self.look()
        while True:
            laggards = await self._laggards(number)
            if not laggards or self._clock.monotonic() >= until:
                return laggards
            await asyncio.sleep(_STEP)
