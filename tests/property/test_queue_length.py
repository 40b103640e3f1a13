"""How many wait is counted as they come and go: after any operations it is what a count over the table gives."""

import asyncio
import contextlib
import os
import random
from collections.abc import Awaitable, Callable

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from obelisk_daemon.errors import CallerError, ConflictError, QueueFullError
from obelisk_daemon.execution.events import Finished, Schedule, TemporarilyFailed
from obelisk_daemon.ids import ExecutionId, FailureId
from obelisk_daemon.storage.generations import AllowedFunction, QueueLimit
from tests.building import (
    ACTIVITY,
    DIGEST,
    OK,
    WORKFLOW,
    RunScript,
    created,
    execution_id,
    failure,
    history,
    new_execution,
)
from tests.conformance.world import World
from tests.stores import Place, Places

EXAMPLES = 400 if os.environ.get("OBELISK_SOAK") else 40
"""On each kind of database."""


class Life:
    """A store, and what may happen to it; what it happens to is drawn."""

    def __init__(self, world: World, seed: int) -> None:
        self.world = world
        self._random = random.Random(seed)
        self._ids: list[ExecutionId] = []
        self._runs: list[RunScript] = []
        self._asked: dict[ExecutionId, int] = {}
        self._number = 0
        self._generation = 1

    @property
    def operations(self) -> list[Callable[[], Awaitable[object]]]:
        return [
            self.submit,
            self.submit,
            self.lock,
            self.release,
            self.pause,
            self.unpause,
            self.cancel,
            self.finish_cancelled,
            self.finish,
            self.fail,
            self.stub,
            self.call,
            self.schedule,
            self.activate,
            self.fire,
        ]

    async def check(self) -> None:
        wrong = await self.world.store.reads._on_connection(lambda c: c.execute("wrong_queue_lengths").fetchall())
        assert wrong == []

    async def submit(self) -> None:
        self._number += 1
        event = created(
            self._random.choice([ACTIVITY, WORKFLOW]),
            due_at=self.world.now + self._random.randint(-5, 5),
            priority=self._random.choice([None, 2, 8]),
            component=self._random.choice(["a", "b"]),
        )
        with contextlib.suppress(QueueFullError):
            await self.world.store.submit(new_execution(event, self._number, at=self.world.now))
            self._ids.append(execution_id(self._number))

    async def lock(self) -> None:
        held = await self.world.lock(limit=self._random.randint(1, 3), checked=False)
        self._runs += [RunScript(one) for one in held]
        self._ids += [one.execution_id for one in held if one.execution_id not in self._ids]

    async def release(self) -> None:
        if run := self._run():
            await self.world.release(run)

    async def pause(self) -> None:
        if chosen := self._any():
            await self.world.store.pause(chosen, self.world.now)

    async def unpause(self) -> None:
        if chosen := self._any():
            await self.world.store.unpause(chosen, self.world.now, "x")

    async def cancel(self) -> None:
        if chosen := self._any():
            await self.world.store.request_cancellation(chosen, self.world.now)

    async def finish_cancelled(self) -> None:
        if chosen := self._any():
            self._number += 1
            record = failure(self._number, "cancelled")
            await self.world.store.finish_cancelled(chosen, self.world.now, record)

    async def finish(self) -> None:
        if run := self._run():
            await self.world.append(run.append(self.world.now, Finished(OK)))

    async def fail(self) -> None:
        if run := self._run():
            event = TemporarilyFailed(1, "x", self.world.now, "trap", FailureId("Err_x"))
            await self.world.append(run.append(self.world.now, event))

    async def stub(self) -> None:
        if chosen := self._any():
            await self.world.store.finish_stub(chosen, ACTIVITY, OK, self.world.now)

    async def call(self) -> None:
        if (run := self._run()) and run.state.status == "locked":
            await self.world.append(run.call(self.world.now, self._next(run), keep=False))

    async def schedule(self) -> None:
        if run := self._run():
            self._number += 1
            scheduled = execution_id(self._number)
            event = Schedule(scheduled, ACTIVITY, [10], ("now", 0), self.world.now)
            new = new_execution(created(component="a"), self._number, at=self.world.now)
            made = run.append(self.world.now, *history(event), Finished(OK), scheduled=(new,))
            await self.world.append(made)
            self._ids.append(scheduled)

    async def activate(self) -> None:
        self._generation += 1
        draw = self._random.choice
        functions = {ffqn: AllowedFunction(DIGEST, draw(["a", "b"]), priority=draw([3, 5])) for ffqn in _FUNCTIONS}
        gone = draw([None, None, ACTIVITY])
        allowed = {ffqn: one for ffqn, one in functions.items() if ffqn != gone}
        limits = {
            name: QueueLimit(draw([None, 2]), draw([None, 1, 4]), draw(["reject", "evict-oldest"]))
            for name in ("a", "b", "all")
        }
        await self.world.activate(self._generation, allowed, **limits)

    async def fire(self) -> None:
        await self.world.fire()

    def _any(self) -> ExecutionId | None:
        return self._random.choice(self._ids) if self._ids else None

    def _run(self) -> RunScript | None:
        return self._runs.pop(self._random.randrange(len(self._runs))) if self._runs else None

    def _next(self, run: RunScript) -> int:
        self._asked[run.execution_id] = self._asked.get(run.execution_id, 0) + 1
        return self._asked[run.execution_id]


_FUNCTIONS = (ACTIVITY, WORKFLOW)


async def live(seed: int, chosen: list[int], place: Place) -> None:
    async with place.open() as store:
        life = Life(World(store), seed)
        await life.world.activate(1, {ffqn: AllowedFunction(DIGEST, "a") for ffqn in _FUNCTIONS})
        for choice in chosen:
            with contextlib.suppress(ConflictError, CallerError):
                await life.operations[choice]()
            await life.check()


# each example has a database of its own
@settings(max_examples=EXAMPLES, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 1 << 30), chosen=st.lists(st.integers(0, 14), max_size=40))
def test_the_counted_length_of_a_queue_is_that_of_the_queue(places: Places, seed: int, chosen: list[int]) -> None:
    with places.new() as place:
        asyncio.run(live(seed, chosen, place))
