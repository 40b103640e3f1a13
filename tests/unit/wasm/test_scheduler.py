"""Who may compute, and where; with fibers that only count."""

import asyncio
import threading

import pytest

from obelisk_daemon.wasm.scheduler import Scheduler

pytestmark = pytest.mark.anyio


class Counter:
    """A fiber that wants a number of slices and notes the threads it ran on."""

    def __init__(self, slices: int) -> None:
        self.slices = slices
        self.threads: list[threading.Thread] = []
        self.at_slice: dict[int, threading.Barrier] = {}
        self.running = 0

    def run_slice(self) -> bool:
        self.running += 1
        assert self.running == 1
        self.threads.append(threading.current_thread())
        if barrier := self.at_slice.get(len(self.threads)):
            barrier.wait(10)
        self.running -= 1
        return len(self.threads) < self.slices


async def test_one_waiter_gets_a_turn_in_each_turn_of_the_loop() -> None:
    scheduler = Scheduler(0)
    turns: list[tuple[int, str]] = []
    now = 0

    async def wait(name: str) -> None:
        for _ in range(3):
            await scheduler.turn()
            turns.append((now, name))

    tasks = [asyncio.create_task(wait(name)) for name in "abc"]
    while not all(task.done() for task in tasks):
        now += 1
        await asyncio.sleep(0)
    assert [name for _, name in turns] == list("abcabcabc")
    assert len({turn for turn, _ in turns}) == 9


async def test_a_waiter_that_gave_up_does_not_hold_the_others() -> None:
    scheduler = Scheduler(0)
    tasks = [asyncio.create_task(scheduler.turn()) for _ in range(3)]
    await asyncio.sleep(0)
    tasks[0].cancel()
    tasks[1].cancel()
    await tasks[2]
    assert tasks[0].cancelled()


async def test_a_used_slice_makes_the_turn_crowded_until_the_next() -> None:
    scheduler = Scheduler(0)
    scheduler.used_slice()
    assert scheduler.crowded
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not scheduler.crowded


def test_a_scheduler_outlives_a_loop_that_was_closed_in_between() -> None:
    scheduler = Scheduler(0)

    async def wait() -> None:
        await asyncio.wait_for(scheduler.turn(), 10)

    first = asyncio.new_event_loop()
    first.call_soon(scheduler.used_slice)
    first.call_soon(first.stop)
    first.run_forever()
    first.close()
    second = asyncio.new_event_loop()
    second.run_until_complete(wait())
    second.close()


async def test_a_fiber_runs_on_compute_threads_until_it_wants_no_more() -> None:
    scheduler = Scheduler(2)
    fibers = [Counter(100) for _ in range(5)]
    await asyncio.gather(*map(scheduler.compute, fibers))
    assert [len(fiber.threads) for fiber in fibers] == [100] * 5
    threads = {thread for fiber in fibers for thread in fiber.threads}
    assert threading.current_thread() not in threads
    assert len(threads) <= 2
    scheduler.close()


async def test_two_fibers_run_at_the_same_time_on_two_threads() -> None:
    scheduler = Scheduler(2)
    fibers = [Counter(1), Counter(1)]
    together = threading.Barrier(2)
    for fiber in fibers:
        fiber.at_slice[1] = together
    await asyncio.gather(*map(scheduler.compute, fibers))
    scheduler.close()


async def test_more_fibers_than_threads_share_them_slice_by_slice() -> None:
    scheduler = Scheduler(1)
    first, second = Counter(2**60), Counter(3)
    endless = asyncio.create_task(scheduler.compute(first))
    await scheduler.compute(second)
    endless.cancel()
    with pytest.raises(asyncio.CancelledError):
        await endless
    scheduler.close()


async def test_cancelling_waits_until_the_slice_has_ended() -> None:
    scheduler = Scheduler(1)
    fiber = Counter(2**60)
    fiber.at_slice[1] = begun = threading.Barrier(2)
    fiber.at_slice[2] = ending = threading.Barrier(2)
    task = asyncio.create_task(scheduler.compute(fiber))
    await asyncio.to_thread(begun.wait, 10)
    while len(fiber.threads) < 2:
        await asyncio.sleep(0)
    task.cancel()
    for _ in range(10):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.sleep(0)
    assert not task.done()
    assert fiber.running == 1
    await asyncio.to_thread(ending.wait, 10)
    with pytest.raises(asyncio.CancelledError):
        await task
    assert fiber.running == 0
    assert len(fiber.threads) == 2
    scheduler.close()


async def test_what_a_slice_raises_is_raised_on_the_loop() -> None:
    class Broken:
        def run_slice(self) -> bool:
            raise LookupError("ours")

    scheduler = Scheduler(1)
    with pytest.raises(LookupError):
        await scheduler.compute(Broken())
    await scheduler.compute(Counter(1))
    scheduler.close()
