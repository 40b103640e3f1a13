"""A store with a clock and short names for its writes; after each, every row must follow from its log."""

import asyncio
from collections.abc import Awaitable, Collection, Mapping, Sequence
from datetime import timedelta
from typing import TypeVar

import msgspec
import pytest

from obelisk_daemon.clock import Instant
from obelisk_daemon.execution.divergence import HOST_ABI
from obelisk_daemon.execution.events import (
    Created,
    Entry,
    Locked,
    Response,
)
from obelisk_daemon.execution.outcome import FailureRecord
from obelisk_daemon.ids import ExecutionId, ExecutorId, RunId
from obelisk_daemon.storage.database import Damage
from obelisk_daemon.storage.generations import ALL, AllowedFunction, Generation, QueueLimit, StoredComponent
from obelisk_daemon.storage.hosts import Beat
from obelisk_daemon.storage.postgres.store import PostgresStore
from obelisk_daemon.storage.records import (
    Append,
    CancellationEnd,
    Change,
    Held,
    ListFilter,
    LockRequest,
    Release,
    ResponseChange,
    Runnable,
    StateChange,
    Summary,
)
from obelisk_daemon.storage.sql.checking import check_execution
from obelisk_daemon.storage.sql.connection import Connection
from obelisk_daemon.storage.sql.store import SqlStore
from obelisk_daemon.storage.upkeep import NewExecutor
from tests.building import (
    ACTIVITY,
    DIGEST,
    EXECUTOR,
    NEVER,
    WORKFLOW,
    RunScript,
    created,
    execution_id,
    new_execution,
    run_id,
)
from tests.building import locked as locked_event
from tests.fakes.clock import ManualClock

ALLOWED = {ACTIVITY: DIGEST, WORKFLOW: DIGEST}
T = TypeVar("T")


class World:
    """What a conformance test works with. `changes` is what the store has published."""

    def __init__(self, store: SqlStore) -> None:
        self.store = store
        self.clock = ManualClock()
        self.changes: list[Change] = []
        self._runs = 0
        store.subscribe(self.changes.append)

    @property
    def now(self) -> Instant:
        return self.clock.now()

    async def activate(
        self, number: int = 1, allowed: Mapping[str, str | AllowedFunction] = ALLOWED, **limits: QueueLimit
    ) -> Generation:
        """Activate a generation. What is allowed by its digest only is of the component `fibo`, and `latest`."""
        functions = {
            ffqn: one if isinstance(one, AllowedFunction) else AllowedFunction(one, "fibo")
            for ffqn, one in allowed.items()
        }
        digests = {f"component-{ffqn}": one.digest for ffqn, one in functions.items()}
        generation = Generation(
            number=number,
            activated_at=self.now,
            manifest=b"manifest",
            content_hash=f"hash-{number}",
            allowed=functions,
            components=digests,
            limits={ALL if name == "all" else name: limit for name, limit in limits.items()},
        )
        codes = [StoredComponent(digest, digest.encode()) for digest in sorted(set(digests.values()))]
        await self.store.activate(generation, codes, strands=True)
        return generation

    async def allow(self, number: int, ffqn: str = ACTIVITY, digest: str = DIGEST, **settings: object) -> Generation:
        """Activate a generation of one function, with other settings than `latest` code of the component `fibo`."""
        return await self.activate(number, {ffqn: msgspec.structs.replace(AllowedFunction(digest, "fibo"), **settings)})

    async def submit(self, event: Created | None = None, number: int = 1) -> ExecutionId:
        """Submit an execution of the activity, or the one that `event` begins."""
        new = new_execution(event or created(due_at=self.now), number, at=self.now)
        assert await self.store.submit(new)
        await self.check()
        return new.execution_id

    async def submit_many(self, events: Sequence[Created], first: int = 1) -> list[ExecutionId]:
        """Submit executions, numbered from `first`, without a check of each."""
        new = [new_execution(event, number, at=self.now) for number, event in enumerate(events, start=first)]
        assert all(await asyncio.gather(*[self.store.submit(one) for one in new]))
        return [one.execution_id for one in new]

    async def locked_ids(self, **of: object) -> list[ExecutionId]:
        """Lock what is due, and give what was."""
        return [held.execution_id for held in await self.lock(**of)]  # type: ignore[arg-type]

    async def steps(self, work: Awaitable[T]) -> tuple[int, T]:
        """Count the steps of the database's machine that a write takes: its cost, whatever the machine."""
        if isinstance(self.store, PostgresStore):
            work.close()  # type: ignore[attr-defined] - a coroutine that nobody will await
            pytest.skip("only SQLite counts its steps: see tests/integration/storage/test_query_plans.py")
        counted = 0

        def count() -> None:
            nonlocal counted
            counted += 1

        connection = self.store.writer._group_commit._thread._conn
        connection.set_progress_handler(count, 1)
        try:
            done = await work
        finally:
            connection.set_progress_handler(None, 0)
        return counted, done

    async def enlist(self, executor: ExecutorId = EXECUTOR, until: Instant = NEVER) -> None:
        """Make an executor known, with a lease until then, unless it is known."""
        known = {one.executor_id for one in await self.store.reads.executors(Instant(0), 100)}
        if executor not in known:
            await self.store.register_executor(NewExecutor(executor, "host"), self.now, until)

    async def die(self, executor: ExecutorId = EXECUTOR) -> None:
        """Have everybody know that an executor is dead."""
        await self.enlist(executor)
        await self.store.end_lease(Beat("host", self.now, [executor], self.now, self.now))

    async def lock(self, *, executor: ExecutorId = EXECUTOR, checked: bool = True, **of: object) -> list[Held]:
        """Lock what is due; unless `checked`, without a look at every row after it."""
        await self.enlist(executor)
        held = await self.store.lock(self.request(executor=executor, **of))  # type: ignore[arg-type]
        if checked:
            await self.check()
        return held

    def request(
        self,
        *,
        executor: ExecutorId = EXECUTOR,
        limit: int = 10,
        runnable: Mapping[str, str] | Sequence[tuple[str, str]] = ALLOWED,
        at: Instant | None = None,
        labels: Collection[str] = (),
        abi: int = HOST_ABI,
        generation: int = 1 << 62,
    ) -> LockRequest:
        """Ask for what is due, as an executor that is known."""
        known = runnable.items() if isinstance(runnable, Mapping) else runnable
        functions = [Runnable(ffqn, digest, _Locking(executor, digest)) for ffqn, digest in known]
        return LockRequest(
            executor, at or self.now, limit, functions, self._new_run, frozenset(labels), abi, generation
        )

    async def start(self, event: Created | None = None, number: int = 1) -> RunScript:
        """Submit and lock one execution."""
        started = await self.submit(event, number)
        (held,) = [held for held in await self.lock() if held.execution_id == started]
        return RunScript(held)

    async def workflow(self, number: int = 1) -> RunScript:
        """Submit and lock a workflow."""
        return await self.start(created(WORKFLOW, params=(10, 3), due_at=self.now), number)

    async def append(self, made: Append) -> None:
        await self.store.append(made).durable()
        await self.check()

    async def release(self, run: RunScript, *, reason: str = "stopping", wait: timedelta = timedelta()) -> None:
        due_at = Instant(self.now + wait // timedelta(microseconds=1))
        await self.store.release(Release(run.execution_id, run.run_id, reason, self.now, due_at))
        await self.check()

    async def cancel(self, execution: ExecutionId) -> None:
        await self.store.request_cancellation(execution, self.now)
        await self.check()

    async def finish_cancelled(self, execution: ExecutionId, record: FailureRecord) -> CancellationEnd:
        ended = await self.store.finish_cancelled(execution, self.now, record)
        await self.check()
        return ended

    async def fire(self, limit: int = 100) -> int:
        fired = await self.store.fire_delays(self.now, limit)
        await self.check()
        return fired

    async def row(self, execution: ExecutionId) -> Summary:
        return await self.store.reads.summary(execution)

    async def log(self, execution: ExecutionId) -> list[Entry]:
        return await self.store.reads.entries(execution, 0, 10_000)

    async def types(self, execution: ExecutionId) -> list[str]:
        """Give the types of the events of a log."""
        return [str(entry.event.__struct_config__.tag) for entry in await self.log(execution)]

    async def responses(self, execution: ExecutionId) -> list[Response]:
        return await self.store.reads.responses(execution, 0, 10_000)

    def states(self, execution: ExecutionId) -> list[StateChange]:
        """Give what was published of an execution's state."""
        return [c for c in self.changes if isinstance(c, StateChange) and c.execution_id == execution]

    def delivered(self, execution: ExecutionId) -> list[Response]:
        """Give the responses that were published."""
        return [c.response for c in self.changes if isinstance(c, ResponseChange) and c.execution_id == execution]

    async def check(self) -> None:
        """Compare every row with what its log and its responses say."""
        rows = (await self.store.reads.summaries(ListFilter(limit=1_000))).rows
        for listed in rows:
            row = await self.row(listed.execution_id) if listed.ending and not listed.outcome else listed
            await check_stored(self.store, row.execution_id)

    def _new_run(self) -> RunId:
        self._runs += 1
        return run_id(self._runs)


class _Locking(msgspec.Struct, frozen=True):
    executor: ExecutorId
    digest: str

    def __call__(self, run: RunId, attempt: int) -> Locked:
        return msgspec.structs.replace(locked_event(1, attempt, self.executor, digest=self.digest), run_id=run)


async def check_stored(store: SqlStore, execution: ExecutionId) -> None:
    """Assert that what is stored of an execution follows from its log, in one snapshot."""

    def damage(connection: Connection) -> list[Damage]:
        with connection.snapshot():
            return list(check_execution(connection, execution, deep=True))

    assert await store.reads._on_connection(damage) == []


def first() -> ExecutionId:
    return execution_id(1)
