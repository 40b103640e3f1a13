"""Cancelling an execution and all below it.

The request is an event, so it survives a crash; children end before their parent, so none outlives it.
"""

from typing import Protocol

import msgspec

from obelisk_daemon.clock import Clock
from obelisk_daemon.execution.outcome import FailureRecord
from obelisk_daemon.executor.executor import Executor
from obelisk_daemon.ids import ExecutionId, IdSource
from obelisk_daemon.storage.port import ExecutionWriter, RecoveryStore


class CancellationStore(ExecutionWriter, RecoveryStore, Protocol):
    """What cancelling needs of the database."""


class Cancelled(msgspec.Struct, frozen=True):
    """What a cancellation did: `reached` counts the executions that were ended by it."""

    already_finished: bool
    reached: int


class Canceller:
    """Cancels executions; one that a crash interrupted goes on at the next start."""

    def __init__(self, store: CancellationStore, executor: Executor, clock: Clock, ids: IdSource) -> None:
        self._store = store
        self._executor = executor
        self._clock = clock
        self._ids = ids

    async def cancel(self, execution_id: ExecutionId) -> Cancelled:
        """End an execution as `cancelled`, its children first.

        Raises:
            NotFoundError: `execution_not_found`.
            StorageUnavailableError: what was reached stays ended; the caller may repeat the call.
        """
        progress = await self._store.request_cancellation(execution_id, self._clock.now())
        if progress.already_finished:
            return Cancelled(already_finished=True, reached=0)
        await self._executor.drop(execution_id, "cancelled")
        # a commit may have been under way when the run was dropped: the children are asked for again behind it
        progress = await self._store.request_cancellation(execution_id, self._clock.now())
        reached = 0
        for child in progress.children:
            reached += (await self.cancel(child)).reached
        failure = FailureRecord(self._ids.failure(), "cancelled", "cancelled on request")
        ended = await self._store.finish_cancelled(execution_id, self._clock.now(), failure)
        return Cancelled(already_finished=False, reached=reached + ended)

    async def resume(self) -> None:
        """Complete the cancellations that a crash interrupted."""
        for execution_id in await self._store.unfinished_cancellations():
            await self.cancel(execution_id)
