"""The composition root: builds everything once, owns every task, and takes it all down in the opposite order."""

import asyncio
import os
import secrets
import signal
import socket
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

import msgspec
import structlog

from obelisk_config import Listen, UnixListen
from obelisk_daemon.api.engine import LocalEngine, catalog_of
from obelisk_daemon.api.listeners import Listener, TcpListener, UnixListener
from obelisk_daemon.api.replaying import LocalReplayer
from obelisk_daemon.api.server import ApiServer
from obelisk_daemon.api.services import Services as ApiServices
from obelisk_daemon.api.watch import Watcher
from obelisk_daemon.clock import Clock, SystemClock
from obelisk_daemon.deployment.activation import Origin, lift_automatic_pauses
from obelisk_daemon.deployment.checking import Refusal
from obelisk_daemon.deployment.control import ManifestControl
from obelisk_daemon.deployment.deployer import Active, Deployer, Surrounds, Verdict, Wish
from obelisk_daemon.deployment.manifest_file import ManifestFile, summary_of
from obelisk_daemon.deployment.replay_gate import ReplayGate
from obelisk_daemon.deployment.reports import Planner
from obelisk_daemon.deployment.watching import ManifestWatch
from obelisk_daemon.errors import ObeliskError, OutcomeUnknownError, StorageUnavailableError
from obelisk_daemon.executor.counting import Counting
from obelisk_daemon.executor.executor import Executor
from obelisk_daemon.executor.executors import Executors
from obelisk_daemon.executor.logs import Level
from obelisk_daemon.executor.run import Services
from obelisk_daemon.executor.takeover import take_over
from obelisk_daemon.executor.timers import Timers
from obelisk_daemon.ids import ExecutionId, IdSource
from obelisk_daemon.metrics import Metrics
from obelisk_daemon.metrics.loop_lag import measure_loop_lag
from obelisk_daemon.offline import Beginning
from obelisk_daemon.storage.sqlite.directory import hold
from obelisk_daemon.storage.sqlite.store import SqliteStore, open_store
from obelisk_daemon.systemd import Handover, generation_status, keep_watchdog, more_time
from obelisk_daemon.wasm.compile import Compiler
from obelisk_daemon.wasm.engine import Engines
from obelisk_daemon.wasm.guest import guests_in_memory, memory_bound_of_all
from obelisk_daemon.wasm.wasi.client import HttpClient
from obelisk_daemon.wasm.wasi.clocks import ActivityClock

EXIT_STORAGE: Final = 74
_HOST: Final = "local"
"""The state directory belongs to one daemon, whatever its machine is called by now."""
_STOP_REST: Final = timedelta(seconds=30)
"""What a stop may take beside the grace: requests, the last commits, the database."""
T = TypeVar("T")
_log = structlog.get_logger("obeliskd")
_guest_log = structlog.get_logger("guest")


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
        opened = open_store(state_dir / "obelisk.db", self._broken, metrics=self._metrics.storage)
        self._store = store = await stack.enter_async_context(opened)
        store.observe(Counting(self._metrics.executions).observe)
        engines = Engines()
        stack.callback(engines.close)
        self._compiler = Compiler(engines, state_dir / "cache", metrics=self._metrics.manifest)
        self._deployer = self._new_deployer()
        self._file = ManifestFile(self._beginning.options.manifest, self._deployer)
        active = await self._unless_stopped(self._first_generation())
        if active is None:
            return
        http = HttpClient()
        stack.push_async_callback(http.aclose)
        timers = Timers(store, self._clock, lambda: executors.wake())  # noqa: PLW0108 - they are made next
        self._executors = executors = self._new_executors(active, timers, http)
        await self._recover(executors, active)
        addresses = await self._serve(stack, executors, active)
        self._deployer.on_active = self._adopt
        await self._start_work(stack, executors, timers)
        self._tell_generation()
        self._deployer.checking, self._deployer.on_verdict = self._checking, self._tell_generation
        _log.info("ready", generation=active.generation.number, listen=list(addresses))

    def _new_deployer(self) -> Deployer:
        options = self._beginning.options
        surrounds = Surrounds(options.manifest, options.surroundings, _HOST, options.dev)
        store = self._store
        return Deployer(store, store.reads, self._compiler, self._clock, surrounds, metrics=self._metrics)

    async def _first_generation(self) -> Active:
        """Find what to run: what the file says, or else what ran before.

        Raises:
            ManifestError: neither can be used.
            OperatorError: the file can't be read, and nothing ran before.
        """
        deployer, beginning = self._deployer, self._beginning
        try:
            before = await deployer.resume()
        except (Refusal, ObeliskError) as error:
            before = None
            _log.error("last_generation_unusable", code=error.code, detail=str(error))
        problem, verdict = beginning.problem, None
        if problem is None:
            verdict = await deployer.propose(beginning.source, Origin("start"))
            problem = Refusal(verdict.stage or "seen", verdict.diagnostics) if verdict.outcome == "refused" else None
        if problem is not None:
            if before is None:
                raise problem
            _log.error("fallen_back", generation=before.generation.number, detail=str(problem))
        else:
            for warning in deployer.active.candidate.warnings:
                _log.warning("manifest_warning", code=warning.code, detail=warning.message)
        settings = beginning.settings if problem is None else deployer.active.candidate.manifest.daemon
        deployer.running = msgspec.structs.replace(settings, state_dir=beginning.settings.state_dir)
        self._grace = settings.stop_grace
        self._file.begin(beginning.source, verdict, problem)
        return deployer.active

    async def _unless_stopped(self, work: Coroutine[object, object, T]) -> T | None:
        """Await what may take minutes, as compiling does; when the daemon is to stop first, drop it and give None."""
        task, stop = asyncio.create_task(work), asyncio.create_task(self.stopped.wait())
        try:
            await asyncio.wait([task, stop], return_when=asyncio.FIRST_COMPLETED)
            return task.result() if task.done() else None
        finally:
            task.cancel()
            stop.cancel()
            await asyncio.wait([task, stop])

    def _new_executors(self, active: Active, timers: Timers, http: HttpClient) -> Executors:
        shared = Services(
            executor_id=self._ids.executor(),
            store=self._store,
            clock=self._clock,
            ids=self._ids,
            random=secrets.token_bytes,
            wasi_clock=ActivityClock(self._clock),
            http=http,
            plan=active.plan,
            forward=_forward,
            metrics=self._metrics,
        )
        members = []
        for spec in active.candidate.manifest.executors:
            plan = active.plan.with_labels(spec.labels)
            own = msgspec.structs.replace(shared, executor_id=self._ids.executor(), plan=plan)
            members.append(Executor(own, timers, spec.max_running, spec.name))
        shared.executor_id = members[0].services.executor_id
        return Executors(shared, timers, members)

    async def _recover(self, executors: Executors, active: Active) -> None:
        store, clock = self._store, self._clock
        alive = [member.services.executor_id for member in executors.members]
        for executor_id in alive:
            await store.register_executor(executor_id, socket.gethostname(), clock.now())
        recovered = await take_over(store, alive, clock, self._ids)
        lifted = await lift_automatic_pauses(store, active.generation.number, clock)
        _log.info("recovered", lost_runs=recovered.lost_runs, lifted_pauses=lifted)
        store.subscribe(executors.on_change)

    async def _serve(self, stack: AsyncExitStack, executors: Executors, active: Active) -> tuple[str, ...]:
        store, deployer = self._store, self._deployer
        self._engine = engine = LocalEngine(executors, self._beginning.state_dir, lambda: self._file.degraded)
        self._catalog = catalog_of(active.candidate, active.plan)
        watcher = Watcher()
        store.subscribe(watcher.publish)
        replayer = LocalReplayer(store.reads, lambda: deployer.active.plan, self._compiler)
        planner = Planner(deployer, ReplayGate(store, self._clock.monotonic))
        control = ManifestControl(deployer, self._file, planner, store)
        api = ApiServices(
            store.reads, engine, lambda: self._catalog, watcher, self._ids, replayer, control, self._metrics
        )
        assert deployer.running is not None
        listeners = [_listener(listen) for listen in deployer.running.listen]
        server = ApiServer(api, listeners, passed=self._systemd.sockets)
        await server.start()
        stack.push_async_callback(server.stop)
        return server.addresses

    def _adopt(self, active: Active) -> None:
        """Run another generation from now on: one step, in which nothing else happens."""
        assert self._executors is not None
        executors = active.candidate.manifest.executors
        self._executors.adopt(active.plan, {spec.name: (spec.labels, spec.max_running) for spec in executors})
        self._catalog = catalog_of(active.candidate, active.plan)
        self._file.on_active(active)

    async def _start_work(self, stack: AsyncExitStack, executors: Executors, timers: Timers) -> None:
        """Begin to lock and run, last of all: a start that fails, say for its address, must not cost an attempt."""
        assert self._engine is not None
        await stack.enter_async_context(self._task(measure_loop_lag(self._metrics.process.loop_lag), "loop lag"))
        await stack.enter_async_context(self._task(timers.run(), "timers"))
        lease = self._deployer.active.candidate.manifest.executors[0].lease
        await stack.enter_async_context(self._task(_heartbeats(self._store, executors.members, lease), "lease"))
        if self._systemd.watchdog is not None:
            beat = partial(_heartbeat, self._store, executors.members[0])
            signs = keep_watchdog(self._systemd.notifier, self._systemd.watchdog, beat)
            await stack.enter_async_context(self._task(signs, "watchdog"))
        self._running = await stack.enter_async_context(self._task(executors.run(), "executors"))
        await executors.canceller.resume()
        watch = ManifestWatch(self._file.file, self._file, self._file.settling, self._clock)
        await watch.look()  # what changes from here on is noticed
        await stack.enter_async_context(self._task(watch.run(), "manifest"))
        await stack.enter_async_context(self._task(self._reload_on_request(), "reload"))
        self._engine.not_ready = None

    async def _reload_on_request(self) -> None:
        while True:
            await self._reload_wanted.wait()
            self._reload_wanted.clear()
            try:
                verdict = await self._file.reload(Wish())
            except ObeliskError as error:
                _log.error("reload_failed", code=error.code, detail=str(error))
            except Exception:  # noqa: BLE001 - the edge: a request to look must not end the daemon
                _log.exception("reload_failed")
            else:
                _log.info("reloaded", outcome=verdict.outcome, generation=verdict.generation)

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

    async def drain(self) -> None:
        """Take no more work and let what runs end, within the grace period of the manifest."""
        if self._engine is not None:
            self._engine.not_ready = "stopping"
        if self._executors is not None and self._running is not None and self.exit_code == 0:
            await self._executors.stop(self._grace)
            await self._running

    def _broken(self, error: OutcomeUnknownError) -> None:
        """End at once: nobody knows what the database holds, and only a start can read it."""
        _log.critical("storage_broken", code=error.code, detail=str(error))
        self.exit_code = EXIT_STORAGE
        self.stop("storage_broken")

    @asynccontextmanager
    async def _task(self, work: Coroutine[object, object, None], name: str) -> AsyncIterator[asyncio.Task[None]]:
        """Own a task: should it fail, the daemon ends with code 70; at the end of the context it is cancelled."""
        task = asyncio.create_task(work, name=name)
        task.add_done_callback(self._task_ended)
        try:
            yield task
        finally:
            task.cancel()
            await asyncio.wait([task])

    def _task_ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.critical("task_failed", task=task.get_name(), exc_info=error)
            self.exit_code = self.exit_code or os.EX_SOFTWARE
            self.stop("task_failed")


def _forward(execution_id: ExecutionId, level: Level, line: str) -> None:
    _guest_log.info("guest_output", execution_id=execution_id, level=level, line=line)


async def _heartbeats(store: SqliteStore, members: Sequence[Executor], lease: timedelta) -> None:
    while True:
        await asyncio.sleep(lease.total_seconds() / 3)
        try:
            for member in members:
                await _heartbeat(store, member)
        except StorageUnavailableError as error:
            _log.error("heartbeat_failed", code=error.code, detail=str(error))


async def _heartbeat(store: SqliteStore, member: Executor) -> None:
    await store.heartbeat(member.services.executor_id, member.services.clock.now())


def _listener(listen: Listen) -> Listener:
    if isinstance(listen, UnixListen):
        return UnixListener(Path(listen.path))
    return TcpListener(listen.host, listen.port)
