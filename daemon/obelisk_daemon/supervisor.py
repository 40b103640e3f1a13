"""The composition root: builds everything once, owns every task, and takes it all down in the opposite order."""

import asyncio
import os
import secrets
import signal
import socket
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Final, TypeVar

import msgspec
import structlog

from obelisk_config import Daemon as DaemonSettings
from obelisk_config import Listen, Surroundings, UnixListen, draft
from obelisk_daemon.api.engine import LocalEngine, catalog_of
from obelisk_daemon.api.listeners import Listener, TcpListener, UnixListener
from obelisk_daemon.api.replaying import LocalReplayer
from obelisk_daemon.api.server import ApiServer
from obelisk_daemon.api.services import Services as ApiServices
from obelisk_daemon.api.watch import Watcher
from obelisk_daemon.clock import Clock, SystemClock
from obelisk_daemon.deployment.activation import activate, lift_automatic_pauses
from obelisk_daemon.deployment.checking import Candidate, check
from obelisk_daemon.deployment.planning import plan_generation
from obelisk_daemon.deployment.rehearsal import ReplayReport, rehearse, report_of
from obelisk_daemon.errors import OutcomeUnknownError, StorageUnavailableError
from obelisk_daemon.execution.saved_log import SavedLog
from obelisk_daemon.executor.executor import Executor
from obelisk_daemon.executor.logs import Level
from obelisk_daemon.executor.plan import ExecutorPlan
from obelisk_daemon.executor.run import Services
from obelisk_daemon.executor.takeover import take_over
from obelisk_daemon.executor.timers import Timers
from obelisk_daemon.ids import ExecutionId, ExecutorId, IdSource
from obelisk_daemon.storage.sqlite.directory import hold
from obelisk_daemon.storage.sqlite.store import SqliteStore, open_store
from obelisk_daemon.wasm.compile import Compiler
from obelisk_daemon.wasm.engine import Engines
from obelisk_daemon.wasm.wasi.client import HttpClient
from obelisk_daemon.wasm.wasi.clocks import ActivityClock

EXIT_STORAGE: Final = 74
T = TypeVar("T")
_log = structlog.get_logger("obeliskd")
_guest_log = structlog.get_logger("guest")


class Options(msgspec.Struct, frozen=True):
    """What the command line says."""

    manifest: Path
    surroundings: Surroundings
    dev: bool = False


async def run_daemon(options: Options, source: bytes) -> int:
    """Run until SIGTERM or SIGINT; answer the exit code.

    Raises:
        ManifestError: the manifest can't be used.
        OperatorError: the state directory, the database or an address can't be used.
    """
    daemon = _Daemon()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, daemon.stop, signal.Signals(number).name)
    async with AsyncExitStack() as stack:
        await daemon.start(stack, options, source)
        await daemon.stopped.wait()
        await daemon.drain()
    _log.info("stopped", exit_code=daemon.exit_code)
    return daemon.exit_code


async def check_manifest(options: Options, source: bytes, cache_dir: Path) -> Candidate:
    """Check a manifest completely, without a daemon. Secrets may be missing: only the daemon needs them.

    Raises:
        ManifestError: the manifest can't be used.
    """
    engines = Engines()
    try:
        compiler = Compiler(engines, cache_dir)
        surroundings = options.surroundings
        return await check(source, options.manifest, surroundings, compiler, dev=options.dev, need_secrets=False)
    finally:
        engines.close()


async def replay_saved(saved: SavedLog, code: bytes, cache_dir: Path) -> ReplayReport:
    """Replay a saved log on a component, without a daemon.

    Raises:
        ComponentError: the component can't be used.
        CallerError: it can't be replayed on this log.
        OperatorError: the cache or the compiler can't be used.
    """
    engines = Engines()
    try:
        component = await Compiler(engines, cache_dir).load(code, "workflow")
        return report_of(saved, component.digest, await rehearse(saved, component, saved.functions))
    finally:
        engines.close()


class _Daemon:
    """One daemon from start to stop."""

    def __init__(self) -> None:
        self.stopped = asyncio.Event()
        self.exit_code = 0
        self._grace = timedelta()
        self._executor: Executor | None = None
        self._engine: LocalEngine | None = None
        self._running: asyncio.Task[None] | None = None

    def stop(self, reason: str) -> None:
        """Begin to stop; the first call counts."""
        if not self.stopped.is_set():
            _log.info("stopping", reason=reason)
            self.stopped.set()

    async def start(self, stack: AsyncExitStack, options: Options, source: bytes) -> None:
        """Bring everything up, in an order in which each part finds what it needs; `stack` takes it down."""
        clock = SystemClock()
        ids = IdSource(lambda: clock.now() // 1_000, secrets.randbits)
        state_dir = state_dir_of(options, source)
        stack.enter_context(hold(state_dir))
        store = await stack.enter_async_context(open_store(state_dir / "obelisk.db", self._broken))
        engines = Engines()
        stack.callback(engines.close)
        self._compiler = compiler = Compiler(engines, state_dir / "cache")
        checking = check(source, options.manifest, options.surroundings, compiler, dev=options.dev)
        candidate = await self._unless_stopped(checking)
        if candidate is None:
            return
        for warning in candidate.warnings:
            _log.warning("manifest_warning", code=warning.code, detail=warning.message)
        self._grace = candidate.manifest.daemon.stop_grace
        generation = await activate(store, candidate, clock)
        plan = plan_generation(candidate, generation.number)
        http = HttpClient()
        stack.push_async_callback(http.aclose)
        services = _services(store, clock, ids, plan, http)
        lifted = await lift_automatic_pauses(store, generation, clock)
        timers = await self._recover(store, services, candidate, lifted)
        addresses = await self._serve(stack, store, services, candidate, state_dir)
        await self._start_work(stack, store, services, candidate, timers)
        _log.info("ready", generation=generation.number, listen=list(addresses))

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

    async def _recover(self, store: SqliteStore, services: Services, candidate: Candidate, lifted: int) -> Timers:
        me = services.executor_id
        await store.register_executor(me, socket.gethostname(), services.clock.now())
        recovered = await take_over(store, me, services.clock, services.ids)
        _log.info("recovered", lost_runs=recovered.lost_runs, lifted_pauses=lifted)
        timers = Timers(store, services.clock, lambda: executor.wake())  # noqa: PLW0108 - it is made next
        self._executor = executor = Executor(services, timers, candidate.manifest.executor.max_running)
        store.subscribe(executor.on_change)
        return timers

    async def _serve(
        self, stack: AsyncExitStack, store: SqliteStore, services: Services, candidate: Candidate, state_dir: Path
    ) -> tuple[str, ...]:
        assert self._executor is not None
        self._engine = engine = LocalEngine(services, self._executor, state_dir)
        catalog = catalog_of(candidate, services)
        watcher = Watcher()
        store.subscribe(watcher.publish)
        replayer = LocalReplayer(store.reads, services.plan, self._compiler)
        api = ApiServices(store.reads, engine, lambda: catalog, watcher, services.ids, replayer)
        server = ApiServer(api, [_listener(listen) for listen in candidate.manifest.daemon.listen])
        await server.start()
        stack.push_async_callback(server.stop)
        return server.addresses

    async def _start_work(
        self, stack: AsyncExitStack, store: SqliteStore, services: Services, candidate: Candidate, timers: Timers
    ) -> None:
        """Begin to lock and run, last of all: a start that fails, say for its address, must not cost an attempt."""
        assert self._executor is not None
        assert self._engine is not None
        heartbeats = _heartbeats(store, services.executor_id, services.clock, candidate.manifest.executor.lease)
        await stack.enter_async_context(self._task(timers.run(), "timers"))
        await stack.enter_async_context(self._task(heartbeats, "lease"))
        self._running = await stack.enter_async_context(self._task(self._executor.run(), "executor"))
        await self._executor.canceller.resume()
        self._engine.not_ready = None

    async def drain(self) -> None:
        """Take no more work and let what runs end, within the grace period of the manifest."""
        if self._engine is not None:
            self._engine.not_ready = "stopping"
        if self._executor is not None and self._running is not None and self.exit_code == 0:
            await self._executor.stop(self._grace)
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


def settings_of(options: Options, source: bytes) -> DaemonSettings:
    """Read the `[daemon]` table alone: the log and the state directory come before everything else.

    Raises:
        ManifestError: the manifest is no TOML.
    """
    return draft(source, options.manifest, options.surroundings).manifest.daemon


def state_dir_of(options: Options, source: bytes) -> Path:
    """Give the state directory, with symbolic links followed, as messages name it.

    Raises:
        ManifestError: the manifest is no TOML.
    """
    return Path(settings_of(options, source).state_dir).resolve()


def _services(store: SqliteStore, clock: Clock, ids: IdSource, plan: ExecutorPlan, http: HttpClient) -> Services:
    return Services(
        executor_id=ids.executor(),
        store=store,
        clock=clock,
        ids=ids,
        random=secrets.token_bytes,
        wasi_clock=ActivityClock(clock),
        http=http,
        plan=plan,
        forward=_forward,
    )


def _forward(execution_id: ExecutionId, level: Level, line: str) -> None:
    _guest_log.info("guest_output", execution_id=execution_id, level=level, line=line)


async def _heartbeats(store: SqliteStore, executor_id: ExecutorId, clock: Clock, lease: timedelta) -> None:
    while True:
        await asyncio.sleep(lease.total_seconds() / 3)
        try:
            await store.heartbeat(executor_id, clock.now())
        except StorageUnavailableError as error:
            _log.error("heartbeat_failed", code=error.code, detail=str(error))


def _listener(listen: Listen) -> Listener:
    if isinstance(listen, UnixListen):
        return UnixListener(Path(listen.path))
    return TcpListener(listen.host, listen.port)
