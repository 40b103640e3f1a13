"""The pool of connections, over connections that only note what is done to them."""

import asyncio

import pytest

from obelisk_daemon.wasm.wasi.egress import Target
from obelisk_daemon.wasm.wasi.error_codes import HttpFailure
from obelisk_daemon.wasm.wasi.pool import Pool

pytestmark = pytest.mark.anyio
HERE = Target("http", "a.test", 80)
THERE = Target("http", "b.test", 80)


class FakeConnection:
    def __init__(self, target):
        self.target = target
        self.idle = True
        self.expired = False
        self.closed = False

    def is_idle(self):
        return self.idle

    def is_closed(self):
        return self.closed

    def has_expired(self):
        return self.expired

    async def aclose(self):
        self.closed = True


def pool(most=3, most_idle=3):
    return Pool(FakeConnection, most, most_idle)


async def give_back(pool, *connections):
    for connection in connections:
        await pool.give_back(connection, connection.target)


async def test_the_connection_given_back_last_is_taken_first():
    one = pool()
    first, second = await one.take(HERE, 1), await one.take(HERE, 1)
    await give_back(one, first, second)
    assert await one.take(HERE, 1) is second
    assert await one.take(HERE, 1) is first


async def test_a_connection_serves_only_the_server_that_it_goes_to():
    one = pool()
    await give_back(one, await one.take(HERE, 1))
    assert (await one.take(THERE, 1)).target == THERE


async def test_a_connection_that_its_server_has_closed_is_not_taken():
    one = pool()
    stale = await one.take(HERE, 1)
    await give_back(one, stale)
    stale.expired = True
    assert await one.take(HERE, 1) is not stale
    assert stale.closed


async def test_a_connection_in_the_middle_of_a_response_is_closed():
    one = pool()
    broken = await one.take(HERE, 1)
    broken.idle = False
    await give_back(one, broken)
    assert broken.closed
    assert await one.take(HERE, 1) is not broken


async def test_of_too_many_that_nobody_uses_the_oldest_is_closed():
    one = pool(most_idle=1)
    old, new = await one.take(HERE, 1), await one.take(THERE, 1)
    await give_back(one, old, new)
    assert (old.closed, new.closed) == (True, False)


async def test_one_that_nobody_uses_goes_for_one_to_another_server():
    one = pool(most=1)
    unused = await one.take(HERE, 1)
    await give_back(one, unused)
    assert (await one.take(THERE, 1)).target == THERE
    assert unused.closed


async def test_without_room_a_request_waits_for_a_connection_to_be_given_back():
    one = pool(most=1)
    used = await one.take(HERE, 1)
    waiting = asyncio.create_task(one.take(HERE, 60))
    await asyncio.sleep(0)
    assert not waiting.done()
    await give_back(one, used)
    assert await waiting is used


async def test_a_request_that_waits_too_long_is_told_that_there_are_too_many():
    one = pool(most=1)
    await one.take(HERE, 1)
    with pytest.raises(HttpFailure) as failed:
        await one.take(HERE, 0)
    assert failed.value.code == "connection_limit_reached"


async def test_one_that_waits_no_more_leaves_its_turn_to_the_next():
    one = pool(most=1)
    used = await one.take(HERE, 1)
    gone, next_one = (asyncio.create_task(one.take(HERE, 60)) for _ in range(2))
    await asyncio.sleep(0)
    await give_back(one, used)
    gone.cancel()
    assert await next_one is used


async def test_closing_closes_what_nobody_uses():
    one = pool()
    unused = await one.take(HERE, 1)
    await give_back(one, unused)
    await one.aclose()
    assert unused.closed
