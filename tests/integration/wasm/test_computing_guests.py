"""Guests that compute for long: they leave the loop, and come home for each host call."""

import asyncio
import threading

import pytest

from obelisk_daemon.wasm import abi
from obelisk_daemon.wasm.callbacks import GUESTS
from obelisk_daemon.wasm.engine import Engines
from obelisk_daemon.wasm.guest import Guest, GuestLimits, Returned
from obelisk_daemon.wasm.linker import LinkedComponent
from obelisk_daemon.wasm.recipe import KINDS, EngineSettings
from obelisk_daemon.wasm.scheduler import Fiber, Scheduler
from tests.integration.wasm.loading import COUNTER, FIBO, RUN, calling, counting, from_wat, load

pytestmark = pytest.mark.anyio

LIMITS = GuestLimits()
LONG = counting(150_000_000)
"""About a tenth of a second: many slices of 2 ms."""


class Watched(Scheduler):
    """Counts whole slices, and says when a guest goes to a compute thread."""

    def __init__(self, threads: int) -> None:
        super().__init__(threads)
        self.left = asyncio.Event()
        self.journeys = 0
        self.slices = 0

    def used_slice(self) -> None:
        self.slices += 1
        super().used_slice()

    async def compute(self, fiber: Fiber) -> None:
        self.journeys += 1
        self.left.set()
        await super().compute(fiber)


def make_engines(threads: int) -> tuple[Engines, Watched]:
    engines = Engines(EngineSettings(compute_threads=threads))
    engines.scheduler = watched = Watched(threads)
    return engines, watched


async def test_a_host_function_runs_on_the_loop_even_when_its_guest_computes_elsewhere() -> None:
    engines, scheduler = make_engines(2)
    threads = []

    def ask(guest: Guest, n: int) -> int:
        threads.append(threading.current_thread())
        assert not guest.away
        return n + 1

    async def ask_later(guest: Guest, n: int) -> int:
        await asyncio.sleep(0)
        return ask(guest, n)

    for function in (ask, ask_later):
        text = calling(f"{LONG} (drop (call $ask (i32.const 1))) {LONG} (call $ask (i32.const 7))", COUNTER)
        linked = LinkedComponent(from_wat(engines, text), lambda *_, f=function: f)
        assert await linked.run(RUN, [], None, LIMITS) == Returned(8)
    assert threads == [threading.current_thread()] * 4
    assert scheduler.journeys == 4
    engines.close()


async def test_what_the_host_raises_comes_home_with_the_guest() -> None:
    engines, scheduler = make_engines(1)

    def fail(_guest: Guest, _n: int) -> int:
        raise LookupError("ours")

    text = calling(f"{LONG} (call $ask (i32.const 7))", COUNTER)
    linked = LinkedComponent(from_wat(engines, text), lambda *_: fail)
    with pytest.raises(LookupError):
        await linked.run(RUN, [], None, LIMITS)
    assert scheduler.journeys == 1
    engines.close()


async def test_a_spinning_guest_on_a_compute_thread_is_cancelled_at_the_end_of_its_slice() -> None:
    engines, scheduler = make_engines(2)
    linked = LinkedComponent(load(engines, "spin"), lambda *_: None)
    tasks = [asyncio.create_task(linked.run(FIBO, [1], None, LIMITS)) for _ in range(3)]
    while scheduler.journeys < 3:
        await asyncio.sleep(0)
    for task in tasks:
        task.cancel()
        task.cancel()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [asyncio.CancelledError] * 3
    assert not GUESTS
    engines.close()


async def test_a_spinning_guest_on_the_loop_can_be_cancelled() -> None:
    engines, scheduler = make_engines(0)
    linked = LinkedComponent(load(engines, "spin"), lambda *_: None)
    task = asyncio.create_task(linked.run(FIBO, [1], None, LIMITS))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert scheduler.journeys == 0
    engines.close()


async def test_the_epochs_that_pass_while_a_guest_is_parked_use_up_no_slice() -> None:
    engines = Engines(EngineSettings(tick=None))
    engines.scheduler = scheduler = Watched(0)

    async def ask(_guest: Guest, n: int) -> int:
        for kind in KINDS:
            abi.increment_epoch(engines.address(kind))
        return n + 1

    text = calling(f"(drop (call $ask (i32.const 1))) {counting(10)} (call $ask (i32.const 7))", COUNTER)
    linked = LinkedComponent(from_wat(engines, text), lambda *_: ask)
    assert await linked.run(RUN, [], None, LIMITS) == Returned(8)
    assert scheduler.slices == 0
    engines.close()


async def test_fuel_is_the_same_on_the_loop_and_on_compute_threads() -> None:
    left = []
    for threads in (0, 2):
        engines, _ = make_engines(threads)

        def note(guest: Guest, n: int) -> int:
            left.append(guest.fuel_left())
            return n

        text = calling(f"{LONG} (call $ask (i32.const 7))", COUNTER)
        linked = LinkedComponent(from_wat(engines, text, "workflow"), lambda *_, f=note: f)
        await linked.run(RUN, [], None, GuestLimits(fuel=10**12))
        engines.close()
    assert left[0] == left[1] < 10**12


async def test_the_ticker_rests_when_no_guest_runs() -> None:
    engines = Engines()
    ticker = engines.ticker
    assert ticker is not None
    assert not ticker.awake
    linked = LinkedComponent(load(engines, "fibo-activity"), lambda *_: None)
    await linked.run(FIBO, [10], None, LIMITS)
    assert ticker.awake
    while ticker.awake:
        await asyncio.sleep(0.01)
    await linked.run(FIBO, [10], None, LIMITS)
    assert ticker.awake
    engines.close()
