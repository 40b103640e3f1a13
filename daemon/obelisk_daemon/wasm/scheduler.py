"""Who may compute, and where: one slice per loop turn on the loop, and compute threads for guests that keep at it.

A guest computes in slices of one epoch. Several that compute would each take one in every turn of the loop, and the
loop would lag by their sum; so in a turn only one that has used a whole slice runs (p99 6 ms instead of 62 with eight).
A guest that keeps computing goes to a compute thread. There it runs slice by slice with the others, until it ends or
calls the host: host functions run on the loop only, so it comes home for that.
"""

import asyncio
import threading
from collections import deque
from queue import SimpleQueue
from typing import Protocol


class Fiber(Protocol):
    """What the scheduler runs: a guest with a live future."""

    def run_slice(self) -> bool:
        """Run until the end of an epoch, a host call or the end; True when it wants another slice."""
        ...


class _Job:
    __slots__ = ("done", "fiber", "loop", "recalled")

    def __init__(self, fiber: Fiber, loop: asyncio.AbstractEventLoop) -> None:
        self.fiber = fiber
        self.loop = loop
        self.done: asyncio.Future[None] = loop.create_future()
        self.recalled = False

    def finish(self, error: BaseException | None) -> None:
        """Come home; runs on the loop."""
        if error is None:
            self.done.set_result(None)
        else:
            self.done.set_exception(error)


class Scheduler:
    """Deals slices to guests of one loop. `threads` bounds the compute threads, which start when first needed."""

    def __init__(self, threads: int) -> None:
        self._limit = threads
        self._threads: list[threading.Thread] = []
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._away = 0
        self._turns: deque[asyncio.Future[None]] = deque()
        self._pumping_on: asyncio.AbstractEventLoop | None = None
        self.crowded = False
        """A guest has used a whole slice in this turn of the loop: whoever wants to compute waits for `turn`."""

    @property
    def computes(self) -> bool:
        """Tell whether there are compute threads."""
        return self._limit > 0

    async def turn(self) -> None:
        """Wait for a turn of the loop in which the caller alone may use a whole slice."""
        turn = asyncio.get_running_loop().create_future()
        self._turns.append(turn)
        self._start_pump()
        await turn

    def used_slice(self) -> None:
        """Record that a whole slice was used in this turn of the loop."""
        self.crowded = True
        self._start_pump()

    def _start_pump(self) -> None:
        loop = asyncio.get_running_loop()
        if self._pumping_on is not loop:  # a loop that was closed took its pump with it
            self._pumping_on = loop
            loop.call_soon(self._pump, loop)

    def _pump(self, loop: asyncio.AbstractEventLoop) -> None:
        self.crowded = False
        while self._turns:
            turn = self._turns.popleft()
            if not turn.done():
                turn.set_result(None)
                loop.call_soon(self._pump, loop)
                return
        self._pumping_on = None

    async def compute(self, fiber: Fiber) -> None:
        """Run a fiber on the compute threads until it ends or calls the host.

        Cancelling waits for the end of the slice it is in: nobody else may touch a fiber that is running.
        """
        job = _Job(fiber, asyncio.get_running_loop())
        self._away += 1
        self._start_threads()
        self._jobs.put(job)
        try:
            await asyncio.shield(job.done)
        except asyncio.CancelledError:
            job.recalled = True
            await _wait_whatever_happens(job.done)
            raise
        finally:
            self._away -= 1

    def _start_threads(self) -> None:
        if len(self._threads) < min(self._limit, self._away):
            name = f"compute-{len(self._threads) + 1}"
            thread = threading.Thread(target=self._work, name=name, daemon=True)
            self._threads.append(thread)
            thread.start()

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            again, error = False, None
            try:
                again = job.fiber.run_slice()
            except BaseException as raised:  # noqa: BLE001 - carried to the loop, where the runner raises it
                error = raised
            if again and not job.recalled:
                self._jobs.put(job)
            else:
                job.loop.call_soon_threadsafe(job.finish, error)

    def close(self) -> None:
        """End the compute threads; no guest may be on one."""
        for _ in self._threads:
            self._jobs.put(None)
        for thread in self._threads:
            thread.join()
        self._threads.clear()


async def _wait_whatever_happens(done: "asyncio.Future[None]") -> None:
    """Wait for a future through further cancellations: the first one is raised again by the caller."""
    while not done.done():
        try:
            await asyncio.wait([done])
        except asyncio.CancelledError:
            continue
