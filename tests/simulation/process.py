"""The life of one simulated daemon: what an operating system calls a process.

A process can be killed or stopped between any two steps of its tasks. Killed, it runs no further step at all, not even
a `finally`; stopped, its steps wait. What belongs to it is told by the context its callbacks were made in.
"""

import asyncio
import contextvars
from collections.abc import Callable, Coroutine
from typing import Any, Final

PROCESS: Final[contextvars.ContextVar["Process | None"]] = contextvars.ContextVar("process", default=None)
"""The process that the running step belongs to; None for the world around the daemons."""


class Process:
    """One life of a daemon. `rate` is how fast its machine's monotonic clock runs; `on_end` is called once."""

    def __init__(self, name: str, rate: float, on_end: Callable[[str], None]) -> None:
        self.name = name
        self.rate = rate
        self.is_dead = False
        self.fuse = 0
        """After so many more steps it is killed; 0: it is not."""
        self.held: list[asyncio.Handle] = []
        """What would run, were it not stopped or dead."""
        self._on_end = on_end
        self._is_stopped = False
        self._context = contextvars.copy_context()
        self._context.run(PROCESS.set, self)

    def admits(self, handle: asyncio.Handle) -> bool:
        """Tell if a step may run now; one that may not is kept."""
        if self.fuse and not self.is_dead and not self._is_stopped:
            self.fuse -= 1
            if not self.fuse:
                self.kill("killed at an await")
        if self.is_dead or self._is_stopped:
            self.held.append(handle)
            return False
        return True

    def kill(self, why: str) -> None:
        """End it between two steps, as SIGKILL does."""
        if not self.is_dead:
            self.is_dead = True
            self._on_end(why)

    def stop(self) -> None:
        """Let it run no step until `resume`, as SIGSTOP does."""
        self._is_stopped = True

    def resume(self, loop: asyncio.AbstractEventLoop) -> None:
        """Let it go on; what became due meanwhile is due now."""
        self._is_stopped = False
        if not self.is_dead:
            self._put_back(loop)

    def exhume(self, loop: asyncio.AbstractEventLoop) -> None:
        """Let the tasks of a dead process run again, when all is over: only so that they can be ended."""
        self.is_dead = self._is_stopped = False
        self.fuse = 0
        self._put_back(loop)

    def start(self, work: Coroutine[object, object, Any], name: str) -> asyncio.Task[Any]:
        """Run a task of this process; its name begins with the process's."""
        return asyncio.get_running_loop().create_task(work, name=f"{self.name} {name}", context=self._context)

    def call_later(self, delay: float, callback: Callable[..., object], *arguments: object) -> None:
        """Have something called in this process."""
        asyncio.get_running_loop().call_later(delay, callback, *arguments, context=self._context)

    def _put_back(self, loop: asyncio.AbstractEventLoop) -> None:
        held, self.held = self.held, []
        loop._ready.extend(handle for handle in held if not handle.cancelled())
