"""Promises to those who count: what they are shown became durable, each turn once, with what it takes to time it."""

import asyncio
from datetime import timedelta

import pytest

from obelisk_daemon.clock import Instant, after
from obelisk_daemon.execution.events import Created, Finished, Locked, Unlocked
from obelisk_daemon.storage.postgres.store import PostgresStore
from obelisk_daemon.storage.records import Census, Recorded, Release, VersionConflictError
from tests.building import OK, RunScript, created, execution_id, failure, new_execution
from tests.conformance.world import World

pytestmark = pytest.mark.anyio
MINUTE = timedelta(minutes=1)


@pytest.fixture
def seen(world: World) -> list[Recorded]:
    found: list[Recorded] = []
    world.store.observe(found.append)
    return found


def events(seen: list[Recorded]) -> list[type]:
    return [type(entry.event) for recorded in seen for entry in recorded.entries]


async def test_a_submission_is_shown_once_also_when_it_is_repeated(world: World, seen: list[Recorded]) -> None:
    await world.submit()
    assert not await world.store.submit(new_execution(created(due_at=world.now), 1, at=world.now))
    assert events(seen) == [Created]
    assert seen[0].execution_id == execution_id(1)


async def test_a_lock_is_shown_with_the_time_since_when_it_was_due(world: World, seen: list[Recorded]) -> None:
    await world.submit()
    due_at = world.now
    world.clock.advance(MINUTE)
    await world.lock()
    assert events(seen) == [Created, Locked]
    assert seen[1].due_at == due_at
    assert seen[1].entries[0].created_at == after(due_at, MINUTE)


async def test_a_run_that_was_given_up_is_shown_with_the_time_since_when_it_was_locked(
    world: World, seen: list[Recorded]
) -> None:
    await world.submit()
    (held,) = await world.lock()
    locked_at = world.now
    world.clock.advance(MINUTE)
    await world.store.release(Release(held.execution_id, held.run_id, "stopping", world.now, world.now))
    assert events(seen) == [Created, Locked, Unlocked]
    assert (seen[2].locked_at, seen[2].from_outside) == (locked_at, True)


async def test_an_end_from_outside_is_shown_once(world: World, seen: list[Recorded]) -> None:
    execution = await world.submit()
    for expected in ("finished", "already_finished"):
        assert await world.store.finish_cancelled(execution, world.now, failure(kind="cancelled")) == expected
    assert events(seen) == [Created, Finished]
    assert (seen[1].locked_at, seen[1].from_outside) == (None, True)


async def test_what_is_refused_is_not_shown(world: World, seen: list[Recorded]) -> None:
    await world.submit()
    (held,) = await world.lock()
    await world.die()
    await world.store.finish_cancelled(held.execution_id, world.now, failure(kind="cancelled"))
    shown = len(seen)
    with pytest.raises(VersionConflictError):
        await world.store.append(RunScript(held).append(world.now, Finished(OK))).durable()
    assert len(seen) == shown


async def test_the_census_counts_by_component_and_state_and_tells_who_waits(world: World) -> None:
    start = world.now
    for number, wait in enumerate((0, 10, 20, 600), start=1):
        due_at = after(start, timedelta(seconds=wait))
        await world.store.submit(new_execution(created(due_at=due_at), number, at=start))
    await world.store.pause(execution_id(2), start)
    await world.lock(limit=1)
    at = after(start, timedelta(seconds=60))
    assert sorted(await world.store.reads.census(at), key=lambda one: (one.status, one.lifecycle)) == [
        Census("fibo", "locked", "active", 1, 0, None),
        Census("fibo", "pending_at", "active", 2, 1, after(start, timedelta(seconds=20))),
        Census("fibo", "pending_at", "paused", 1, 0, None),
    ]


async def test_what_has_finished_is_not_in_the_census(world: World) -> None:
    execution = await world.submit()
    await world.store.finish_cancelled(execution, world.now, failure(kind="cancelled"))
    assert await world.store.reads.census(Instant(world.now)) == []


async def test_the_sizes_are_those_of_the_files(world: World) -> None:
    await asyncio.gather(*[world.store.submit(new_execution(created(), number, at=world.now)) for number in range(50)])
    sizes = await world.store.reads.sizes()
    assert sizes.database + sizes.wal > 20_000
    if not isinstance(world.store, PostgresStore):  # whose disk is another machine's
        assert 0 < sizes.disk_free < sizes.disk
