"""The engine in one process, without a manifest and an API: real guests, a real store, a clock the test may move."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from pathlib import Path

import msgspec
from wasmtime import component as wc

from obelisk_daemon.clock import Clock, Instant, after
from obelisk_daemon.deployment.activation import lift_automatic_pauses
from obelisk_daemon.deployment.planning import _Resolver
from obelisk_daemon.execution.events import Entry, RetryPolicy
from obelisk_daemon.execution.outcome import Outcome
from obelisk_daemon.execution.wit_types import FunctionType, Primitive, ResultType
from obelisk_daemon.executor.cancellation import Cancelled
from obelisk_daemon.executor.children import created, new_execution
from obelisk_daemon.executor.executor import Executor
from obelisk_daemon.executor.executors import Executors
from obelisk_daemon.executor.plan import ComponentPlan, ExecutorPlan, FunctionPlan
from obelisk_daemon.executor.run import Services
from obelisk_daemon.executor.takeover import take_over
from obelisk_daemon.executor.timers import Timers
from obelisk_daemon.ffqn import Ffqn
from obelisk_daemon.ids import ExecutionId, IdSource
from obelisk_daemon.storage.generations import AllowedFunction, Generation, StoredComponent
from obelisk_daemon.storage.port import Store
from obelisk_daemon.storage.records import Change, StateChange, Summary
from obelisk_daemon.storage.sqlite.store import SqliteStore, open_store
from obelisk_daemon.wasm.component import Component
from obelisk_daemon.wasm.engine import Engines
from obelisk_daemon.wasm.guest import GuestLimits
from obelisk_daemon.wasm.linker import LinkedComponent
from obelisk_daemon.wasm.wasi.clocks import ActivityClock
from obelisk_daemon.wasm.wasi.context import HttpLimits
from obelisk_daemon.wasm.wasi.egress import EgressPolicy
from tests import guests
from tests.building import execution_id
from tests.conformance.world import check_row
from tests.integration.executor.guests import LOGGING, TRAPPING

QUICK = RetryPolicy(
    max_retries=2, initial=0.001, factor=1.0, max=0.001, jitter=0.0, retry_on=("error", "trap", "timeout")
)
WRITTEN_HERE = {"logging": LOGGING, "trapping": TRAPPING}
PATIENCE = 20
"""Seconds after which a test gives up waiting; nothing waits that long when all is well."""


class Linked:
    """The guests of the tests, linked once for all of them."""

    def __init__(self, engines: Engines) -> None:
        self._engines = engines
        self._linked: dict[str, LinkedComponent] = {}

    def __getitem__(self, name: str) -> LinkedComponent:
        if name not in self._linked:
            self._linked[name] = self._link(name)
        return self._linked[name]

    def _link(self, name: str) -> LinkedComponent:
        if name in WRITTEN_HERE:
            kind, digest = "workflow", f"sha256:{name}"
            handle = wc.Component(self._engines.engine(kind), WRITTEN_HERE[name])
        else:
            kind, digest = guests.COMPONENTS[name].kind, guests.digest(name)
            handle = wc.Component.from_file(self._engines.engine(kind), str(guests.path(name)))
        component = Component(self._engines, kind, digest, handle)
        return LinkedComponent(component, _Resolver(kind == "workflow", TYPES))


class Use(msgspec.Struct, frozen=True):
    """A component in a plan, and the settings of all its functions."""

    name: str
    on_block: str = "hot"
    max_hot: int = 1_000
    timeout: timedelta = timedelta(seconds=30)
    retry: RetryPolicy = QUICK
    labels: frozenset[str] = frozenset()
    on_nondeterminism: str = "pause"
    on_trap: str = "fail"
    cancellable: bool = True
    fuel: int = 10**12
    max_history_events: int = 50_000
    on_upgrade: str = "force"


APPROVE = Ffqn("testing:approval/approval", "approve")
TYPES = {
    "testing:fibo/fibo.fibo": FunctionType(
        (("n", Primitive("u8")),), ResultType(Primitive("u64"), Primitive("string"))
    ),
    str(APPROVE): FunctionType((("order", Primitive("u64")),), ResultType(Primitive("bool"), Primitive("string"))),
}
"""Of functions whose extensions the guests import; `approve` is a stub, in every plan."""
FIBO, FIBOA = Use("fibo-activity"), Use("fibo-workflow")


def plan_of(linked: Linked, uses: Sequence[Use], generation: int) -> ExecutorPlan:
    functions: dict[str, FunctionPlan] = {}
    for use in uses:
        code = linked[use.name]
        is_workflow = code.component.kind == "workflow"
        component = ComponentPlan(
            name=use.name,
            kind=code.component.kind,
            digest=code.component.digest,
            linked=code,
            env={},
            limits=GuestLimits(memory=256 << 20, fuel=use.fuel if is_workflow else None),
            log_bytes=1 << 20,
            forward_stdio=False,
            egress=EgressPolicy(),
            http_limits=HttpLimits(requests=0),
            on_block=use.on_block,  # type: ignore[arg-type]
            max_hot=use.max_hot,
            on_nondeterminism=use.on_nondeterminism,  # type: ignore[arg-type]
            on_trap=use.on_trap,  # type: ignore[arg-type]
            max_history_events=use.max_history_events,
        )
        for ffqn, of in code.component.exports.items():
            timeout = use.timeout // timedelta(microseconds=1)
            functions[str(ffqn)] = FunctionPlan(
                ffqn, component, of, timeout, use.retry, use.labels, not is_workflow or use.cancellable
            )
    functions[str(APPROVE)] = _stub()
    return ExecutorPlan(generation, functions, frozenset())


def _stub() -> FunctionPlan:
    component = ComponentPlan(
        name="approval",
        kind="stub",
        digest="sha256:approval",
        linked=None,
        env={},
        limits=GuestLimits(),
        log_bytes=0,
        forward_stdio=False,
        egress=EgressPolicy(),
        http_limits=HttpLimits(),
    )
    return FunctionPlan(APPROVE, component, TYPES[str(APPROVE)], 0, QUICK, frozenset())


class Daemon:
    """A running executor with what belongs to it. Made by `Lab.daemon`."""

    def __init__(self, store: SqliteStore, services: Services, executor: Executors, timers: Timers) -> None:
        self.store = store
        self.services = services
        self.executor = executor
        self.timers = timers
        self.canceller = executor.canceller
        self.changes: list[Change] = []
        self._changed = asyncio.Event()
        store.subscribe(self._follow)

    async def submit(self, ffqn: str, *params: object, number: int = 1, wait: timedelta = timedelta()) -> ExecutionId:
        now = self.services.clock.now()
        event = created(self.services, self.services.plan.functions[ffqn], list(params), after(now, wait))
        await self.store.submit(new_execution(execution_id(number), event, now))
        return execution_id(number)

    async def result(self, execution: ExecutionId) -> Outcome:
        """Wait for the end of an execution."""
        row = await self.until(lambda: self.row(execution), lambda row: row.status == "finished")
        assert row.outcome is not None
        return row.outcome

    async def call(self, ffqn: str, *params: object, number: int = 1) -> Outcome:
        return await self.result(await self.submit(ffqn, *params, number=number))

    async def waiting(self, execution: ExecutionId, status: str = "blocked") -> Summary:
        """Wait until an execution has a status."""
        return await self.until(lambda: self.row(execution), lambda row: row.status == status)

    async def until(self, read: Callable[[], object], holds: Callable[..., bool]):
        """Read again after every change, until what is read is as it should be."""
        async with asyncio.timeout(PATIENCE):
            while True:
                self._changed.clear()
                found = read()
                found = await found if asyncio.iscoroutine(found) else found
                if holds(found):
                    return found
                await self._changed.wait()

    async def settled(self, holds: Callable[[], bool]) -> None:
        """Let the loop turn until something that is no change of the store holds."""
        async with asyncio.timeout(PATIENCE):
            while not holds():
                await asyncio.sleep(0.001)

    def look_at_the_clock(self) -> None:
        """Have the timers see that the test has moved the clock."""
        self.timers.note(Instant(0))

    async def row(self, execution: ExecutionId) -> Summary:
        return await self.store.reads.summary(execution)

    async def log(self, execution: ExecutionId) -> list[Entry]:
        return await self.store.reads.entries(execution, 0, 100_000)

    async def types(self, execution: ExecutionId) -> list[str]:
        return [str(entry.event.__struct_config__.tag) for entry in await self.log(execution)]

    async def lines(self, execution: ExecutionId) -> list[str]:
        return [line.message for _, _, line in await self.store.reads.log_lines(execution, 0, 1_000)]

    async def cancel(self, execution: ExecutionId) -> Cancelled:
        return await self.canceller.cancel(execution)

    async def check(self, *executions: ExecutionId) -> None:
        """Compare rows with what their logs say."""
        for execution in executions:
            responses = await self.store.reads.responses(execution, 0, 100_000)
            check_row(await self.row(execution), await self.log(execution), responses)

    def states(self, execution: ExecutionId) -> list[str]:
        return [c.status for c in self.changes if isinstance(c, StateChange) and c.execution_id == execution]

    def _follow(self, change: Change) -> None:
        self.changes.append(change)
        self._changed.set()


class Lab:
    """Daemons over one state directory, one after the other."""

    def __init__(self, linked: Linked, directory: Path, clock: Clock) -> None:
        self.linked = linked
        self.clock = clock
        self._file = directory / "obelisk.db"
        self._last_id = 0

    @asynccontextmanager
    async def daemon(
        self,
        *uses: Use,
        max_running: int = 100,
        crash: bool = False,
        over: Callable[[SqliteStore], Store] = lambda store: store,
    ) -> AsyncIterator[Daemon]:
        """Run a daemon with these components; at the end it stops, or just vanishes.

        `over` puts something between the executor and the store.
        """
        async with AsyncExitStack() as stack:
            store = await stack.enter_async_context(open_store(self._file, _unexpected))
            generation = await self._activate(store, uses or (FIBO, FIBOA))
            plan = plan_of(self.linked, uses or (FIBO, FIBOA), generation.number)
            services = self._services(over(store), plan)
            await lift_automatic_pauses(store, generation.number, self.clock)
            await store.register_executor(services.executor_id, "test", self.clock.now())
            await take_over(store, [services.executor_id], self.clock, services.ids)
            timers = Timers(store, self.clock, lambda: executors.wake())  # noqa: PLW0108
            executor = Executor(services, timers, max_running)
            executors = Executors(services, timers, [executor])
            store.subscribe(executors.on_change)
            daemon = Daemon(store, services, executors, timers)
            tasks = [asyncio.create_task(timers.run()), asyncio.create_task(executors.run())]
            try:
                await daemon.canceller.resume()
                yield daemon
                if not crash:
                    async with asyncio.timeout(PATIENCE):
                        await executors.stop(timedelta(seconds=5))
                        await tasks[1]
            finally:
                await _end(tasks)

    async def _activate(self, store: SqliteStore, uses: Sequence[Use]) -> Generation:
        components = [self.linked[use.name].component for use in uses]
        active = await store.active_generation()
        generation = Generation(
            number=1 if active is None else active.number + 1,
            activated_at=self.clock.now(),
            manifest=b"",
            content_hash="",
            allowed={
                str(ffqn): AllowedFunction(component.digest, use.name, use.on_upgrade)  # type: ignore[arg-type]
                for use, component in zip(uses, components, strict=True)
                for ffqn in component.exports
            },
        )
        await store.activate(generation, [StoredComponent(c.digest, b"") for c in components])
        return generation

    def _services(self, store: Store, plan: ExecutorPlan) -> Services:
        return Services(
            executor_id=self.ids.executor(),
            store=store,
            clock=self.clock,
            ids=self.ids,
            random=bytes,
            wasi_clock=ActivityClock(self.clock),
            http=None,  # type: ignore[arg-type] - no guest here asks for it
            plan=plan,
            forward=lambda *_: None,
        )

    @property
    def ids(self) -> IdSource:
        """Give ids that no daemon of this lab has used."""

        def later() -> int:
            self._last_id += 1
            return self._last_id

        return IdSource(later, lambda _: 0)


async def _end(tasks: Sequence[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    for task in tasks:
        if not task.cancelled() and (error := task.exception()) is not None:
            raise error


def _unexpected(error: Exception) -> None:
    raise error
