"""Cancelling an execution and all below it (DESIGN.md sections 4 and 6).

The request is an event, so it survives a crash. Children end before their parent, so that none outlives it: those that
may be cancelled are, and the others are awaited, unless the cancellation is forced.
"""

import asyncio
from collections.abc import Coroutine
from typing import Final, Protocol

import msgspec
import structlog

from obelisk_daemon.errors import ConflictError, NotFoundError, ObeliskError, StorageUnavailableError
from obelisk_daemon.execution.outcome import FailureRecord
from obelisk_daemon.executor.run import DropReason, Services
from obelisk_daemon.ids import ExecutionId

_RETRY_SECONDS: Final = 1.0
_log = structlog.get_logger("cancellation")


class Runs(Protocol):
    """The executor, as far as cancelling needs it."""

    async def drop(self, execution_id: ExecutionId, reason: DropReason) -> None:
        """Drop the run of an execution, if there is one here, and wait until it is gone."""
        ...

    def spawn(self, work: Coroutine[object, object, None], name: str) -> None:
        """Own a task, unless the executor stops."""
        ...

    def note_room(self) -> None:
        """Look for what may run now: a run of a dead daemon counted until it was ended."""
        ...

    @property
    def is_stopping(self) -> bool:
        """Tell if no new work is taken any more."""
        ...


class Cancelled(msgspec.Struct, frozen=True):
    """What a cancellation did: `reached` counts the executions it ended; `awaited` those it has to wait for."""

    already_finished: bool
    reached: int
    awaited: int = 0


class Canceller:
    """Cancels executions; one that a crash interrupted, or that waits for a child, goes on by itself."""

    def __init__(self, services: Services, runs: Runs) -> None:
        self._services = services
        self._runs = runs
        self._active: set[ExecutionId] = set()
        self._again: set[ExecutionId] = set()

    async def cancel(self, execution_id: ExecutionId, *, force: bool = False) -> Cancelled:
        """End an execution as `cancelled`, its children first.

        Raises:
            NotFoundError: `execution_not_found`.
            ConflictError: `not_cancellable`: a workflow that may not be cancelled, without `force`.
            StorageUnavailableError: what was reached stays ended. What was asked for goes on as soon as that is
                possible; the caller may repeat the call.
        """
        ffqn = await self._services.store.find_function(execution_id)
        if ffqn is None:
            raise NotFoundError("execution_not_found", f"there is no execution {execution_id}")
        store = self._services.store
        if not force and not self._may_cancel(ffqn) and not await store.has_finished(execution_id):
            raise ConflictError(
                "not_cancellable",
                f"{ffqn} is not cancellable: force it, or set `cancellable = true` for it in the manifest",
            )
        try:
            return await self._cancel(execution_id, force=force)
        except (StorageUnavailableError, asyncio.CancelledError):
            self._runs.spawn(self._catch_up(), "cut-off cancellations")
            raise

    def go_on(self, execution_id: ExecutionId) -> None:
        """Look again at a cancellation that waits: something below it has changed."""
        if execution_id in self._active:
            self._again.add(execution_id)
        else:
            self._runs.spawn(self._survive(execution_id), f"cancel {execution_id}")

    async def resume(self) -> None:
        """Go on with the cancellations that a crash interrupted, or of which nobody told this host."""
        for execution_id in await self._services.store.unfinished_cancellations():
            await self._cancel(execution_id, force=False)

    def _may_cancel(self, ffqn: str) -> bool:
        function = self._services.plan.functions.get(ffqn)
        return function is None or function.cancellable  # of what is gone, nobody can say that it may not be

    async def _survive(self, execution_id: ExecutionId) -> None:
        """Cancel, again and again while the database can't take it; at a stop it is left to the next start."""
        while not self._runs.is_stopping:
            try:
                await self._cancel(execution_id, force=False)
            except StorageUnavailableError as error:
                _log.warning("cancellation_interrupted", execution_id=execution_id, code=error.code)
                await asyncio.sleep(_RETRY_SECONDS)
            except ObeliskError as error:
                _log.warning("cancellation_failed", execution_id=execution_id, code=error.code, detail=str(error))
                return
            else:
                return

    async def _catch_up(self) -> None:
        """Go on with what was cut short, of which only the database knows how far it got."""
        while not self._runs.is_stopping:
            await asyncio.sleep(_RETRY_SECONDS)
            try:
                await self.resume()
            except StorageUnavailableError as error:
                _log.warning("cancellations_interrupted", code=error.code)
            else:
                return

    async def _cancel(self, execution_id: ExecutionId, *, force: bool) -> Cancelled:
        if force and execution_id in self._active:
            await self._services.store.request_cancellation(execution_id, self._services.clock.now(), force=True)
        if execution_id in self._active:
            self._again.add(execution_id)
            return Cancelled(already_finished=False, reached=0, awaited=1)
        self._active.add(execution_id)
        try:
            done = await self._attempt(execution_id, force=force)
            while execution_id in self._again:
                self._again.discard(execution_id)
                more = await self._attempt(execution_id, force=force)
                if not more.already_finished:
                    done = Cancelled(done.already_finished, done.reached + more.reached, more.awaited)
            return done
        finally:
            self._active.discard(execution_id)
            self._again.discard(execution_id)

    async def _attempt(self, execution_id: ExecutionId, *, force: bool) -> Cancelled:
        store, clock = self._services.store, self._services.clock
        progress = await store.request_cancellation(execution_id, clock.now(), force=force)
        if progress.already_finished:
            return Cancelled(already_finished=True, reached=0)
        await self._runs.drop(execution_id, "cancelled")
        # a commit may have been under way when the run was dropped: the children are asked for again behind it
        progress = await store.request_cancellation(execution_id, clock.now())
        reached = awaited = 0
        for child, ffqn in progress.children:
            if progress.is_forced or self._may_cancel(ffqn):
                below = await self._cancel(child, force=progress.is_forced)
                reached, awaited = reached + below.reached, awaited + below.awaited
            else:
                awaited += 1
        if awaited:
            return Cancelled(already_finished=progress.already_finished, reached=reached, awaited=awaited)
        failure = FailureRecord(self._services.ids.failure(), "cancelled", "cancelled on request")
        end = await store.finish_cancelled(execution_id, clock.now(), failure)
        if end == "running":  # on another host: it drops it, lets it go, and ends it; or it dies
            return Cancelled(already_finished=False, reached=reached, awaited=1)
        self._runs.note_room()
        return Cancelled(already_finished=False, reached=reached + (end == "finished"))
