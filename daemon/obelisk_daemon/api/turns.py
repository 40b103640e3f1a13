"""One at a time, for what takes long."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from obelisk_daemon.api.watch import OverloadedError

_MOST_WAITING: Final = 8


class Turns:
    """Lets one log be folded at a time, and few wait for it."""

    def __init__(self) -> None:
        self._turn = asyncio.Lock()
        self._waiting = 0

    @asynccontextmanager
    async def one(self) -> AsyncIterator[None]:
        """Wait for the turn.

        Raises:
            OverloadedError: `too_many_waiting`.
        """
        if self._waiting >= _MOST_WAITING:
            raise OverloadedError(
                "too_many_waiting", f"{self._waiting} requests wait for a log already; try again later"
            )
        self._waiting += 1
        try:
            async with self._turn:
                yield
        finally:
            self._waiting -= 1
