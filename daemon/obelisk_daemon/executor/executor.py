"""One executor: it locks what is due and may run here, starts runs, and drops them when it must.

A slot is held by a run that may compute; a workflow that waits gives its slot back and keeps only its memory.
"""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Final

import structlog

from obelisk_daemon.clock import Instant, after
from obelisk_daemon.errors import ObeliskError, OutcomeUnknownError
from obelisk_daemon.executor.activity import ActivityRun
from obelisk_daemon.executor.plan import ExecutorPlan, FunctionPlan
from obelisk_daemon.executor.resting import Resting
from obelisk_daemon.executor.run import DropReason, Run, Services, response_ahead
from obelisk_daemon.executor.slots import Slots
from obelisk_daemon.executor.timers import Timers
from obelisk_daemon.executor.workflow import WorkflowRun
from obelisk_daemon.ids import ExecutionId, ExecutorId
from obelisk_daemon.storage.port import Ticket
from obelisk_daemon.storage.records import (
    Change,
    Held,
    LockRequest,
    NewResponse,
    Release,
    ResponseChange,
    Runnable,
    VersionConflictError,
)
from obelisk_daemon.storage.suspects import Alone

_BATCH: Final = 64
_RELEASE_BACKOFF: Final = timedelta(seconds=1)
_log = structlog.get_logger("executor")


class Executor:
    """Runs executions, at most `max_running` at a time. `run` is a task of the supervisor; `stop` lets it end."""

    def __init__(self, services: Services, timers: Timers, max_running: int, name: str = "default") -> None:
        self.name = name
        self.services = services
        self.on_room: Callable[[], None] = self.wake
        """Called when there may be room again in a component of which only so many run in the whole store."""
        self.on_missing: Callable[[ExecutionId], None] | None = None
        """Called where a response is there before those that precede it, on a database that hosts share."""
        self.on_free: Callable[[], None] = lambda: None
        """Called when a run has given its slot back, and when a look for work has ended."""
        self._timers = timers
        self._slots = Slots(max_running)
        self._runs: dict[ExecutionId, Run] = {}
        self._resting = Resting()
        self._backlog = max_running
        """At most so many executions are due and wait for a slot; what isn't known counts as many."""
        self._wake = asyncio.Event()
        self._changed = asyncio.Event()
        self._stopping = False
        self._draining = False
        self._held_back: list[ResponseChange] | None = None
        """While a suspect is alone: the responses that workflows in memory are to get afterwards."""
        self._is_locking = False
        self._tasks: asyncio.TaskGroup | None = None
        self._runnable: list[Runnable] = []
        """What may be locked by the plan, first what was not served for longest (DESIGN.md section 5)."""
        self._runnable_by: ExecutorPlan | None = None

    @property
    def running(self) -> int:
        """Count the runs that compute, or whose end is being written."""
        return self._slots.runs

    @property
    def max_running(self) -> int:
        """Give how many runs may hold a slot."""
        return self._slots.size

    @property
    def is_busy(self) -> bool:
        """Tell if anything runs, or is being locked to run."""
        return self._slots.runs > 0 or self._is_locking

    @property
    def is_draining(self) -> bool:
        """Tell if it takes no more work until it is told to."""
        return self._draining

    @property
    def hot(self) -> int:
        """Count the blocked workflows kept in memory."""
        return len(self._resting)

    @property
    def in_memory(self) -> dict[ExecutionId, int]:
        """Give the workflows that are in memory, and up to which `seq` each has all its responses."""
        return {one.execution_id: one.journal.heard for one in self._runs.values() if isinstance(one, WorkflowRun)}

    async def run(self) -> None:
        """Lock and run what is due, until `stop`; then wait until every run has ended."""
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            while not self._stopping:
                self._wake.clear()
                free = 0 if self._takes_nothing else min(self._slots.size - self._slots.taken, _BATCH)
                if free <= 0 or await self._lock(free) < free:
                    await self._wake.wait()

    @property
    def _takes_nothing(self) -> bool:
        return self._stopping or self._draining or self._held_back is not None

    def wake(self) -> None:
        """Look for due executions, of which there may be any number."""
        self._backlog = self._slots.size
        self._wake.set()

    def on_change(self, change: Change) -> None:
        """Follow what was committed: deliver responses to workflows in memory, notice what became due."""
        if isinstance(change, ResponseChange):
            self._answered(change)
        elif change.status == "finished":
            self._drop_ended(change.execution_id)
        elif change.lifecycle == "paused":
            self._drop_paused(change.execution_id)
        elif change.status == "pending_at" and change.lifecycle == "active" and not change.is_held:
            assert change.due_at is not None
            if change.due_at <= self.services.clock.now():
                self._backlog += 1
                self._wake.set()
            else:
                self._timers.note(change.due_at)

    def _answered(self, change: ResponseChange) -> None:
        """Deliver responses in the order of the log; one before this may come from another host, and later."""
        run, response = self._runs.get(change.execution_id), change.response
        if not isinstance(run, WorkflowRun):
            return
        if self._held_back is not None:
            self._held_back.append(change)
        elif self.on_missing is not None and response.seq > run.journal.heard + 1:
            self.on_missing(run.execution_id)
        else:
            run.deliver(response)

    def adopt(self, plan: ExecutorPlan, max_running: int) -> None:
        """Work by another plan from now on. Runs end on the code they have; hot workflows of replaced code leave."""
        before, self.services.plan = self.services.plan, plan
        self._slots.size = max_running
        for run in list(self._runs.values()):
            if isinstance(run, WorkflowRun):
                self._renew(run, before)
        self._resting.evict()
        self.wake()

    def drain(self, wanted: bool) -> None:
        """Take no more work and keep no workflow that waits, or work again; what runs goes on to its end."""
        if wanted is not self._draining:
            self._draining = self._resting.keeps_none = wanted
            self._resting.evict()
            self.wake()

    def hold(self, held: bool) -> None:
        """Start nothing and let no workflow go on, so that a suspect is alone; or work again."""
        if held:
            self._held_back = self._held_back or []
        elif self._held_back is not None:
            answered, self._held_back = self._held_back, None
            for change in answered:
                self._answered(change)
            self.wake()

    async def lock_alone(self) -> Alone | None:
        """Start the suspect whose turn it is, if this executor may run it."""
        if self._stopping or self._draining or self._tasks is None:
            return None
        # as one of its tasks, so that it does not end in between
        return await self._tasks.create_task(self._lock_alone(), name="suspect")

    async def _lock_alone(self) -> Alone | None:
        plan = self.services.plan
        try:
            alone = await self.services.store.lock_suspect(self._request(plan, 1))
        except ObeliskError as error:
            _log.error("lock_failed", code=error.code, detail=str(error))
            return None
        if alone is not None:
            self._slots.taken += 1
            self._start(alone.held, plan)
        return alone

    def start_over(self, executor_id: ExecutorId) -> None:
        """Go on as another executor: this one was declared dead, and others have its executions by now.

        What the database still has of its runs is released, and counts for nothing.
        """
        self.services.executor_id = executor_id
        self._runnable_by = None
        for run in list(self._runs.values()):
            run.drop("conflict")
        self.wake()

    def _renew(self, run: WorkflowRun, before: ExecutorPlan) -> None:
        """Give a workflow in memory its new settings, or have it leave at its next block to try other code."""
        newer = self.services.plan.on(str(run.function.ffqn), run.held.locked.digest)
        moved = newer is not None and newer.component.name != run.function.component.name
        if newer is not None and not moved:
            run.renew(newer)
        run.is_outdated = moved or self.services.plan.replaces(
            run.function, run.held.locked.digest, before, run.is_outdated
        )
        if run.is_outdated and run in self._resting:
            run.drop("outdated")

    async def stop(self, grace: timedelta) -> None:
        """Lock nothing more, give running attempts `grace` to end, then drop and release the rest."""
        self._stopping = True
        self._wake.set()
        try:
            async with asyncio.timeout(grace.total_seconds()):
                while self._slots.runs > 0:
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            _log.warning("stop_grace_over", running=self._slots.runs)
        for run in list(self._runs.values()):
            run.drop("stopping")

    async def drop(self, execution_id: ExecutionId, reason: DropReason) -> None:
        """Drop the run of an execution, if there is one here, and wait until it is gone."""
        run = self._runs.get(execution_id)
        if run is not None and run.task is not None:
            run.drop(reason)
            await asyncio.wait([run.task])

    def _drop_paused(self, execution_id: ExecutionId) -> None:
        """Drop the run of what an operator paused. A run that has paused itself is about to end and knows it."""
        run = self._runs.get(execution_id)
        if run is not None and run.state.lifecycle == "active":
            run.drop("paused")

    def _drop_ended(self, execution_id: ExecutionId) -> None:
        """Drop the run of what another host has ended. A run that has ended itself knows it."""
        run = self._runs.pop(execution_id, None)
        if run is not None and run.state.status != "finished":
            run.drop("conflict")

    def try_reserve(self, function: FunctionPlan) -> bool:
        """Take a slot for a child, unless all slots are taken or wanted by what was due before it."""
        if self._takes_nothing or self._slots.taken + self._backlog >= self._slots.size:
            return False
        if not self.services.plan.offers(function) or function.component.max_running is not None:
            return False  # what is limited over the whole store is counted where it is locked
        self._slots.taken += 1
        return True

    def holds(self, execution_id: ExecutionId) -> bool:
        """Tell if a run of it is here, of which no end was published."""
        return execution_id in self._runs

    def start_reserved(self, held: Held, created: Ticket) -> None:
        """Start a child, or what is submitted, in the slot that was reserved for it."""
        self._start(held, self.services.plan, created)

    def rest(self, run: Run) -> None:
        """Free the slot of a workflow that waits; of too many in memory, drop those that have waited longest."""
        self._resting.add(run)
        self._leave(run)

    def resume(self, run: Run) -> None:
        """Occupy a slot again."""
        self._resting.remove(run)
        self._slots.taken += 1

    def end(self, run: Run) -> None:
        """Free the slot of a run that computes no more."""
        run.has_ended = True
        self._slots.end()
        if self._backlog:
            self._wake.set()

    def _leave(self, run: Run) -> None:
        self._slots.leave(has_ended=run.has_ended)
        self._changed.set()
        self.on_free()
        if run.function.component.name in self.services.plan.limited:
            self.on_room()
        elif self._backlog:
            self._wake.set()

    def is_crowded(self) -> bool:
        """Tell if executions wait for a slot."""
        return self._backlog > 0 and self._slots.taken >= self._slots.size

    def note_timer(self, due_at: Instant) -> None:
        """Wake the timers for a delay."""
        self._timers.note(due_at)

    def run_ahead(self, response: NewResponse, ticket: Ticket) -> None:
        """Let a blocked parent go on before the commit, if all it waits for is this one answer."""
        if self._held_back is not None:
            return  # it may take the daemon down too
        parent = self._runs.get(response.execution_id)
        if isinstance(parent, WorkflowRun) and parent.is_blocked and response.join_set.startswith("o:"):
            parent.deliver(response_ahead(response), ahead_of=ticket)

    def _request(self, plan: ExecutorPlan, limit: int) -> LockRequest:
        services = self.services
        if self._runnable_by is not plan:
            self._runnable, self._runnable_by = plan.runnable(services.executor_id), plan
        known, now = self._runnable, services.clock.now()
        executor_id, new_run = services.executor_id, services.ids.run
        return LockRequest(executor_id, now, limit, known, new_run, plan.labels, generation=plan.generation)

    async def _lock(self, limit: int) -> int:
        services, plan = self.services, self.services.plan
        self._backlog = 0
        self._is_locking = True
        try:
            held = await services.store.lock(self._request(plan, limit))
        except ObeliskError as error:
            _log.error("lock_failed", code=error.code, detail=str(error))
            self._timers.note(after(services.clock.now(), _RELEASE_BACKOFF))
            return 0
        finally:
            self._is_locking = False
            self.on_free()
        if len(held) == limit:
            self._backlog = self._slots.size
        for one in held:
            self._slots.taken += 1
            self._start(one, plan)
        served = {one.created.ffqn: turn for turn, one in enumerate(held)}
        if served:
            self._runnable.sort(key=lambda one: served.get(one.ffqn, -1))
        return len(held)

    def _start(self, held: Held, plan: ExecutorPlan, created: Ticket | None = None) -> None:
        """Start a run, on the code of the plan that it was locked by; there may be another one by now."""
        assert self._tasks is not None
        function = plan.on(held.created.ffqn, held.locked.digest)
        assert function is not None, "it was locked for code that was not offered"
        kind = WorkflowRun if function.component.kind == "workflow" else ActivityRun
        run = kind(self.services, self, held, function)
        former = self._runs.get(held.execution_id)
        if former is not None:  # it has lost its lock, and may not know
            former.drop("conflict")
        self._runs[held.execution_id] = run
        run.task = self._tasks.create_task(self._carry_out(run, created), name=held.execution_id)
        if self._stopping:  # it was being locked when the stop began
            run.drop("stopping")
        elif held.locked.executor_id != self.services.executor_id:  # it was being locked when the lease was lost
            run.drop("conflict")
        if isinstance(run, WorkflowRun) and plan is not self.services.plan:
            self._renew(run, plan)

    async def _carry_out(self, run: Run, created: Ticket | None) -> None:
        """Own a run from its lock to its end. This is the edge at which a failure of ours is told and survived."""
        try:
            run.begin()
            if created is not None:
                await run.made_by(created, may_run_ahead=self._held_back is None and self._slots.may_run_ahead)
            await run.run()
        except asyncio.CancelledError:
            if run.drop_reason is None:
                raise
            await self._release(run, run.drop_reason, timedelta())
        except VersionConflictError:
            await self._release(run, "conflict", timedelta())
        except ObeliskError as error:
            _log.warning("run_given_up", execution_id=run.execution_id, code=error.code, detail=str(error))
            await self._release(run, error.code, _RELEASE_BACKOFF)
        except Exception:  # noqa: BLE001 - the edge
            _log.exception("run_crashed", execution_id=run.execution_id)
            await self._release(run, "internal_error", _RELEASE_BACKOFF)
        finally:
            if self._runs.get(run.execution_id) is run:
                del self._runs[run.execution_id]
            self._leave(run)
            run.let_go()

    async def _release(self, run: Run, reason: str, wait: timedelta) -> None:
        """Give the lock up, whatever the execution has become; try until the database takes it or we stop."""
        run.leave()
        if self._runs.get(run.execution_id) is run:
            del self._runs[run.execution_id]
        while True:
            now = self.services.clock.now()
            try:
                await self.services.store.release(Release(run.execution_id, run.run_id, reason, now, after(now, wait)))
            except ObeliskError as error:
                _log.warning("release_failed", execution_id=run.execution_id, code=error.code)
                if self._stopping or isinstance(error, OutcomeUnknownError):  # which is the end of this daemon
                    return
                await asyncio.sleep(_RELEASE_BACKOFF.total_seconds())
            else:
                return
