"""A daemon without its HTTP and its manifest file: the supervisor's parts in the supervisor's order.

What is not the daemon's own code here: the store's driver, what compiles and links components, and random numbers.
"""

import asyncio
import random
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any, Final

import msgspec

from obelisk_daemon.clock import Clock, Instant
from obelisk_daemon.deployment.activation import Origin
from obelisk_daemon.deployment.deployer import Deployer
from obelisk_daemon.deployment.following import POLL, Following
from obelisk_daemon.deployment.impact import Leave
from obelisk_daemon.deployment.manifest_file import ManifestFile
from obelisk_daemon.deployment.proposal import Active, Wish
from obelisk_daemon.errors import OutcomeUnknownError, StorageUnavailableError
from obelisk_daemon.executor.counting import Counting
from obelisk_daemon.executor.executors import Executors
from obelisk_daemon.executor.timers import Timers
from obelisk_daemon.ids import IdSource
from obelisk_daemon.metrics import Metrics
from obelisk_daemon.offline import Beginning
from obelisk_daemon.storage.sql.store import SqlStore
from obelisk_daemon.storage.store_clock import StoreClock
from obelisk_daemon.supervisor.background import take_over_from_the_dead
from obelisk_daemon.supervisor.first_generation import first_generation
from obelisk_daemon.supervisor.hearing import Hearing
from obelisk_daemon.supervisor.lease import HostLease
from obelisk_daemon.supervisor.making import Common, new_executors, recover
from obelisk_daemon.supervisor.tasks import Tasks
from tests.simulation.clocks import MachineClock, NeverBack
from tests.simulation.components import InlineCompiler, ScriptLinker, surrounds
from tests.simulation.stores import Line, Network, SharedStore, SimulatedAnnouncer, open_store

_GRACE = timedelta(seconds=3)
_ALL: Final = frozenset[Leave](("remove", "break"))


class Parts(msgspec.Struct, frozen=True):
    """What a daemon is given by the world: its machine and what it shares with others."""

    line: Line
    network: Network
    machine: MachineClock
    database_time: Callable[[], Instant]
    compiler: InlineCompiler
    linker: ScriptLinker
    metrics: Metrics
    draw: random.Random


class SimulatedDaemon:
    """One daemon in one process. `run` is the whole of its life."""

    def __init__(self, parts: Parts, beginning: Beginning) -> None:
        self.parts = parts
        self.process = parts.line.process
        self.is_ready = False
        self._beginning = beginning
        self._stopped = asyncio.Event()
        self.is_broken = False
        self.failed: list[int] = []
        """Exit codes of what has failed in it."""
        self._tasks = Tasks(self._failed)
        self._is_shared = parts.line.is_shared
        self.clock: Clock = NeverBack(parts.machine)
        self.store: SqlStore
        self.executors: Executors
        self.deployer: Deployer
        self.following: Following

    def terminate(self) -> None:
        """Ask it to stop, as SIGTERM does."""
        self._stopped.set()

    async def run(self) -> None:
        """Start, work until it is asked to stop, and stop."""
        self.process.fuse = self.parts.line.faults.fuse()
        async with AsyncExitStack() as stack:
            await self._start(stack)
            self.is_ready = True
            await self._stopped.wait()
            self.is_ready = False
            if not self.is_broken:
                await self.executors.stop(_GRACE)
                await self._running
                await self._let_go()

    async def ask(self, request: Callable[[], Coroutine[object, object, Any]], patience: float = 5.0) -> Any:
        """Have something done by it, as a request of its API; TimeoutError where no answer comes."""
        answer = asyncio.get_running_loop().create_future()

        async def answering() -> None:
            try:
                came = await request()
            except Exception as error:  # noqa: BLE001 - the edge of the daemon: whoever asked gets it
                if not answer.done():
                    answer.set_exception(error)
            else:
                if not answer.done():
                    answer.set_result(came)

        self.process.start(answering(), "request")
        async with asyncio.timeout(patience):
            return await answer

    async def reload(self, source: bytes, *, anew: bool) -> str:
        """Propose a manifest, as `manifest reload` does; give what came of it."""
        verdict = await self.deployer.propose(source, Origin("reload"), Wish(_ALL, anew=anew))
        why = [one.code for one in verdict.diagnostics if one.severity == "error"]
        return f"{verdict.outcome} {verdict.generation} {verdict.message}{why or ''}"

    def _adopt(self, active: Active) -> None:
        slots = {spec.name: (spec.labels, spec.max_running) for spec in active.executors}
        self.executors.adopt(active.plan, slots)
        self.file.on_active(active)
        self.following.poke()

    async def _start(self, stack: AsyncExitStack) -> None:
        parts = self.parts
        self.store = store = await stack.enter_async_context(
            open_store(parts.line, self._broken, parts.metrics.storage)
        )
        if isinstance(store, SharedStore):
            await self._share(stack, store)
        store.observe(Counting(parts.metrics.executions).observe)
        self.deployer = deployer = Deployer(
            store,
            store.reads,
            parts.compiler,
            self.clock,
            surrounds(self._beginning),
            metrics=parts.metrics,  # type: ignore[arg-type]
        )
        deployer.linker = parts.linker
        self.file = ManifestFile(self._beginning.options.manifest, deployer)
        active = await first_generation(deployer, self.file, self._beginning)
        ids = IdSource(lambda: self.clock.now() // 1_000, parts.draw.getrandbits)
        common = Common(store, self.clock, ids, parts.metrics, None)  # type: ignore[arg-type] - nothing here does HTTP
        timers = Timers(store, self.clock, lambda: executors.wake())  # noqa: PLW0108 - they are made next
        self.executors = executors = new_executors(common, active, timers)
        for services in (executors.services, *(member.services for member in executors.members)):
            services.random = parts.draw.randbytes
        lease = HostLease(
            store, self.clock, self._beginning.host, executors.members, active.executors[0].lease, new_id=ids.executor
        )
        if not self._is_shared:
            await store.end_all_leases()
        await lease.take()
        self._lease = lease
        await recover(common, executors, active)
        poll = POLL if self._is_shared else None
        self.following = Following(deployer, store, self.clock, self._beginning.host, poll=poll)
        deployer.on_active = self._adopt
        await self._own(stack, "timers", timers.run())
        await self._own(stack, "lease", lease.keep())
        self._running = await self._own(stack, "executors", executors.run())
        await executors.canceller.resume()
        await self.following.look()
        await self._own(stack, "following", self.following.run())
        if isinstance(store, SharedStore):
            await self._own(stack, "take-over", take_over_from_the_dead(common, executors, lease.pause))
            await self._hear(stack, store, executors, timers)

    async def _share(self, stack: AsyncExitStack, store: SharedStore) -> None:
        """Prepare for other hosts: their announcements, and the database's clock."""
        parts = self.parts
        store.line, store.tell_time = parts.line, parts.database_time
        network: Any = parts.network
        store.announcer = SimulatedAnnouncer(network, None, self.process.name, store.publish)  # type: ignore[arg-type]
        self.clock = clock = StoreClock(store.time, parts.machine.monotonic)
        await clock.synchronize()
        await self._own(stack, "store clock", clock.run())

    async def _hear(self, stack: AsyncExitStack, store: SharedStore, executors: Executors, timers: Timers) -> None:
        hearing = Hearing(store.reads, executors, lambda: timers.note(self.clock.now()))
        store.announcer.on_gap, store.announcer.on_answered = hearing.on_gap, hearing.on_answered
        for member in executors.members:
            member.on_missing = hearing.on_answered
        await self._own(stack, "announcer", store.announcer.run())
        self.parts.network.join(self.process, store.announcer)
        await self._own(stack, "hearing", hearing.run())

    async def _own(self, stack: AsyncExitStack, name: str, work: Coroutine[object, object, None]) -> asyncio.Task[None]:
        return await stack.enter_async_context(self._tasks.running(work, f"{self.process.name} {name}"))

    async def _let_go(self) -> None:
        try:
            await self._lease.end()
        except StorageUnavailableError:
            return

    def _broken(self, error: OutcomeUnknownError) -> None:
        self.parts.line.trace.note(self.process.name, f"ends: {error.code}")
        self.is_broken = True
        self._stopped.set()

    def _failed(self, exit_code: int) -> None:
        self.failed.append(exit_code)
        self._stopped.set()
