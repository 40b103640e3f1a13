"""Requests that wait for something to happen: bounded in time, and ended when the client goes."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

from litestar import Request

from obelisk_daemon.api.watch import Until, Watch, Watcher
from obelisk_daemon.ids import ExecutionId

MAX_WAIT: Final = 60.0
"""Seconds that one request may wait; a client that wants more asks again."""

T = TypeVar("T")


async def poll(
    request: Request[Any, Any, Any],
    watcher: Watcher,
    subject: tuple[ExecutionId, Until],
    seconds: float,
    read: Callable[[], Awaitable[tuple[T, bool]]],
) -> T:
    """Read until there is something, or the time is over; then answer what there is.

    `read` gives the answer and whether it is worth answering at once. It is called again after changes only.
    """
    if seconds <= 0:
        return (await read())[0]
    with watcher.watching(*subject) as watch:
        listener = asyncio.create_task(_end_with_client(request, watch))
        try:
            return await _read_until_worthwhile(watch, seconds, read)
        finally:
            listener.cancel()
            await asyncio.wait([listener])


async def _read_until_worthwhile(watch: Watch, seconds: float, read: Callable[[], Awaitable[tuple[T, bool]]]) -> T:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while True:
        answer, worthwhile = await read()
        if worthwhile or not await watch.wait(deadline - loop.time()):
            return answer


async def _end_with_client(request: Request[Any, Any, Any], watch: Watch) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
    watch.end()
