"""Promises about what is locked as it is submitted: by the rules of the lock, or it waits to be locked as all else."""

import asyncio

import msgspec
import pytest

from obelisk_daemon.errors import ConflictError, QueueFullError
from obelisk_daemon.execution.events import Created, Entry
from obelisk_daemon.execution.state import apply
from obelisk_daemon.storage.generations import QueueLimit
from obelisk_daemon.storage.records import NewExecution
from obelisk_daemon.storage.sql import queueing
from tests.building import ACTIVITY, EXECUTOR, OTHER_DIGEST, created, locked, new_execution
from tests.conformance.world import World

pytestmark = pytest.mark.anyio


def held_by_executor(world: World, number: int = 1, event: Created | None = None, generation: int = 1) -> NewExecution:
    """Make an execution as an executor does that has a free slot for it."""
    new = new_execution(event or created(due_at=world.now), number, at=world.now)
    entry = Entry(1, world.now, msgspec.structs.replace(locked(number), executor_id=EXECUTOR, generation=generation))
    return msgspec.structs.replace(new, entries=(*new.entries, entry), state=apply(new.state, entry))


async def is_left(world: World, new: NewExecution) -> bool:
    """Submit it as new; tell if it waits to be locked."""
    submission = world.store.queue_submission(new)
    assert await submission.outcome() is True
    await world.check()
    row, is_left = await world.row(new.execution_id), new.execution_id in submission.ticket.left_unlocked
    assert (row.status, row.executor_id) == (("pending_at", None) if is_left else ("locked", EXECUTOR))
    assert await world.types(new.execution_id) == (["created"] if is_left else ["created", "locked"])
    return is_left


async def test_it_is_made_and_locked_in_one_commit(world: World) -> None:
    await world.enlist()
    before = world.store.writer.commits
    assert not await is_left(world, held_by_executor(world))
    assert world.store.writer.commits == before + 1
    (told,) = world.states(held_by_executor(world).execution_id)
    assert (told.is_new, told.is_held, told.has_begun) == (True, True, True)


async def test_an_outdated_executor_locks_nothing(world: World) -> None:
    await world.enlist()
    await world.activate(2, {ACTIVITY: OTHER_DIGEST})
    assert await is_left(world, held_by_executor(world))


async def test_an_executor_that_was_declared_dead_locks_nothing(world: World) -> None:
    await world.enlist()
    await world.die()
    assert await is_left(world, held_by_executor(world))


async def test_the_same_one_again_is_neither_made_nor_locked(world: World) -> None:
    await world.submit()
    await world.enlist()
    submission = world.store.queue_submission(held_by_executor(world))
    assert await submission.outcome() is False
    assert list(submission.ticket.left_unlocked) == [held_by_executor(world).execution_id]
    assert (await world.row(held_by_executor(world).execution_id)).status == "pending_at"


async def test_another_call_under_its_id_is_a_conflict_and_neither_is_locked(world: World) -> None:
    await world.submit()
    await world.enlist()
    other = held_by_executor(world, event=created(params=[11], due_at=world.now))
    submission = world.store.queue_submission(other)
    with pytest.raises(ConflictError):
        await submission.outcome()
    assert list(submission.ticket.left_unlocked) == [other.execution_id]


async def test_it_does_not_wait_so_no_limit_of_the_queue_counts_it(world: World) -> None:
    await world.enlist()
    await world.activate(2, fibo=QueueLimit(max_pending=1))
    submissions = [world.store.queue_submission(held_by_executor(world, number, generation=2)) for number in (1, 2)]
    await asyncio.gather(*[one.outcome() for one in submissions])
    await world.submit(number=3)
    with pytest.raises(QueueFullError):
        await world.submit(number=4)


async def test_it_has_the_priority_that_its_submitter_asked_for(world: World) -> None:
    await world.enlist()
    assert not await is_left(world, held_by_executor(world, event=created(priority=9, due_at=world.now)))
    assert (await world.row(held_by_executor(world).execution_id)).priority == 9


async def test_what_could_not_be_written_with_others_is_made_without_its_lock(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("a bug that one of them meets")

    monkeypatch.setattr(queueing, "submit_many", broken)
    await world.enlist()
    submission = world.store.queue_submission(held_by_executor(world))
    assert await submission.outcome() is True
    assert submission.ticket.error is not None, "whoever began to run it hears that it is not theirs"
    assert (await world.row(held_by_executor(world).execution_id)).status == "pending_at"
