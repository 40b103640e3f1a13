"""wasi:io/poll: waiting for several things at once."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final

from obelisk_daemon.wasm.resources import GuestStopped
from obelisk_daemon.wasm.wasi.context import HandlerTable, WasiGuest, borrowed
from obelisk_daemon.wasm.wasi.tasks import Notice


class Pollable:
    """Something that becomes ready."""

    def ready(self) -> bool:
        """Tell whether it is ready now."""
        raise NotImplementedError

    async def wait(self) -> None:
        """Return once `ready()` holds. May be cancelled at any time and started again, without a loss."""
        raise NotImplementedError

    def due_ns(self) -> int | None:
        """Give the instant to which the guest's clock may be moved to make this ready; None when only waiting helps."""
        return None

    def move_clock(self) -> None:
        """Move the guest's clock to `due_ns()`."""
        raise NotImplementedError("only a timer of a clock that stands still moves it")


class Always(Pollable):
    """Ready from the start."""

    def ready(self) -> bool:
        """Answer yes."""
        return True

    async def wait(self) -> None:
        """Return at once."""


class Subscription(Pollable):
    """Another handle on something that is itself ready or not: dropping the handle leaves the thing alone."""

    def __init__(self, to: Pollable) -> None:
        self._to = to

    def ready(self) -> bool:
        """Ask the thing."""
        return self._to.ready()

    async def wait(self) -> None:
        """Wait for the thing."""
        await self._to.wait()


class Condition(Pollable):
    """Ready when a condition holds; `notice` is woken at every change that could make it hold."""

    def __init__(self, condition: Callable[[], bool], notice: Notice) -> None:
        self._condition = condition
        self._notice = notice

    def ready(self) -> bool:
        """Test the condition."""
        return self._condition()

    async def wait(self) -> None:
        """Wait until the condition holds."""
        while not self._condition():
            await self._notice.wait()


def _ready(guest: WasiGuest, pollable: int) -> bool:
    return bool(_indexes([borrowed(guest, pollable, Pollable)]))


def _block(guest: WasiGuest, pollable: int) -> Coroutine[Any, Any, None] | None:
    waiting = borrowed(guest, pollable, Pollable)
    return None if _indexes([waiting]) else waiting.wait()


def _poll(guest: WasiGuest, pollables: list[int]) -> list[int] | Coroutine[Any, Any, list[int]]:
    """Give the indexes of those that are ready; when none is, wait for the first."""
    if not pollables:
        raise GuestStopped("trap", "wasi:io/poll.poll was called with an empty list")
    waiting = [borrowed(guest, pollable, Pollable) for pollable in pollables]
    return _indexes(waiting) or _first(waiting)


def _indexes(waiting: list[Pollable]) -> list[int]:
    """Give those that are ready; when none is and time stands still, move it to the earliest timer.

    To the earliest only, so that timers of a guest come in the order of their instants, as they would in real time.
    """
    ready = [index for index, pollable in enumerate(waiting) if pollable.ready()]
    timers = [] if ready else [(due, index) for index, each in enumerate(waiting) if (due := each.due_ns()) is not None]
    if not timers:
        return ready
    waiting[min(timers)[1]].move_clock()
    return [index for index, pollable in enumerate(waiting) if pollable.ready()]


async def _first(waiting: list[Pollable]) -> list[int]:
    while not (ready := _indexes(waiting)):
        if len(waiting) == 1:
            await waiting[0].wait()
        else:
            await _wait_for_any(waiting)
    return ready


async def _wait_for_any(waiting: list[Pollable]) -> None:
    tasks = [asyncio.create_task(pollable.wait(), name="wasi poll") for pollable in waiting]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    for outcome in outcomes:
        if isinstance(outcome, Exception):
            raise outcome


HANDLERS: Final[HandlerTable] = {
    "io/poll.[method]pollable.ready": _ready,
    "io/poll.[method]pollable.block": _block,
    "io/poll.poll": _poll,
}
