"""What a daemon writes, in a mix drawn from a seed and several writes at once."""

import asyncio
import random
from collections.abc import Awaitable
from contextlib import suppress
from datetime import timedelta

from obelisk_daemon.errors import CallerError
from obelisk_daemon.execution.events import (
    CancellationRequested,
    ChildFinished,
    Created,
    Event,
    Finished,
    Paused,
    TemporarilyFailed,
    Unlocked,
)
from obelisk_daemon.ids import ExecutionId, ExecutorId, FailureId
from obelisk_daemon.storage.audit import AuditEntry
from obelisk_daemon.storage.generations import AllowedFunction, Generation, StoredComponent
from obelisk_daemon.storage.records import (
    Append,
    Change,
    Held,
    LogLine,
    NewResponse,
    Release,
    ResponseChange,
    VersionConflictError,
)
from obelisk_daemon.storage.sql.store import SqlStore
from obelisk_daemon.storage.upkeep import NewExecutor
from tests.building import (
    ACTIVITY,
    DIGEST,
    NEVER,
    OK,
    SECOND,
    WORKFLOW,
    RunScript,
    created,
    execution_id,
    new_execution,
)
from tests.conformance.world import World
from tests.disk.acknowledged import Acknowledged, code_of
from tests.fakes.clock import ManualClock


class Load:
    """Lives on from one store to the next, as a daemon does that is started again."""

    def __init__(self, seed: int) -> None:
        self.acknowledged = Acknowledged()
        self._random = random.Random(seed)
        self._clock = ManualClock()
        self._number = 0
        self._locked = 0
        self._lives = 0
        self._runs: list[Held] = []
        self._hot: dict[ExecutionId, RunScript] = {}
        self._awake: list[ExecutionId] = []

    async def drive(self, store: SqlStore, waves: int) -> None:
        """Take over what an earlier life left, and write for so many waves.

        Raises:
            StorageUnavailableError: the disk takes no more.
            OutcomeUnknownError: it didn't say if it took the last.
        """
        self.world = World(store)
        self.world.clock = self._clock
        self.world._runs = self._locked
        store.subscribe(self._see)
        self._runs, self._hot, self._awake = [], {}, []
        self._lives += 1
        self._executor = ExecutorId(f"Exr_{self._lives:026d}")
        try:
            await self._take_over()
            for _ in range(waves):
                self._clock.advance(timedelta(milliseconds=self._random.randint(1, 900)))
                await self._wave()
        finally:
            self._locked = self.world._runs

    async def _take_over(self) -> None:
        store, now = self.world.store, self.world.now
        if await store.active_generation() is None:
            await self._activate()
        await store.end_all_leases()
        dead = await store.dead_executors(now)
        for lost in await store.lost_runs(dead, 1_000):
            ending = Unlocked("lost", now)
            await store.end_lost_run(lost, ending, now)
            self._note_event(lost.execution_id, lost.state.version, ending)
        await store.release_hot(dead)
        await store.register_executor(NewExecutor(self._executor, "host"), now, NEVER)

    async def _wave(self) -> None:
        writes = [self._submit() for _ in range(self._random.randint(1, 4))]
        writes += [self._step(held) for held in self._runs]
        writes += [self._wake(known) for known in dict.fromkeys(self._awake)]
        self._runs, self._awake = [], []
        others = [
            self._lock,
            self._lock,
            self._lock,
            self._fire,
            self._cancel,
            self._pause,
            self._audit,
            self._activate,
        ]
        writes += [self._random.choice(others)() for _ in range(3)]
        for answer in await asyncio.gather(*map(_unless_refused, writes), return_exceptions=True):
            if isinstance(answer, BaseException):
                raise answer

    def _see(self, change: Change) -> None:
        if isinstance(change, ResponseChange):
            self._awake.append(change.execution_id)

    async def _submit(self) -> None:
        self._number += 1
        ffqn, size = self._random.choice([ACTIVITY, WORKFLOW]), self._random.choice([3, 300, 3_000])
        event = created(ffqn, params=[self._random.randbytes(size).hex()], due_at=self.world.now)
        new = new_execution(event, self._number, at=self.world.now)
        await self.world.store.submit(new)
        self._note_event(new.execution_id, 0, event)

    async def _lock(self) -> None:
        request = self.world.request(executor=self._executor, limit=self._random.randint(1, 6))
        for held in await self.world.store.lock(request):
            self._note_event(held.execution_id, held.state.version - 1, held.locked)
            self._runs.append(held)

    async def _step(self, held: Held) -> None:
        run, now = RunScript(held), self.world.now
        chance = self._random.random()
        if held.created.terms is not None:
            await self._step_of_workflow(run, chance)
        elif chance < 0.15:
            failed = TemporarilyFailed(held.locked.attempt, "x", now, "trap", FailureId("Err_x"))
            await self._append(run.append(now, failed))
        elif chance < 0.25:
            await self.world.store.release(Release(held.execution_id, held.run_id, "stopping", now, now))
        else:
            await self._finish(run, held.created)

    async def _step_of_workflow(self, run: RunScript, chance: float) -> None:
        now, is_new, keep = self.world.now, run.state.version == 2, self._random.random() < 0.5
        if not is_new:
            await self._append(run.append(now, Finished(OK)))
            return
        if chance < 0.5:
            made = run.call(now, 1, keep=keep)
        else:
            made = run.sleep(now, 1, now + self._random.randint(1, 2 * SECOND), keep=keep)
        if keep:
            self._hot[run.execution_id] = run
        await self._append(made)

    async def _finish(self, run: RunScript, event: Created) -> None:
        now = self.world.now
        lines = tuple(
            LogLine(now, "info", "x" * self._random.randint(0, 900)) for _ in range(self._random.randint(0, 3))
        )
        answer = None
        if event.parent is not None:
            answer = NewResponse(*event.parent, now, ChildFinished(run.execution_id, OK))
        await self._append(run.append(now, Finished(OK), logs=lines, response=answer))

    async def _wake(self, known: ExecutionId) -> None:
        run = self._hot.pop(known, None)
        if run is not None:
            await self._append(run.append(self.world.now, Finished(OK)))

    async def _append(self, made: Append) -> None:
        await self.world.store.append(made).durable()
        for entry in made.entries:
            self._note_event(made.execution_id, entry.version, entry.event)
        for child in made.children:
            self._note_event(child.execution_id, 0, child.created)
        if made.response is not None:
            self.acknowledged.responses.append((made.response.execution_id, made.response.item))
        self.acknowledged.lines[made.execution_id] += len(made.logs)

    async def _fire(self) -> None:
        fired = await self.world.store.fire_delays(self.world.now, 100)
        self._note()
        self.acknowledged.fired += fired

    async def _cancel(self) -> None:
        if self._number:
            known = execution_id(self._random.randint(1, self._number))
            await self.world.store.request_cancellation(known, self.world.now)
            self._note()
            self.acknowledged.types.add((known, CancellationRequested))

    async def _pause(self) -> None:
        if self._number:
            known = execution_id(self._random.randint(1, self._number))
            await self.world.store.pause(known, self.world.now)
            self._note()
            self.acknowledged.types.add((known, Paused))

    async def _audit(self) -> None:
        entry = AuditEntry(at=self.world.now, actor="a", peer="p", role="r", action="x", subject="s")
        self.acknowledged.audited.append(await self.world.store.audit_begin(entry))
        self._note()

    async def _activate(self) -> None:
        active = await self.world.store.active_generation()
        number = 1 if active is None else active.number + 1
        await activate(self.world, number, self._random.randbytes(self._random.randint(1, 40_000)))
        self.acknowledged.generations.append(number)
        self._note()

    def _note_event(self, execution: ExecutionId, version: int, event: Event) -> None:
        self.acknowledged.events[execution, version] = event
        self._note()

    def _note(self) -> None:
        self.acknowledged.writes += 1


async def activate(world: World, number: int, code: bytes) -> None:
    """Activate a generation that has new code beside what the load runs."""
    allowed = {ffqn: AllowedFunction(DIGEST, "fibo") for ffqn in (ACTIVITY, WORKFLOW)}
    generation = Generation(
        number=number,
        activated_at=world.now,
        manifest=b"manifest",
        content_hash=f"hash-{number}",
        allowed=allowed,
        components={"fibo": DIGEST, "new": code_of(number)},
    )
    codes = [StoredComponent(DIGEST, b"code"), StoredComponent(code_of(number), code)]
    await world.store.activate(generation, codes)


async def _unless_refused(write: Awaitable[None]) -> None:
    """Carry out a write that may come too late: its execution has ended, or another write was first."""
    with suppress(CallerError, VersionConflictError):
        await write
