"""Waiting for an execution to change, without asking the database again and again."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, Literal, TypeAlias

from obelisk_daemon.errors import ObeliskError
from obelisk_daemon.execution.outcome import Outcome
from obelisk_daemon.ids import ExecutionId
from obelisk_daemon.storage.records import Change, StateChange

MAX_WATCHES: Final = 600
"""Together with the streams fewer than the server's connections, so that they never keep everybody else out."""

Until: TypeAlias = Literal["changed", "finished"]


class OverloadedError(ObeliskError):
    """Too many requests wait at once. The API answers 503; the same request may pass later."""


class Watch:
    """One request's interest in one execution. Register it first, then read: no change is missed that way."""

    def __init__(self, until: Until) -> None:
        self._until = until
        self._event = asyncio.Event()
        self._ended = False
        self.outcome: Outcome | None = None
        """What the execution has ended with meanwhile, if this process was told."""

    @property
    def ended(self) -> bool:
        """Tell that nobody waits for more: the client has gone, or the server stops."""
        return self._ended

    async def wait(self, seconds: float) -> bool:
        """Wait for the next change; False when the time is over or the watch has ended."""
        try:
            async with asyncio.timeout(seconds):
                await self._event.wait()
        except TimeoutError:
            return False
        if not self._ended:
            self._event.clear()
        return not self._ended

    def end(self) -> None:
        """Wake the waiter for good."""
        self._ended = True
        self._event.set()

    def notify(self, change: Change) -> None:
        """Take note of a committed change."""
        finished = isinstance(change, StateChange) and change.status == "finished"
        if isinstance(change, StateChange) and change.outcome is not None:
            self.outcome = change.outcome
        if finished or self._until == "changed":
            self._event.set()


class Watcher:
    """Hands committed changes to the requests that wait for them. `publish` is a `storage.records.Subscriber`."""

    def __init__(self, max_watches: int = MAX_WATCHES) -> None:
        self._max_watches = max_watches
        self._count = 0
        self._closed = False
        self._watches: dict[ExecutionId, set[Watch]] = {}

    @property
    def waiting(self) -> int:
        """How many requests wait."""
        return self._count

    def publish(self, change: Change) -> None:
        """Wake whoever watches the execution that changed."""
        for watch in self._watches.get(change.execution_id, ()):
            watch.notify(change)

    def outcome(self, execution_id: ExecutionId) -> Outcome | None:
        """Give what an execution has ended with since it is watched, if this process was told."""
        watches = self._watches.get(execution_id, ())
        return next((watch.outcome for watch in watches if watch.outcome is not None), None)

    @contextmanager
    def watching(self, execution_id: ExecutionId, until: Until) -> Iterator[Watch]:
        """Watch an execution while the block runs.

        Raises:
            OverloadedError: `too_many_waiting`.
        """
        if self._count >= self._max_watches:
            raise OverloadedError(
                "too_many_waiting", f"{self._max_watches} requests wait already; ask again later, or without wait"
            )
        watch = Watch(until)
        self._add(execution_id, watch)
        try:
            yield watch
        finally:
            self._remove(execution_id, watch)

    def close(self) -> None:
        """End every watch, and every one to come, at once: the server stops."""
        self._closed = True
        for watches in self._watches.values():
            for watch in watches:
                watch.end()

    def _add(self, execution_id: ExecutionId, watch: Watch) -> None:
        self._count += 1
        self._watches.setdefault(execution_id, set()).add(watch)
        if self._closed:
            watch.end()

    def _remove(self, execution_id: ExecutionId, watch: Watch) -> None:
        self._count -= 1
        watches = self._watches[execution_id]
        watches.discard(watch)
        if not watches:
            del self._watches[execution_id]
