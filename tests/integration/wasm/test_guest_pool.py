"""Room that is kept for small guests: what one leaves in it no other one finds, and who finds none gets its own."""

import asyncio
from collections.abc import Iterator

import pytest

from obelisk_daemon.wasm.component import Component
from obelisk_daemon.wasm.engine import Engines
from obelisk_daemon.wasm.guest import Guest, GuestLimits, Returned
from obelisk_daemon.wasm.guest_pool import Pool, make_pool
from obelisk_daemon.wasm.linker import Binding, LinkedComponent
from obelisk_daemon.wasm.recipe import KINDS, EngineKind, EngineSettings
from tests.integration.wasm.loading import RUN, calling, computing, from_wat

pytestmark = pytest.mark.anyio
LIMITS = GuestLimits()
FAR = 5 << 20
"""An address in a memory's pages that are given back, and not cleared."""


@pytest.fixture
def two() -> Iterator[Engines]:
    """Give engines with room for two guests of each kind."""
    engines = Engines(EngineSettings(tick=None, compute_threads=0, pooled=2))
    yield engines
    engines.close()


def pool_of(engines: Engines, kind: EngineKind = "activity") -> Pool:
    pool = engines.pool(kind)
    assert pool is not None
    return pool


def engine_of(guest: Guest) -> int:
    binding: Binding = guest._linked
    return binding.engine


async def parked(engines: Engines, guests: int) -> list[int]:
    """Have so many guests wait for the host at once; give the engine of each, in the order they were made."""
    found: list[int] = []
    going = asyncio.Event()

    async def ask(guest: Guest, n: int) -> int:
        found.append(engine_of(guest))
        await going.wait()
        return n

    linked = LinkedComponent(from_wat(engines, calling("(call $ask (i32.const 7))")), lambda *_: ask)
    running = [asyncio.create_task(linked.run(RUN, [], None, LIMITS)) for _ in range(guests)]
    async with asyncio.timeout(10):
        while len(found) < guests:
            await asyncio.sleep(0)
    going.set()
    assert await asyncio.gather(*running) == [Returned(7)] * guests
    return found


@pytest.mark.parametrize("kind", KINDS)
async def test_a_guest_finds_nothing_of_the_one_before_it(kind: EngineKind) -> None:
    engines = Engines(EngineSettings(tick=None, compute_threads=0, pooled=1))
    left = " ".join(
        f"(local.set $found (i32.or (local.get $found) (i32.load (i32.const {address}))))"
        f"(i32.store (i32.const {address}) (i32.const 77))"
        for address in (0, 40_000, 70_000, FAR)
    )
    body = f"""(local $found i32) {left}
      (if (ref.is_null (table.get $t (i32.const 3))) (then) (else (local.set $found (i32.const 1))))
      (table.set $t (i32.const 3) (ref.func $f))
      (local.set $found (i32.or (local.get $found) (global.get $g)))
      (global.set $g (i32.const 1))
      (local.get $found)"""
    parts = f"""(memory {(FAR >> 16) + 1}) (table $t 10 funcref) (func $f) (elem declare func $f)
      (global $g (mut i32) (i32.const 0))"""
    linked = LinkedComponent(from_wat(engines, computing(body, parts), kind), lambda *_: None)
    assert [await linked.run(RUN, [], None, LIMITS) for _ in range(3)] == [Returned(0)] * 3
    assert linked._pooled is not None
    engines.close()


async def test_what_a_component_begins_with_is_there_again_for_each_guest(two: Engines) -> None:
    parts = '(memory 1) (data (i32.const 8) "\\07")'
    body = "(i32.load8_u (i32.const 8)) (i32.store (i32.const 8) (i32.const 0))"
    linked = LinkedComponent(from_wat(two, computing(body, parts)), lambda *_: None)
    assert [await linked.run(RUN, [], None, LIMITS) for _ in range(5)] == [Returned(7)] * 5


async def test_guests_beyond_the_pool_get_room_of_their_own_and_later_ones_find_it_again(two: Engines) -> None:
    pool, own = pool_of(two), two.address("activity")
    assert await parked(two, 4) == [pool.address, pool.address, own, own]
    assert pool.free == 2
    assert await parked(two, 1) == [pool.address]


async def test_a_guest_that_is_cancelled_or_traps_gives_its_room_back(two: Engines) -> None:
    asked = asyncio.Event()

    async def wait(_guest: Guest, _n: int) -> int:
        asked.set()
        await asyncio.Event().wait()
        return 0

    linked = LinkedComponent(from_wat(two, calling("(call $ask (i32.const 7))")), lambda *_: wait)
    running = asyncio.create_task(linked.run(RUN, [], None, LIMITS))
    await asked.wait()
    assert pool_of(two).free == 1
    running.cancel()
    await asyncio.wait([running])
    trapping = LinkedComponent(from_wat(two, computing("unreachable")), lambda *_: None)
    await trapping.run(RUN, [], None, LIMITS)
    assert pool_of(two).free == 2


@pytest.mark.parametrize(
    "parts",
    ["(memory 1) (memory 1) (memory 1)", "(table 1 funcref)" * 5],
    ids=["memories", "tables"],
)
async def test_a_guest_with_more_than_a_slot_has_gets_room_of_its_own(two: Engines, parts: str) -> None:
    linked = LinkedComponent(from_wat(two, computing("i32.const 7", parts)), lambda *_: None)
    assert await linked.run(RUN, [], None, LIMITS) == Returned(7)
    assert (linked._pooled, linked._pool) == (None, None)


async def test_guests_of_a_large_component_get_room_of_their_own(two: Engines) -> None:
    small = from_wat(two, computing("i32.const 7"))
    large = Component(two, "activity", "sha256:large", small.handle, size=2 << 20)
    linked = LinkedComponent(large, lambda *_: None)
    assert await linked.run(RUN, [], None, LIMITS) == Returned(7)
    assert linked._pooled is None


@pytest.mark.parametrize("kind", KINDS)
async def test_memories_and_tables_grow_as_far_in_the_pool_as_elsewhere(kind: EngineKind) -> None:
    grown = []
    for pooled in (0, 1):
        engines = Engines(EngineSettings(tick=None, compute_threads=0, pooled=pooled))
        body = """(local $n i32)
          (loop $more (br_if $more (i32.ne (memory.grow (i32.const 64)) (i32.const -1))))
          (loop $more (br_if $more (i32.ne (table.grow $t (ref.null func) (i32.const 1000)) (i32.const -1))))
          (i32.add (i32.mul (memory.size) (i32.const 1000000)) (table.size $t))"""
        text = computing(body, "(memory 1) (table $t 0 funcref)")
        linked = LinkedComponent(from_wat(engines, text, kind), lambda *_: None)
        grown.append(await linked.run(RUN, [], None, GuestLimits(memory=256 << 16)))
        assert (linked._pooled is None) == (pooled == 0)
        engines.close()
    assert grown[0] == grown[1]


def test_without_room_in_the_address_space_there_is_no_pool() -> None:
    assert make_pool("activity", EngineSettings(pooled=1 << 20)) is None
    assert make_pool("activity", EngineSettings(pooled=0)) is None
