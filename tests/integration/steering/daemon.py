"""A whole daemon in this process, but for its manifest's listeners: the API is on a socket, time is the test's."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx

from obelisk_config import Surroundings
from obelisk_daemon.api.engine import LocalEngine, catalog_of
from obelisk_daemon.api.listeners import UnixListener
from obelisk_daemon.api.live.live import Live
from obelisk_daemon.api.live.sources import ServiceSources
from obelisk_daemon.api.replaying import LocalReplayer
from obelisk_daemon.api.server import ApiServer
from obelisk_daemon.api.services import Services as ApiServices
from obelisk_daemon.api.watch import Watcher
from obelisk_daemon.clock import Instant
from obelisk_daemon.deployment.activation import Origin, activate
from obelisk_daemon.deployment.checking import check
from obelisk_daemon.deployment.planning import plan_generation
from obelisk_daemon.errors import OutcomeUnknownError
from obelisk_daemon.executor.executor import Executor
from obelisk_daemon.executor.executors import Executors
from obelisk_daemon.executor.run import Services
from obelisk_daemon.executor.takeover import take_over
from obelisk_daemon.executor.timers import Timers
from obelisk_daemon.ids import ExecutionId, IdSource
from obelisk_daemon.metrics import Metrics
from obelisk_daemon.storage.records import Change
from obelisk_daemon.storage.sql.store import SqlStore
from obelisk_daemon.storage.sqlite.store import open_store
from obelisk_daemon.storage.upkeep import NewExecutor
from obelisk_daemon.wasm.compile import Compiler
from obelisk_daemon.wasm.wasi.client import HttpClient
from obelisk_daemon.wasm.wasi.clocks import ActivityClock
from tests.building import NEVER
from tests.fakes.clock import ManualClock
from tests.fakes.database import FakeDatabase
from tests.fakes.manifest import FakeManifest
from tests.fakes.serving import access, talking

Document = dict[str, Any]


class Daemon:
    """One life of the daemon. `http` talks to its API."""

    def __init__(self, store: SqlStore, executor: Executors, timers: Timers, clock: ManualClock) -> None:
        self.store = store
        self.executor = executor
        self.engine: LocalEngine
        self.http: httpx.AsyncClient
        self.socket: Path
        self._timers = timers
        self._clock = clock
        self._changed = asyncio.Event()
        store.subscribe(self._note)

    def _note(self, change: Change) -> None:
        self._changed.set()

    def advance(self, **duration: float) -> None:
        """Let time pass, and the timers see it."""
        self._clock.advance(timedelta(**duration))
        self._timers.note(Instant(0))

    async def submit(self, known: ExecutionId, ffqn: str, *params: object, **more: str) -> None:
        answer = await self.http.put(f"/v1/executions/{known}", json={"ffqn": ffqn, "params": params, **more})
        assert answer.status_code == 201, answer.text

    async def show(self, known: str) -> Document:
        answer = await self.http.get(f"/v1/executions/{known}")
        assert answer.status_code == 200, answer.text
        document: Document = answer.json()
        return document

    async def why(self, known: str) -> list[Document]:
        """Ask why an execution does not run; give the reasons."""
        answer = await self.http.get(f"/v1/executions/{known}/why")
        assert answer.status_code == 200, answer.text
        reasons: list[Document] = answer.json()["reasons"]
        return reasons

    async def post(self, path: str, body: object = None) -> tuple[int, Document]:
        """Ask for something; give the status and the document."""
        answer = await self.http.post(f"/v1/{path}", json=body)
        return answer.status_code, answer.json()

    async def result(self, known: str) -> Document:
        """Wait for the result."""
        answer = await self.http.get(f"/v1/executions/{known}/result", params={"wait": 20})
        assert answer.status_code == 200, answer.text
        document: Document = answer.json()
        return document

    async def events(self, known: str) -> list[Document]:
        found: list[Document] = (await self.http.get(f"/v1/executions/{known}/events?limit=500")).json()["events"]
        return found

    async def types(self, known: str) -> list[str]:
        """Give the types of the events, those of history events in their place."""
        return [event.get("event", event)["type"] for event in await self.events(known)]

    async def responses(self, known: str) -> list[str]:
        """Wait for responses, and give their types."""
        answer = await self.http.get(f"/v1/executions/{known}/responses", params={"wait": 20})
        return [response["type"] for response in answer.json()["responses"]]

    async def until(self, known: str, holds: Callable[[Document], bool]) -> Document:
        """Wait until an execution is as wanted."""
        async with asyncio.timeout(60):
            while True:
                self._changed.clear()
                answer = await self.http.get(f"/v1/executions/{known}")
                if answer.status_code == 200 and holds(answer.json()):
                    document: Document = answer.json()
                    return document
                await self._changed.wait()

    async def until_blocked(self, known: str) -> Document:
        return await self.until(known, lambda found: bool(found["state"] == "blocked"))

    async def until_out_of_memory(self) -> None:
        """Wait until no workflow is kept in memory and none runs."""
        async with asyncio.timeout(60):
            while self.executor.hot or self.executor.running:
                await asyncio.sleep(0)


@asynccontextmanager
async def running(directory: Path, manifest: str, compiler: Compiler, clock: ManualClock) -> AsyncIterator[Daemon]:
    """Run a daemon on a state directory until the context ends; then it stops as on SIGTERM."""
    ids = IdSource(lambda: clock.now() // 1_000, random.Random().getrandbits)
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(open_store(directory / "obelisk.db", _not_expected))
        source = f'[daemon]\nstate_dir = "{directory}"\n{manifest}'.encode()
        candidate = await check(source, directory / "obelisk.toml", Surroundings(), compiler)
        active = await store.active_generation()
        generation = active
        if active is None or active.content_hash != candidate.content_hash:
            follows = 0 if active is None else active.number
            generation = await activate(store, candidate, clock, follows, Origin(strands=True))
        assert generation is not None
        http = HttpClient()
        stack.push_async_callback(http.aclose)
        services = Services(
            executor_id=ids.executor(),
            store=store,
            clock=clock,
            ids=ids,
            random=random.Random(1).randbytes,
            wasi_clock=ActivityClock(clock),
            http=http,
            plan=plan_generation(candidate, generation.number),
            forward=lambda execution_id, level, line: None,
        )
        timers = Timers(store, clock, lambda: executors.wake())  # noqa: PLW0108 - they are made next
        executors = Executors(services, timers, [Executor(services, timers, max_running=10)])
        daemon = Daemon(store, executors, timers, clock)
        store.subscribe(executors.on_change)
        await store.end_all_leases()
        await store.register_executor(NewExecutor(services.executor_id, "here"), clock.now(), NEVER)
        await take_over(store, clock, ids)
        await stack.enter_async_context(_task(timers.run()))
        await stack.enter_async_context(_stopping(executors))
        await executors.canceller.resume()
        watcher = Watcher()
        store.subscribe(watcher.publish)
        engine, catalog = LocalEngine(executors, directory), catalog_of(candidate, services.plan)
        replayer = LocalReplayer(store.reads, lambda: services.plan, compiler)
        manifest_control = FakeManifest()
        live = Live(store.reads, ServiceSources(store.reads, engine, manifest_control), clock.now, ids.ulid())
        store.subscribe(live.publish)
        api = ApiServices(
            reader=store.reads,
            engine=engine,
            catalog=lambda: catalog,
            watcher=watcher,
            ids=ids,
            replayer=replayer,
            manifest=manifest_control,
            metrics=Metrics(),
            live=live,
            database=FakeDatabase(),
            last_removal=lambda: None,
        )
        daemon.engine, engine.not_ready = engine, None
        daemon.socket = directory / "api.sock"
        server = ApiServer(api, [UnixListener(daemon.socket)], access())
        await server.start()
        stack.push_async_callback(server.stop)
        daemon.http = await stack.enter_async_context(talking(daemon.socket))
        yield daemon


@asynccontextmanager
async def _task(work: Any) -> AsyncIterator[None]:
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])
        if not task.cancelled():
            task.result()


@asynccontextmanager
async def _stopping(executor: Executors) -> AsyncIterator[None]:
    task = asyncio.create_task(executor.run())
    try:
        yield
    finally:
        await executor.stop(timedelta())
        await task


def _not_expected(error: OutcomeUnknownError) -> None:
    raise error
