"""Promises about hosts, their leases, and what an operator asks of them."""

from datetime import timedelta

import pytest

from obelisk_daemon.clock import Instant, after
from obelisk_daemon.errors import NotFoundError
from obelisk_daemon.storage.hosts import Beat, KnownHost, NewHost
from obelisk_daemon.storage.upkeep import FORGOTTEN_AFTER, NewExecutor
from tests.building import EXECUTOR, OTHER_EXECUTOR
from tests.conformance.world import World
from tests.fakes.clock import START

pytestmark = pytest.mark.anyio
LEASE = timedelta(seconds=15)


async def register(world: World, host: str = "one") -> Instant | None:
    return await world.store.register_host(NewHost(host, "1.0"), world.now, after(world.now, LEASE))


async def register_again(world: World) -> None:
    """Have the host end and start again."""
    await world.store.end_lease(beat(world))
    assert await register(world) is None


def beat(world: World, host: str = "one") -> Beat:
    return Beat(host, START, [EXECUTOR, OTHER_EXECUTOR], world.now, after(world.now, LEASE))


async def test_a_host_is_known_with_its_version_and_lives_until_its_lease_ends(world: World) -> None:
    await register(world)
    (known,) = await world.store.hosts()
    until = after(world.now, LEASE)
    assert known == KnownHost("one", "1.0", world.now, world.now, until, generation=None, draining=False)
    assert [known.is_alive(at) for at in (Instant(until - 1), until)] == [True, False]


async def test_hosts_are_read_by_their_names(world: World) -> None:
    for host in ("two", "three", "one"):
        await register(world, host)
    assert [known.host for known in await world.store.reads.hosts()] == ["one", "three", "two"]


async def test_a_heartbeat_renews_the_lease_of_the_host_and_of_its_executors(world: World) -> None:
    await register(world)
    for executor in (EXECUTOR, OTHER_EXECUTOR):
        await world.store.register_executor(NewExecutor(executor, "one"), world.now, after(world.now, LEASE))
    world.clock.advance(timedelta(seconds=5))
    heard = await world.store.heartbeat(beat(world))
    assert (heard.dead, heard.is_known, heard.draining) == (frozenset(), True, False)
    (known,) = await world.store.hosts()
    assert (known.seen_at, known.lease_until) == (world.now, after(world.now, LEASE))
    assert {one.seen_at for one in await world.store.reads.executors(Instant(0), 10)} == {world.now}


async def test_a_heartbeat_tells_which_executors_are_gone(world: World) -> None:
    await register(world)
    await world.store.register_executor(NewExecutor(EXECUTOR, "one"), world.now, after(world.now, LEASE))
    assert (await world.store.heartbeat(beat(world))).dead == {OTHER_EXECUTOR}


async def test_a_host_says_which_generation_it_runs_and_a_new_start_has_not_said_so_yet(world: World) -> None:
    await register(world)
    await world.store.note_generation("one", 7)
    assert [known.generation for known in await world.store.hosts()] == [7]
    await register_again(world)
    assert [known.generation for known in await world.store.hosts()] == [None]


async def test_a_host_that_is_to_drain_hears_it_until_it_is_undone_and_a_new_start_too(world: World) -> None:
    await register(world)
    await world.store.set_draining("one", draining=True)
    await register_again(world)
    assert (await world.store.heartbeat(beat(world))).draining
    assert [known.draining for known in await world.store.hosts()] == [True]
    await world.store.set_draining("one", draining=False)
    assert not (await world.store.heartbeat(beat(world))).draining


async def test_a_host_that_nobody_knows_can_not_be_drained(world: World) -> None:
    with pytest.raises(NotFoundError, match="no host 'one'"):
        await world.store.set_draining("one", draining=True)


async def test_hosts_that_are_long_gone_are_forgotten_when_another_one_starts(world: World) -> None:
    await register(world)
    world.clock.advance(FORGOTTEN_AFTER + timedelta(seconds=1))
    await register(world, "two")
    assert [known.host for known in await world.store.hosts()] == ["two"]


async def test_a_name_that_a_living_daemon_has_is_not_given_to_another_one(world: World) -> None:
    await register(world)
    until = after(world.now, LEASE)
    world.clock.advance(LEASE - timedelta(seconds=1))
    assert await register(world) == until
    world.clock.advance(timedelta(seconds=1))
    assert await register(world) is None


async def test_a_host_whose_name_another_daemon_has_by_now_is_not_known_and_renews_nothing(world: World) -> None:
    await register(world)
    world.clock.advance(2 * LEASE)
    await register(world)
    until = after(world.now, LEASE)
    world.clock.advance(timedelta(seconds=1))
    assert not (await world.store.heartbeat(beat(world))).is_known
    assert [known.lease_until for known in await world.store.hosts()] == [until]


async def test_an_executor_whose_lease_has_ended_lives_on_until_somebody_declares_it_dead(world: World) -> None:
    await register(world)
    await world.enlist(EXECUTOR, after(world.now, LEASE))
    world.clock.advance(2 * LEASE)
    assert EXECUTOR not in (await world.store.heartbeat(beat(world))).dead
    world.clock.advance(2 * LEASE)
    await world.store.dead_executors(world.now)
    assert EXECUTOR in (await world.store.heartbeat(beat(world))).dead


async def test_an_executor_is_not_declared_dead_before_its_lease_ends(world: World) -> None:
    await world.enlist(EXECUTOR, after(world.now, LEASE))
    await world.submit()
    assert len(await world.lock()) == 1
    world.clock.advance(LEASE - timedelta(microseconds=1))
    assert await world.store.dead_executors(world.now) == []
    world.clock.advance(timedelta(microseconds=1))
    assert await world.store.dead_executors(world.now) == [EXECUTOR]


async def test_an_executor_that_is_dead_locks_nothing(world: World) -> None:
    await world.submit()
    await world.die(EXECUTOR)
    assert await world.lock(executor=EXECUTOR) == []
    assert len(await world.lock(executor=OTHER_EXECUTOR)) == 1


async def test_of_those_that_are_dead_only_those_are_named_that_hold_something(world: World) -> None:
    await world.die(OTHER_EXECUTOR)
    run = await world.workflow()
    await world.append(run.sleep(world.now, 1, world.now + 10))
    await world.store.end_all_leases()
    assert await world.store.dead_executors(world.now) == [EXECUTOR]
    await world.store.release_hot([EXECUTOR])
    assert await world.store.dead_executors(world.now) == []


async def test_what_was_answered_and_is_released_is_told_to_those_who_wait_for_work(world: World) -> None:
    run = await world.workflow()
    await world.append(run.sleep(world.now, 1, world.now))
    await world.fire()
    world.changes.clear()
    await world.store.release_hot([EXECUTOR])
    (change,) = world.states(run.execution_id)
    assert (change.status, change.is_held) == ("pending_at", False)
