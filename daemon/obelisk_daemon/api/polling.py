"""Requests that wait for something to happen: bounded in time, and ended when the client goes."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from litestar.types import Receive

from obelisk_daemon.api.watch import Until, Watch, Watcher
from obelisk_daemon.ids import ExecutionId

MAX_WAIT: Final = 60.0
"""Seconds that one request may wait; a client that wants more asks again."""

T = TypeVar("T")


async def poll(
    receive: Receive,
    watcher: Watcher,
    subject: tuple[ExecutionId, Until],
    seconds: float,
    read: Callable[[], Awaitable[tuple[T, bool]]],
) -> T:
    """Read until there is something, or the time is over; then answer what there is.

    `read` gives the answer and whether it is worth answering at once. It is called again after changes only. `receive`
    is that of the request, whose body was read.
    """
    if seconds <= 0:
        return (await read())[0]
    with watcher.watching(*subject) as watch:
        answer, worthwhile = await read()
        if worthwhile:
            return answer
        listener = asyncio.create_task(_end_with_client(receive, watch))
        try:
            return await _read_until_worthwhile(watch, seconds, answer, read)
        finally:
            listener.cancel()
            await asyncio.wait([listener])


async def _read_until_worthwhile(
    watch: Watch, seconds: float, answer: T, read: Callable[[], Awaitable[tuple[T, bool]]]
) -> T:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    worthwhile = False
    while not worthwhile and await watch.wait(deadline - loop.time()):
        answer, worthwhile = await read()
    return answer


async def _end_with_client(receive: Receive, watch: Watch) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    watch.end()
