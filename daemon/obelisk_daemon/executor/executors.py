"""All executors of this process. They share a store, a canceller and the timers; each has its labels and its slots."""

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from datetime import timedelta

from obelisk_daemon.clock import Instant
from obelisk_daemon.executor import submitting
from obelisk_daemon.executor.cancellation import Canceller
from obelisk_daemon.executor.executor import Executor
from obelisk_daemon.executor.isolation import Isolation
from obelisk_daemon.executor.plan import ExecutorPlan
from obelisk_daemon.executor.run import DropReason, Services
from obelisk_daemon.executor.timers import Timers
from obelisk_daemon.ids import ExecutionId
from obelisk_daemon.storage.records import Change, NewExecution, StateChange


class Executors:
    """Runs every executor. `run` is a task of the supervisor; `stop` lets it end.

    `services` are those of no executor in particular: its plan is the active generation's.
    """

    def __init__(self, services: Services, timers: Timers, members: Sequence[Executor]) -> None:
        self.services = services
        self.members = tuple(members)
        self.canceller = Canceller(services, self)
        self.isolation = Isolation(services.store, services.clock, self.members)
        self._timers = timers
        self._tasks: asyncio.TaskGroup | None = None
        self._stopping = False
        for member in self.members:
            member.on_room = self.note_room

    @property
    def running(self) -> int:
        """Count the runs that hold a slot."""
        return sum(member.running for member in self.members)

    @property
    def hot(self) -> int:
        """Count the blocked workflows kept in memory."""
        return sum(member.hot for member in self.members)

    async def run(self) -> None:
        """Lock and run what is due, until `stop`; then wait until every run has ended."""
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            tasks.create_task(self.isolation.run(), name="suspects")
            running = [tasks.create_task(member.run(), name=f"executor {member.name}") for member in self.members]
            try:
                await asyncio.wait(running)
            finally:
                self._stopping = True  # whatever ends them: no task can begin any more
                self.isolation.stop()

    def wake(self) -> None:
        """Look for due executions, of which there may be any number."""
        for member in self.members:
            member.wake()

    def in_memory(self) -> dict[ExecutionId, int]:
        """Give the workflows that are in memory, and up to which `seq` each has all its responses."""
        return {one: heard for member in self.members for one, heard in member.in_memory.items()}

    async def submit(self, new: NewExecution) -> NewExecution | None:
        """Make a top-level execution; see `submitting`."""
        return await submitting.submit(self.services.store, self.members, new)

    def holds(self, execution_id: ExecutionId) -> bool:
        """Tell if a run of it is in this process, of which no end was published."""
        return any(member.holds(execution_id) for member in self.members)

    def note_room(self) -> None:
        """Look for what may run now, where only so many of a component run in the whole store."""
        if self.services.plan.limited:
            self.wake()

    def on_change(self, change: Change) -> None:
        """Follow what was committed."""
        if isinstance(change, StateChange) and change.lifecycle == "cancelling":
            self.canceller.go_on(change.execution_id)
        for member in self.members:
            member.on_change(change)

    def adopt(self, plan: ExecutorPlan, settings: Mapping[str, tuple[Sequence[str], int]]) -> None:
        """Work by another plan from now on; `settings` gives the labels and the slots of each executor by its name."""
        self.services.plan = plan
        for member in self.members:
            labels, max_running = settings[member.name]
            member.adopt(plan.with_labels(labels), max_running)

    async def stop(self, grace: timedelta) -> None:
        """Lock nothing more, give running attempts `grace` to end, then drop and release the rest."""
        self._stopping = True
        self.isolation.stop()
        async with asyncio.TaskGroup() as stopping:
            for member in self.members:
                stopping.create_task(member.stop(grace))

    async def drop(self, execution_id: ExecutionId, reason: DropReason) -> None:
        """Drop the run of an execution, if there is one in this process, and wait until it is gone."""
        for member in self.members:
            await member.drop(execution_id, reason)

    @property
    def is_stopping(self) -> bool:
        """Tell if no new work is taken any more."""
        return self._stopping

    def spawn(self, work: Coroutine[object, object, None], name: str) -> None:
        """Own a task of the cancellation for as long as the executors run."""
        if self._tasks is None or self._stopping:
            work.close()  # when work starts, here or after a restart, all unfinished cancellations are looked at
            return
        self._tasks.create_task(work, name=name)

    def note_timer(self, due_at: Instant) -> None:
        """Wake the timers for something that is due then."""
        self._timers.note(due_at)
