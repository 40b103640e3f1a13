"""One daemon from start to stop: what comes up in which order, and what signals and failures do."""

import asyncio
import gc
import secrets
import signal
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Final

import structlog

from obelisk_daemon.api.auditing import Audit
from obelisk_daemon.api.engine import LocalEngine, catalog_of
from obelisk_daemon.api.identity import Access
from obelisk_daemon.api.listeners import listener_of
from obelisk_daemon.api.live.documents import generation_change
from obelisk_daemon.api.live.live import Live
from obelisk_daemon.api.live.sources import ServiceSources
from obelisk_daemon.api.replaying import LocalReplayer
from obelisk_daemon.api.server import ApiServer
from obelisk_daemon.api.services import Services as ApiServices
from obelisk_daemon.api.watch import Watcher
from obelisk_daemon.clock import Clock, SystemClock
from obelisk_daemon.deployment.control import ManifestControl, verdict_report
from obelisk_daemon.deployment.deployer import Deployer
from obelisk_daemon.deployment.following import POLL, Following
from obelisk_daemon.deployment.manifest_file import ManifestFile, summary_of
from obelisk_daemon.deployment.proposal import Active, Verdict
from obelisk_daemon.deployment.replay_gate import ReplayGate
from obelisk_daemon.deployment.reports import Planner
from obelisk_daemon.deployment.stored import Surrounds
from obelisk_daemon.deployment.watching import ManifestWatch
from obelisk_daemon.errors import OutcomeUnknownError, StorageUnavailableError
from obelisk_daemon.executor.counting import Counting
from obelisk_daemon.executor.executors import Executors
from obelisk_daemon.executor.timers import Timers
from obelisk_daemon.ids import IdSource
from obelisk_daemon.metrics import Metrics
from obelisk_daemon.metrics.loop_lag import measure_loop_lag
from obelisk_daemon.offline import Beginning
from obelisk_daemon.storage.sqlite.directory import hold
from obelisk_daemon.supervisor.background import reload_on_request, take_over_from_the_dead
from obelisk_daemon.supervisor.first_generation import first_generation
from obelisk_daemon.supervisor.hearing import Hearing
from obelisk_daemon.supervisor.lease import HostLease
from obelisk_daemon.supervisor.making import Common, new_executors, recover
from obelisk_daemon.supervisor.opening import Opening, database_to_open, open_database
from obelisk_daemon.supervisor.retention import RetentionLoop, RetentionSources
from obelisk_daemon.supervisor.tasks import Tasks, unless
from obelisk_daemon.systemd import Handover, generation_status, keep_watchdog, more_time
from obelisk_daemon.telemetry import tracing
from obelisk_daemon.wasm.compile import Compiler
from obelisk_daemon.wasm.engine import Engines
from obelisk_daemon.wasm.guest import guests_in_memory, memory_bound_of_all
from obelisk_daemon.wasm.wasi.client import HttpClient

EXIT_STORAGE: Final = 74
_STOP_REST: Final = timedelta(seconds=30)
"""What a stop may take beside the grace: requests, the last commits, the database."""
_COLLECTED_AT: Final = 10_000
"""New objects at which the garbage collector looks: at 700, as is usual, it met those of the work in progress again and
again, which took a tenth of the processor's time. What ends leaves no garbage."""
_log: Final = structlog.get_logger("obeliskd")


async def run_daemon(beginning: Beginning, systemd: Handover) -> int:
    """Run until SIGTERM or SIGINT; answer the exit code.

    Raises:
        ManifestError: the manifest can't be used, and the database has no generation to fall back on.
        OperatorError: the state directory, the database or an address can't be used.
    """
    daemon = _Daemon(beginning, systemd)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, daemon.stop, signal.Signals(number).name)
    loop.add_signal_handler(signal.SIGHUP, daemon.reload)
    async with AsyncExitStack() as stack:
        async with more_time(systemd.notifier, "starting: checking the manifest, compiling what is new"):
            await daemon.start(stack)
        gc.freeze()  # what stays is not looked through again and again: each time, everything waited for 60 ms
        gc.set_threshold(_COLLECTED_AT)
        gc.enable()
        await daemon.stopped.wait()
        await daemon.drain()
    _log.info("stopped", exit_code=daemon.exit_code)
    return daemon.exit_code


class _Daemon:
    """One daemon from start to stop."""

    def __init__(self, beginning: Beginning, systemd: Handover) -> None:
        self._beginning = beginning
        self._systemd = systemd
        self._clock: Clock = SystemClock()
        self._ids = IdSource(lambda: self._clock.now() // 1_000, secrets.randbits)
        self._metrics = Metrics()
        self._metrics.process.guests.watch(guests_in_memory)
        self._metrics.process.guest_bytes.watch(memory_bound_of_all)
        self._grace = beginning.settings.stop_grace
        self.stopped = asyncio.Event()
        self.exit_code = 0
        self._executors: Executors | None = None
        self._engine: LocalEngine | None = None
        self._reload_wanted = asyncio.Event()
        self._tasks = Tasks(self._failed)
        self._running: asyncio.Task[None] | None = None

    def stop(self, reason: str) -> None:
        """Begin to stop; the first call counts."""
        if not self.stopped.is_set():
            _log.info("stopping", reason=reason)
            self._systemd.notifier.stopping(f"stopping: {reason}")
            self._systemd.notifier.extend_timeout(self._grace + _STOP_REST)
            self.stopped.set()

    def reload(self) -> None:
        """Check the manifest at once, whatever became of the file before."""
        self._reload_wanted.set()

    async def start(self, stack: AsyncExitStack) -> None:
        """Bring everything up, in an order in which each part finds what it needs; `stack` takes it down."""
        state_dir = self._beginning.state_dir
        stack.enter_context(hold(state_dir))
        opening = self._opening(state_dir)
        self._beginning = self._beginning.on(opening.database)
        self._opened = await stack.enter_async_context(open_database(opening))
        self._store = store = self._opened.store
        self._clock = self._opened.clock
        store.observe(Counting(self._metrics.executions).observe)
        engines = Engines()
        stack.callback(engines.close)
        self._compiler = Compiler(engines, state_dir / "cache", metrics=self._metrics.manifest)
        self._deployer = self._new_deployer()
        self._file = ManifestFile(self._beginning.options.manifest, self._deployer)
        self._following = self._new_following()
        active = await unless(self.stopped, first_generation(self._deployer, self._file, self._beginning))
        if active is None:
            return
        assert self._deployer.running is not None
        self._grace = self._deployer.running.stop_grace
        traces = await stack.enter_async_context(tracing()) if self._deployer.running.traces else None
        if traces is not None:
            store.observe(traces.observe)
        http = HttpClient()
        stack.push_async_callback(http.aclose)
        timers = Timers(store, self._clock, lambda: executors.wake())  # noqa: PLW0108 - they are made next
        observe_requests = None if traces is None else traces.observe_requests
        common = Common(store, self._clock, self._ids, self._metrics, http, observe_requests=observe_requests)
        self._executors = executors = new_executors(common, active, timers)
        lease, host = active.executors[0].lease, self._beginning.host
        self._lease = HostLease(store, self._clock, host, executors.members, lease, new_id=self._ids.executor)
        if not self._beginning.is_shared:
            await store.end_all_leases()
        await self._lease.take()
        await recover(common, executors, active)
        addresses = await self._serve(stack, executors, active)
        self._deployer.on_active = self._adopt
        await self._start_work(stack, executors, timers)
        if self._beginning.is_shared:
            looking = take_over_from_the_dead(common, executors, self._lease.pause)
            await self._own(stack, "take-over", looking)
        await self._hear(stack, executors, timers)
        self._tell_generation()
        self._deployer.checking, self._deployer.on_verdict = self._checking, self._tell_generation
        _log.info("ready", generation=active.generation.number, listen=list(addresses))

    async def _hear(self, stack: AsyncExitStack, executors: Executors, timers: Timers) -> None:
        """Follow what other hosts do, where there may be some."""
        announcer = self._opened.announcer
        if announcer is not None:
            hearing = Hearing(self._store.reads, executors, lambda: timers.note(self._clock.now()))
            announcer.on_gap, announcer.on_answered = hearing.on_gap, hearing.on_answered
            for member in executors.members:
                member.on_missing = hearing.on_answered
            await self._own(stack, "hearing", hearing.run())

    def _opening(self, state_dir: Path) -> Opening:
        variables = self._beginning.options.surroundings.variables
        database = database_to_open(self._beginning)
        return Opening(database, state_dir, variables, self._broken, self._metrics.storage)

    def _new_deployer(self) -> Deployer:
        options = self._beginning.options
        beginning, store = self._beginning, self._store
        surrounds = Surrounds(options.manifest, options.surroundings, beginning.host, options.dev, beginning.is_shared)
        return Deployer(store, store.reads, self._compiler, self._clock, surrounds, metrics=self._metrics)

    def _new_following(self) -> Following:
        beginning = self._beginning
        poll = POLL if beginning.is_shared else None
        return Following(self._deployer, self._store, self._clock, beginning.host, poll=poll)

    async def _serve(self, stack: AsyncExitStack, executors: Executors, active: Active) -> tuple[str, ...]:
        store, deployer = self._store, self._deployer
        self._engine = engine = LocalEngine(executors, self._beginning.state_dir, self._degraded)
        self._catalog = catalog_of(active.candidate, active.plan)
        watcher = Watcher()
        store.subscribe(watcher.publish)
        replayer = LocalReplayer(store.reads, lambda: deployer.active.plan, self._compiler)
        planner = Planner(deployer, ReplayGate(store, self._clock.monotonic))
        control = ManifestControl(deployer, self._file, planner, store, self._following)
        self._retention = retention = self._new_retention()
        sources = ServiceSources(store.reads, engine, control)
        self._live = live = Live(store.reads, sources, self._clock.now, self._ids.ulid())
        store.subscribe(live.publish)
        api = ApiServices(
            reader=store.reads,
            engine=engine,
            catalog=lambda: self._catalog,
            watcher=watcher,
            ids=self._ids,
            replayer=replayer,
            manifest=control,
            metrics=self._metrics,
            live=live,
            database=self._opened.keeper,
            last_removal=lambda: retention.last,
        )
        assert deployer.running is not None
        listeners = [listener_of(listen) for listen in deployer.running.listen]
        dev = self._beginning.options.dev
        audit = Audit(store, self._clock)
        access = Access(self._clock, lambda: deployer.active.candidate.manifest.tokens, audit, dev)
        server = ApiServer(api, listeners, access, passed=self._systemd.sockets)
        await server.start()
        stack.push_async_callback(server.stop)
        return server.addresses

    def _degraded(self) -> str | None:
        return self._following.problem or self._file.degraded

    def _adopt(self, active: Active) -> None:
        """Run another generation from now on: one step, in which nothing else happens."""
        assert self._executors is not None
        is_new = active.plan.generation != self._catalog.generation
        slots = {spec.name: (spec.labels, spec.max_running) for spec in active.executors}
        self._executors.adopt(active.plan, slots)
        self._catalog = catalog_of(active.candidate, active.plan)
        self._file.on_active(active)
        self._retention.look()
        self._live.streams.review()
        if is_new:
            self._live.daemon.announce("generation", generation_change(active.generation))
        self._following.poke()

    async def _start_work(self, stack: AsyncExitStack, executors: Executors, timers: Timers) -> None:
        """Begin to lock and run, last of all: a start that fails, say for its address, must not cost an attempt."""
        assert self._engine is not None
        own, notifier = self._own, self._systemd.notifier
        await own(stack, "loop lag", measure_loop_lag(self._metrics.process.loop_lag))
        await own(stack, "timers", timers.run())
        await own(stack, "lease", self._lease.keep())
        if self._systemd.watchdog is not None:
            await own(stack, "watchdog", keep_watchdog(notifier, self._systemd.watchdog, self._lease.renew))
        self._running = await own(stack, "executors", executors.run())
        await executors.canceller.resume()
        await self._following.look()
        self._following.on_followed = self._tell_generation
        await own(stack, "following", self._following.run())
        if self._file.decides:
            watch = ManifestWatch(self._file.file, self._file, self._file.settling, self._clock)
            await watch.look()  # what changes from here on is noticed
            await own(stack, "manifest", watch.run())
        await own(stack, "retention", self._retention.run())
        await own(stack, "reload", reload_on_request(self._reload_wanted, self._file))
        self._engine.not_ready = None

    def _new_retention(self) -> RetentionLoop:
        sources = RetentionSources(
            kept=lambda: self._deployer.active.candidate.manifest.retention,
            prune=self._compiler.prune,
        )
        return RetentionLoop(self._store, self._clock, sources, self._metrics.storage)

    async def _own(self, stack: AsyncExitStack, name: str, work: Coroutine[object, object, None]) -> asyncio.Task[None]:
        return await stack.enter_async_context(self._tasks.running(work, name))

    @asynccontextmanager
    async def _checking(self) -> AsyncIterator[None]:
        """Tell systemd of a check, which may take minutes where there is something to compile."""
        self._systemd.notifier.reloading("checking a change of the manifest")
        async with more_time(self._systemd.notifier, "checking a change of the manifest"):
            yield

    def _tell_generation(self, verdict: Verdict | None = None) -> None:
        if self.stopped.is_set():
            return
        refused = "" if verdict is None or verdict.outcome != "refused" else summary_of(verdict)
        number = self._deployer.active.generation.number
        self._systemd.notifier.ready(generation_status(number, refused))
        if verdict is not None:
            self._live.daemon.announce("manifest", verdict_report(verdict))

    async def drain(self) -> None:
        """Take no more work and let what runs end, within the grace period of the manifest."""
        if self._engine is not None:
            self._engine.not_ready = "stopping"
        if self._executors is not None and self._running is not None and self.exit_code == 0:
            await self._executors.stop(self._grace)
            await self._running
            await self._let_go()

    async def _let_go(self) -> None:
        try:
            await self._lease.end()
        except StorageUnavailableError as error:  # then it ends by itself
            _log.warning("lease_left", code=error.code, detail=str(error))

    def _broken(self, error: OutcomeUnknownError) -> None:
        """End at once: nobody knows what the database holds, and only a start can read it."""
        _log.critical("storage_broken", code=error.code, detail=str(error))
        self.exit_code = EXIT_STORAGE
        self.stop("storage_broken")

    def _failed(self, exit_code: int) -> None:
        self.exit_code = self.exit_code or exit_code
        self.stop("task_failed")
