"""The tasks that work for one guest, owned in one place: nothing outlives the guest, and nothing is lost unseen."""

import asyncio
from collections.abc import Coroutine
from typing import Any


class TaskOwner:
    """Starts tasks, keeps them until they end, and at `aclose` cancels and awaits what is left."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[None]] = set()
        self._failed: list[BaseException] = []

    def __len__(self) -> int:
        return len(self._running)

    def start(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        """Start a task; whoever needs it to end early cancels it, and `aclose` awaits it in any case."""
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._running.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._failed.append(error)

    async def aclose(self) -> None:
        """Cancel what runs and wait for its end; raise the first failure of a task, since it is a fault of ours."""
        if not self._running and not self._failed:  # most guests start none
            return
        running = tuple(self._running)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        failed = self._failed + [task.exception() for task in running if not task.cancelled()]
        for error in failed:
            if error is not None:
                raise error


class Notice:
    """Wakes everything that waits for a change of some state."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def wake(self) -> None:
        """Wake all that wait now; each looks at the state again."""
        self._event.set()
        self._event = asyncio.Event()

    async def wait(self) -> None:
        """Wait for the next `wake`."""
        await self._event.wait()
