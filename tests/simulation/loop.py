"""An event loop without a clock and without a network: time passes only when nothing is left to do.

All that is ready in one turn runs in an order that the seed decides. Nothing waits for the machine, so hours take
milliseconds, and the same seed does the same steps.
"""

import asyncio
import gc
import heapq
import random
from collections.abc import Coroutine
from typing import Any, TypeVar

from tests.simulation.process import PROCESS, Process

T = TypeVar("T")
_SAME = 1e-9
"""Seconds: timers that are no farther apart are due together."""


class StuckError(Exception):
    """Nothing is left to do and nothing will come, or it goes on for too long."""


class SimulatedLoop(asyncio.BaseEventLoop):
    """Runs in one thread, by virtual time. `draw` shuffles; `steps` and `turns` count."""

    def __init__(self, draw: random.Random) -> None:
        super().__init__()
        self._draw = draw
        self._tasks: list[asyncio.Task[Any]] = []
        """All there were: a task of the dead that nobody holds would be collected, and its `finally` would run."""
        self.unseen: list[str] = []
        """What was raised where nobody looked."""
        self.true_time = 0.0
        """Seconds since the world began."""
        self.turns = self.steps = 0

    def time(self) -> float:
        """Read the monotonic clock of the machine that the running step is on."""
        process = PROCESS.get()
        return self.true_time if process is None else self.true_time * process.rate

    def call_at(self, when: float, callback: Any, *args: Any, context: Any = None) -> asyncio.TimerHandle:
        """Have something called at a time of the clock that `time` reads."""
        process = PROCESS.get()
        return super().call_at(when if process is None else when / process.rate, callback, *args, context=context)

    def create_task(self, coro: Any, *, name: str | None = None, context: Any = None) -> asyncio.Task[Any]:
        """Make a task, and hold it."""
        task = super().create_task(coro, name=name, context=context)
        self._tasks.append(task)
        return task

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> asyncio.Future[Any]:
        """Run what would block in place of it: the disk takes no time here."""
        future = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:  # noqa: BLE001 - whoever waits gets it
            future.set_exception(error)
        return future

    def _run_once(self) -> None:
        self._wake_what_is_due()
        ready, self.turns = self._ready, self.turns + 1
        turn = list(ready)
        ready.clear()
        if len(turn) > 1:
            self._draw.shuffle(turn)
        for handle in turn:
            if handle._cancelled:
                continue
            process: Process | None = handle._context.get(PROCESS)
            if process is None or process.admits(handle):
                self.steps += 1
                handle._run()

    def _wake_what_is_due(self) -> None:
        scheduled = self._scheduled
        while scheduled and scheduled[0]._cancelled:
            heapq.heappop(scheduled)._scheduled = False
        if not self._ready and not self._stopping:
            if not scheduled:
                raise StuckError(f"nothing is left to do at {self.true_time:.3f} s")
            self.true_time = max(self.true_time, scheduled[0]._when)
        while scheduled and scheduled[0]._when <= self.true_time + _SAME:
            handle = heapq.heappop(scheduled)
            handle._scheduled = False
            if not handle._cancelled:
                self._ready.append(handle)

    def _write_to_self(self) -> None:
        """Do nothing: no other thread wakes this loop."""

    def _process_events(self, event_list: object) -> None:
        raise AssertionError("there is no network")

    def default_exception_handler(self, context: dict[str, Any]) -> None:
        """Take what nobody looks at: here it is a finding."""
        self.unseen.append(f"{context['message']}: {context.get('exception')!r}")


def run_simulated(loop: SimulatedLoop, work: Coroutine[object, object, T]) -> T:
    """Run to the end on a loop, and close it. No garbage is collected meanwhile: that would be a step at any time."""
    asyncio.set_event_loop(loop)
    gc.disable()
    try:
        return loop.run_until_complete(work)
    finally:
        gc.enable()
        asyncio.set_event_loop(None)
        loop.close()


async def end_all_others(processes: list[Process]) -> None:
    """End all tasks but this one, also those of the dead, so that nothing is left to be collected half-way."""
    loop = asyncio.get_running_loop()
    for round_ in range(1_000):
        others = asyncio.all_tasks() - {asyncio.current_task()}
        if not others:
            return
        for task in others:
            task.cancel()
        if round_ == 0:  # not before: no step of the dead may do anything but end
            for process in processes:
                process.exhume(loop)
        await asyncio.sleep(0.001)
    raise StuckError(f"these tasks can't be ended: {sorted(task.get_name() for task in others)}")
