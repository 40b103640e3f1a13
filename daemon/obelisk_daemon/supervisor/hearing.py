"""Looking at what other hosts have done: what they tell, and regularly, since what they tell may be lost."""

import asyncio
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Final, Protocol

import structlog

from obelisk_daemon.errors import StorageUnavailableError
from obelisk_daemon.execution.events import Response
from obelisk_daemon.ids import ExecutionId
from obelisk_daemon.storage.records import Change, ResponseChange

_EVERY: Final = timedelta(seconds=5)
_PAGE: Final = 500
_log: Final = structlog.get_logger("obeliskd")


class ResponseReader(Protocol):
    """Where responses are read."""

    async def responses(self, execution_id: ExecutionId, from_seq: int, limit: int) -> list[Response]:
        """Read responses from a sequence number on."""
        ...


class Engine(Protocol):
    """What runs here."""

    def wake(self) -> None:
        """Look for due executions."""
        ...

    def in_memory(self) -> Mapping[ExecutionId, int]:
        """Give the workflows that are in memory, and up to which `seq` each has all its responses."""
        ...

    def on_change(self, change: Change) -> None:
        """Follow what was committed; a response that is known already changes nothing."""
        ...


class Hearing:
    """Delivers to workflows in memory what other hosts have answered. `run` is a task of the supervisor."""

    def __init__(self, reader: ResponseReader, engine: Engine, look: Callable[[], None]) -> None:
        self._reader = reader
        self._engine = engine
        self._look = look
        self._wanted: dict[ExecutionId, None] = {}
        self._some = asyncio.Event()

    def on_answered(self, execution_id: ExecutionId) -> None:
        """Read the responses of an execution."""
        self._wanted[execution_id] = None
        self._some.set()

    def on_gap(self) -> None:
        """Look at everything: something may have been missed."""
        self._wanted |= dict.fromkeys(self._engine.in_memory())
        self._some.set()
        self._engine.wake()
        self._look()

    async def run(self) -> None:
        """Read what is wanted, for ever, and everything now and then."""
        while True:
            try:
                async with asyncio.timeout(_EVERY.total_seconds()):
                    await self._some.wait()
            except TimeoutError:
                self.on_gap()
            self._some.clear()
            try:
                while self._wanted:
                    await self._deliver(next(iter(self._wanted)))
            except StorageUnavailableError as error:
                _log.warning("responses_unread", code=error.code, detail=str(error))
                await asyncio.sleep(1)

    async def _deliver(self, execution_id: ExecutionId) -> None:
        """Deliver the responses of an execution that it has not, in their order."""
        del self._wanted[execution_id]  # what is told from here on is read again
        start = self._engine.in_memory().get(execution_id, 0) + 1
        try:
            while responses := await self._reader.responses(execution_id, start, _PAGE):
                for response in responses:
                    self._engine.on_change(ResponseChange(execution_id, response))
                start = responses[-1].seq + 1
        except StorageUnavailableError:
            self._wanted[execution_id] = None
            raise
