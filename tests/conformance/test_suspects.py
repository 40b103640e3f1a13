"""Promises about what ran when its daemon died: it is started alone, and blamed only for deaths meanwhile."""

from collections.abc import Collection, Mapping
from datetime import timedelta

import msgspec
import pytest

from obelisk_daemon.execution.events import Finished, HistoryEvent, JoinSetCreate, Locked, Paused, TemporarilyFailed
from obelisk_daemon.executor.takeover import Recovered, take_over
from obelisk_daemon.ids import ExecutionId, ExecutorId
from obelisk_daemon.storage.generations import AllowedFunction
from obelisk_daemon.storage.records import LockRequest, Runnable
from obelisk_daemon.storage.suspects import Alone
from tests.building import (
    ACTIVITY,
    DIGEST,
    OK,
    POLICY,
    WORKFLOW,
    RunScript,
    created,
    execution_id,
    id_source,
    locked,
    run_id,
)
from tests.conformance.world import ALLOWED, World

pytestmark = pytest.mark.anyio
PATIENT = msgspec.structs.replace(POLICY, max_retries=100, initial=0.001, max=0.001, jitter=0.0)
SOON = timedelta(minutes=1)
"""Longer than any backoff of a retry."""


class Lives:
    """Daemons, each of which has an executor of its own and dies in the end."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._number = 0
        self._runs = 500
        self.executor = self._next()

    def _next(self) -> ExecutorId:
        self._number += 1
        return ExecutorId(f"Exr_{self._number:026}")

    async def death(self) -> Recovered:
        """Have the daemon die, and the next one take over; give what that found."""
        world = self.world
        await world.die(self.executor)
        self.executor = self._next()
        await world.enlist(self.executor)
        recovered = await take_over(world.store, world.clock, id_source(world.clock))
        await world.check()
        world.clock.advance(timedelta(milliseconds=1))  # the backoff
        return recovered

    async def shared(self, limit: int = 10) -> list[RunScript]:
        """Lock among others what is due."""
        request = self._request(limit, ALLOWED, ())
        return [RunScript(held) for held in await self.world.store.lock(request)]

    async def alone(self, allowed: Mapping[str, str] = ALLOWED, labels: Collection[str] = ()) -> Alone | None:
        """Lock the suspect whose turn it is, when the backoff of all is over."""
        world = self.world
        due_at = await world.store.next_suspect(world.now)
        if due_at is not None and due_at > world.now:
            world.clock.advance(timedelta(microseconds=due_at - world.now))
        found = await world.store.lock_suspect(self._request(1, allowed, labels))
        await world.check()
        return found

    def _request(self, limit: int, allowed: Mapping[str, str], labels: Collection[str]) -> LockRequest:
        def locking(run: str, attempt: int) -> Locked:
            lock = locked(policy=PATIENT)
            return msgspec.structs.replace(lock, executor_id=self.executor, run_id=run, attempt=attempt)

        def new_run() -> str:
            self._runs += 1
            return run_id(self._runs)

        functions = [Runnable(ffqn, digest, locking) for ffqn, digest in allowed.items()]
        return LockRequest(self.executor, self.world.now, limit, functions, new_run, frozenset(labels))  # type: ignore[arg-type]


@pytest.fixture
async def lives(world: World) -> Lives:
    lives = Lives(world)
    await world.enlist(lives.executor)
    return lives


async def running(lives: Lives, *numbers: int) -> list[RunScript]:
    """Have executions run among others."""
    for number in numbers:
        await lives.world.submit(created(due_at=lives.world.now), number)
    return await lives.shared()


async def suspected(lives: Lives, *numbers: int) -> None:
    """Have a daemon die while these run."""
    await running(lives, *numbers)
    await lives.death()


def failed(alone: Alone) -> TemporarilyFailed:
    """End its attempt, and have the next one due at once."""
    return TemporarilyFailed(alone.held.locked.attempt, "no", alone.held.state.changed_at, "error")


async def test_what_ran_at_a_death_is_started_alone_once_and_among_others_only_later(lives: Lives) -> None:
    await suspected(lives, 1, 2)
    assert await lives.shared() == []
    first, second = await lives.alone(), await lives.alone()
    assert first is not None
    assert second is not None
    assert [first.held.execution_id, second.held.execution_id] == [execution_id(1), execution_id(2)]
    assert first.turn == 1
    assert first.held.locked.attempt == 2
    assert await lives.alone() is None


async def test_what_had_no_turn_starts_among_others(lives: Lives) -> None:
    await suspected(lives, 1)
    lives.world.clock.advance(SOON)
    assert await lives.alone() is None
    assert [run.execution_id for run in await lives.shared()] == [execution_id(1)]


async def test_three_deaths_while_it_is_alone_pause_it(lives: Lives) -> None:
    await suspected(lives, 1)
    for _ in range(2):
        assert await lives.alone() is not None
        assert (await lives.death()).quarantined == ()
    assert await lives.alone() is not None
    recovered = await lives.death()
    assert (recovered.quarantined, recovered.lost_runs) == ((execution_id(1),), 1)
    row = await lives.world.row(execution_id(1))
    assert (row.status, row.lifecycle, row.pause_reason) == ("pending_at", "paused", "quarantined")
    assert (await lives.world.log(execution_id(1)))[-1].event == Paused(
        "quarantined", message="3 daemons in a row died while it ran alone"
    )
    assert await lives.alone() is None
    lives.world.clock.advance(SOON)
    assert await lives.shared() == []


async def test_an_operator_who_resumes_it_starts_anew(lives: Lives) -> None:
    await suspected(lives, 1)
    for _ in range(3):
        assert await lives.alone() is not None
        await lives.death()
    assert await lives.world.store.unpause(execution_id(1), lives.world.now, "operator")
    lives.world.clock.advance(SOON)
    assert len(await lives.shared()) == 1
    for _ in range(3):
        assert (await lives.death()).quarantined == ()
        assert await lives.alone() is not None
    assert (await lives.death()).quarantined == (execution_id(1),)


async def test_deaths_among_others_never_count(lives: Lives) -> None:
    await running(lives, 1, 2)
    for _ in range(20):
        assert (await lives.death()).quarantined == ()
        lives.world.clock.advance(SOON)
        assert len(await lives.shared()) == 2


async def test_a_death_after_it_was_no_longer_alone_does_not_count(lives: Lives) -> None:
    await suspected(lives, 1)
    for turn in range(1, 6):
        alone = await lives.alone()
        assert alone is not None
        assert alone.turn == turn
        await lives.world.store.end_turn(alone.held, acquitted=False)
        assert (await lives.death()).quarantined == ()


async def test_an_attempt_that_ends_clears_it(lives: Lives) -> None:
    world = lives.world
    await suspected(lives, 1)
    for _ in range(5):
        for _ in range(2):
            assert await lives.alone() is not None
            assert (await lives.death()).quarantined == ()
        alone = await lives.alone()
        assert alone is not None
        run = RunScript(alone.held)
        await world.append(run.append(world.now, failed(alone)))
        await world.store.end_turn(alone.held, acquitted=True)
        assert await lives.alone() is None
        assert len(await lives.shared()) == 1
        assert (await lives.death()).quarantined == ()


async def test_an_attempt_that_ended_clears_it_also_where_nobody_could_note_that(lives: Lives) -> None:
    world = lives.world
    await suspected(lives, 1)
    for _ in range(2):
        assert await lives.alone() is not None
        await lives.death()
    alone = await lives.alone()
    assert alone is not None
    await world.append(RunScript(alone.held).append(world.now, failed(alone)))
    assert len(await lives.shared()) == 1
    await lives.death()
    for _ in range(2):
        assert await lives.alone() is not None
        assert (await lives.death()).quarantined == ()


async def test_a_workflow_that_got_on_is_suspected_too(lives: Lives) -> None:
    world = lives.world
    await world.submit(created(WORKFLOW, params=(10, 3), due_at=world.now))
    (run,) = await lives.shared()
    await world.append(run.append(world.now, HistoryEvent(JoinSetCreate("o:1"))))
    await lives.death()
    for _ in range(2):
        assert await lives.alone() is not None
        await lives.death()
    assert await lives.alone() is not None
    assert (await lives.death()).quarantined == (execution_id(1),)
    assert (await world.row(execution_id(1))).pause_reason == "quarantined"


async def test_who_was_alone_at_a_death_comes_first_then_who_was_alone_most_rarely(lives: Lives) -> None:
    await suspected(lives, 1, 2, 3)
    first = await lives.alone()
    assert first is not None
    await lives.world.store.end_turn(first.held, acquitted=False)
    await lives.death()
    assert await next_of(lives) == execution_id(2)
    await lives.death()
    assert [await next_of(lives) for _ in range(3)] == [execution_id(2), execution_id(3), execution_id(1)]


async def next_of(lives: Lives) -> ExecutionId:
    alone = await lives.alone()
    assert alone is not None
    return alone.held.execution_id


async def test_what_is_let_go_by_a_clean_stop_is_no_suspect(lives: Lives) -> None:
    (run,) = await running(lives, 1)
    await lives.world.release(run)
    assert (await lives.death()).lost_runs == 0
    assert await lives.alone() is None
    assert len(await lives.shared()) == 1


async def test_a_suspect_is_only_taken_by_who_may_run_it(lives: Lives) -> None:
    world = lives.world
    await world.allow(2, labels=("gpu",))
    await world.submit(created(due_at=world.now))
    request = lives._request(1, {ACTIVITY: DIGEST}, {"gpu"})
    assert len(await world.store.lock(request)) == 1
    await lives.death()
    assert await lives.alone(labels=()) is None
    assert await lives.alone({WORKFLOW: DIGEST}, labels=("gpu",)) is None
    assert await lives.alone(labels=("gpu",)) is not None


async def test_a_suspect_of_which_no_more_may_run_waits(lives: Lives) -> None:
    from obelisk_daemon.storage.generations import QueueLimit

    world = lives.world
    await world.activate(2, {ACTIVITY: AllowedFunction(DIGEST, "fibo")}, fibo=QueueLimit(1))
    await suspected(lives, 1)
    await world.submit(created(due_at=world.now), 2)
    assert len(await lives.shared()) == 1
    assert await lives.alone() is None


async def test_suspects_that_are_paused_cancelled_or_finished_have_no_turn(lives: Lives) -> None:
    world = lives.world
    await suspected(lives, 1, 2, 3)
    await world.store.pause(execution_id(1), world.now)
    await world.cancel(execution_id(2))
    alone = await lives.alone()
    assert alone is not None
    assert alone.held.execution_id == execution_id(3)
    await world.append(RunScript(alone.held).append(world.now, Finished(OK)))
    assert await world.store.next_suspect(world.now) is None


async def test_who_is_declared_dead_gets_no_suspect(lives: Lives) -> None:
    await suspected(lives, 1)
    await lives.world.die(lives.executor)
    assert await lives.alone() is None
