"""The engine in one process, without a manifest and an API: real guests, a real store, a clock the test may move."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from typing import TypeAlias

import msgspec

from obelisk_daemon.clock import Clock, Instant, after
from obelisk_daemon.deployment.activation import lift_automatic_pauses
from obelisk_daemon.execution.events import Entry
from obelisk_daemon.execution.outcome import Outcome
from obelisk_daemon.executor.cancellation import Cancelled
from obelisk_daemon.executor.children import created, new_execution
from obelisk_daemon.executor.counting import Counting
from obelisk_daemon.executor.executor import Executor
from obelisk_daemon.executor.executors import Executors
from obelisk_daemon.executor.plan import ExecutorPlan
from obelisk_daemon.executor.run import Services
from obelisk_daemon.executor.takeover import take_over
from obelisk_daemon.executor.timers import Timers
from obelisk_daemon.ids import ExecutionId, IdSource
from obelisk_daemon.storage.generations import Generation, StoredComponent
from obelisk_daemon.storage.port import Store
from obelisk_daemon.storage.records import Change, NewExecution, StateChange, Summary
from obelisk_daemon.storage.sql.store import SqlStore
from obelisk_daemon.storage.upkeep import NewExecutor
from obelisk_daemon.wasm.wasi.clocks import ActivityClock
from tests.building import NEVER, execution_id
from tests.conformance.world import check_stored
from tests.integration.executor.uses import FIBO, FIBOA, Linked, Use, allowed_of, limits_of, plan_of
from tests.stores import Place

PATIENCE = 20
"""Seconds after which a test gives up waiting; nothing waits that long when all is well."""
Slots = Mapping[str, tuple[Sequence[str], int]]
"""The labels and the slots of each executor of a daemon, by its name."""


class Daemon:
    """Running executors with what belongs to them. Made by `Lab.daemon`."""

    def __init__(self, lab: "Lab", store: SqlStore, executor: Executors, timers: Timers) -> None:
        self._lab = lab
        self.store = store
        self.services = executor.services
        self.executor = executor
        self.timers = timers
        self.canceller = executor.canceller
        self.changes: list[Change] = []
        self._changed = asyncio.Event()
        store.subscribe(self._follow)

    async def adopt(self, *uses: Use, slots: Slots | None = None) -> None:
        """Make other components active while the daemon runs, as a deployment does."""
        generation, plan = await self._lab.activate(self.store, uses)
        self._take(plan, slots)
        await lift_automatic_pauses(self.store, generation.number, self.services.clock)

    def follow(self, other: "Daemon") -> None:
        """Run what another daemon on this store made active."""
        self._take(other.services.plan)

    def _take(self, plan: ExecutorPlan, slots: Slots | None = None) -> None:
        kept = {member.name: (sorted(member.services.plan.labels), member.max_running) for member in self.members}
        self.executor.adopt(plan, slots or kept)

    @property
    def members(self) -> Sequence[Executor]:
        return self.executor.members

    async def submit(
        self,
        ffqn: str,
        *params: object,
        number: int = 1,
        wait: timedelta = timedelta(),
        labels: tuple[str, ...] = (),
    ) -> ExecutionId:
        await self.executor.submit(self._new(ffqn, params, number, wait, labels))
        return execution_id(number)

    async def submit_elsewhere(self, ffqn: str, *params: object, number: int = 1) -> ExecutionId:
        """Submit as another host does: it waits to be locked."""
        await self.store.submit(self._new(ffqn, params, number))
        return execution_id(number)

    def _new(
        self,
        ffqn: str,
        params: Sequence[object],
        number: int,
        wait: timedelta = timedelta(),
        labels: tuple[str, ...] = (),
    ) -> NewExecution:
        now = self.services.clock.now()
        event = created(self.services, self.services.plan.functions[ffqn], list(params), after(now, wait))
        event = msgspec.structs.replace(event, labels=labels)
        return new_execution(execution_id(number), event, now, self.services.ids.failure())

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
            await check_stored(self.store, execution)

    def states(self, execution: ExecutionId) -> list[str]:
        return [c.status for c in self.changes if isinstance(c, StateChange) and c.execution_id == execution]

    def _follow(self, change: Change) -> None:
        self.changes.append(change)
        self._changed.set()


class Lab:
    """Daemons over one database, one after the other."""

    def __init__(self, linked: Linked, place: Place, clock: Clock) -> None:
        self.linked = linked
        self.clock = clock
        self._place = place
        self._last_id = 0

    @asynccontextmanager
    async def daemon(
        self,
        *uses: Use,
        max_running: int = 100,
        slots: Slots | None = None,
        crash: bool = False,
        over: Callable[[SqlStore], Store] = lambda store: store,
        beside: Daemon | None = None,
    ) -> AsyncIterator[Daemon]:
        """Run a daemon with these components; at the end it stops, or just vanishes.

        `slots` are those of its executors: one without labels if there are none. `over` puts something between the
        executors and the store. One `beside` another shares that one's store and its generation.
        """
        async with AsyncExitStack() as stack:
            if beside is None:
                store = await stack.enter_async_context(self._place.open())
                generation, plan = await self.activate(store, uses or (FIBO, FIBOA))
            else:
                store, plan = beside.store, beside.services.plan
            services = self._services(over(store), plan)
            store.observe(Counting(services.metrics.executions).observe)
            timers = Timers(store, self.clock, lambda: executors.wake())  # noqa: PLW0108
            members = [
                Executor(self._own(services, plan.with_labels(labels)), timers, size, name)
                for name, (labels, size) in (slots or {"default": ((), max_running)}).items()
            ]
            executors = Executors(services, timers, members)
            if beside is None:
                await store.end_all_leases()
            for member in members:
                new = NewExecutor(member.services.executor_id, "test")
                await store.register_executor(new, self.clock.now(), NEVER)
            if beside is None:
                await lift_automatic_pauses(store, generation.number, self.clock)
                await take_over(store, self.clock, services.ids)
            store.subscribe(executors.on_change)
            daemon = Daemon(self, store, executors, timers)
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

    async def activate(self, store: SqlStore, uses: Sequence[Use]) -> tuple[Generation, ExecutorPlan]:
        """Make the next generation of these components the active one, and plan it."""
        active = await store.active_generation()
        number = 1 if active is None else active.number + 1
        plan = plan_of(self.linked, uses, number, await store.work_in_progress())
        generation = Generation(
            number=number,
            activated_at=self.clock.now(),
            manifest=b"",
            content_hash="",
            allowed=allowed_of(self.linked, uses),
            limits=limits_of(uses),
        )
        digests = {self.linked[use.name].component.digest for use in uses}
        codes = [StoredComponent(digest, b"") for digest in sorted(digests)]
        await store.activate(generation, codes, strands=True)
        return generation, plan

    def _own(self, services: Services, plan: ExecutorPlan) -> Services:
        return msgspec.structs.replace(services, executor_id=self.ids.executor(), plan=plan)

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


NewLab: TypeAlias = Callable[..., Lab]
"""Make another lab, on an empty database; with a clock, or the machine's."""


async def _end(tasks: Sequence[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    for task in tasks:
        if not task.cancelled() and (error := task.exception()) is not None:
            raise error
