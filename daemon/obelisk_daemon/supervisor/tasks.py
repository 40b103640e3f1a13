"""Tasks with an owner."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Final, TypeVar

import structlog

from obelisk_daemon.errors import OutcomeUnknownError

T = TypeVar("T")
_log: Final = structlog.get_logger("obeliskd")


class Tasks:
    """Owns what runs beside everything else. `on_failed` gets the exit code of a daemon whose task has failed."""

    def __init__(self, on_failed: Callable[[int], None]) -> None:
        self._on_failed = on_failed

    @asynccontextmanager
    async def running(self, work: Coroutine[object, object, None], name: str) -> AsyncIterator[asyncio.Task[None]]:
        """Run a task while the context lasts; at its end the task is cancelled."""
        task = asyncio.create_task(work, name=name)
        task.add_done_callback(self._ended)
        try:
            yield task
        finally:
            task.cancel()
            await asyncio.wait([task])

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            if not isinstance(error, OutcomeUnknownError):  # the store has told of that, and is no bug of this task
                _log.critical("task_failed", task=task.get_name(), exc_info=error)
            self._on_failed(os.EX_SOFTWARE)


async def unless(stopped: asyncio.Event, work: Coroutine[object, object, T]) -> T | None:
    """Await what may take minutes, as compiling does; when the daemon is to stop first, drop it and give None."""
    task, stop = asyncio.create_task(work), asyncio.create_task(stopped.wait())
    try:
        await asyncio.wait([task, stop], return_when=asyncio.FIRST_COMPLETED)
        return task.result() if task.done() else None
    finally:
        task.cancel()
        stop.cancel()
        await asyncio.wait([task, stop])
