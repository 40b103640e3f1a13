"""What runs of activities and of workflows have in common."""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Literal, Protocol, TypeAlias

import msgspec

from obelisk_daemon.clock import Clock, Instant
from obelisk_daemon.execution.attempt import Concluding, End, Trap
from obelisk_daemon.execution.events import ChildFinished, Entry, Event, Finished, HistoryEvent, HistoryItem, Response
from obelisk_daemon.execution.outcome import Evidence, FailureKind
from obelisk_daemon.execution.state import State, apply
from obelisk_daemon.executor.logs import Level
from obelisk_daemon.executor.plan import ExecutorPlan, FunctionPlan
from obelisk_daemon.ids import ExecutionId, ExecutorId, IdSource
from obelisk_daemon.metrics import Metrics
from obelisk_daemon.storage.port import Store, Ticket
from obelisk_daemon.storage.records import (
    Append,
    Held,
    LogLine,
    NewExecution,
    NewResponse,
    VersionConflictError,
)
from obelisk_daemon.wasm.guest import Trapped
from obelisk_daemon.wasm.wasi.client import HttpClient
from obelisk_daemon.wasm.wasi.context import HttpTrace, WasiClock

DropReason: TypeAlias = Literal[
    "stopping", "cancelled", "conflict", "evicted", "outdated", "overrun", "paused", "upgraded", "yielded"
]

_TRAP_KINDS: dict[str, FailureKind] = {
    "out_of_fuel": "out_of_fuel",
    "memory": "out_of_memory",
    "host_calls": "limit_exceeded",
    "value_size": "limit_exceeded",
    "resources": "limit_exceeded",
}


class Services(msgspec.Struct):
    """What every run of one executor works with."""

    executor_id: ExecutorId
    store: Store
    clock: Clock
    ids: IdSource
    random: Callable[[int], bytes]
    wasi_clock: WasiClock
    http: HttpClient
    plan: ExecutorPlan
    forward: Callable[[ExecutionId, Level, str], None]
    metrics: Metrics = msgspec.field(default_factory=Metrics)
    observe_requests: Callable[[ExecutionId, int, Sequence[HttpTrace]], None] | None = None
    """Takes the HTTP of an attempt once its end is durable, with the version of the event that ended it."""


class Neighbours(Protocol):
    """The other runs of the same executor, as a run sees them."""

    def try_reserve(self, function: FunctionPlan) -> bool:
        """Take a slot for a child, if the locking rule would choose just that child now."""
        ...

    def start_reserved(self, held: Held, created: Ticket) -> None:
        """Start a child whose slot was reserved, which the commit of `created` makes and locks."""
        ...

    def rest(self, run: "Run") -> None:
        """Free the slot of a workflow that waits, and keep it in memory as long as there is room."""
        ...

    def resume(self, run: "Run") -> None:
        """Occupy a slot again; a workflow that goes on needn't wait for one."""
        ...

    def end(self, run: "Run") -> None:
        """Free the slot of a run that computes no more, while its end is being written."""
        ...

    def is_crowded(self) -> bool:
        """Tell if executions wait for a slot."""
        ...

    def note_timer(self, due_at: Instant) -> None:
        """Wake the timers for a delay that is being written."""
        ...

    def run_ahead(self, response: NewResponse, ticket: Ticket) -> None:
        """Let the parent's guest go on before the commit of `ticket`, where DESIGN.md section 4 allows it."""
        ...


class Run:
    """One run under one lock, executed by one task. The executor makes it, starts it and drops it."""

    def __init__(self, services: Services, neighbours: Neighbours, held: Held, function: FunctionPlan) -> None:
        self.services = services
        self.neighbours = neighbours
        self.held = held
        self.function = function
        self.execution_id = held.execution_id
        self.run_id = held.run_id
        self.state = held.state
        self.task: asyncio.Task[None] | None = None
        self.drop_reason: DropReason | None = None
        self.ahead_of: Ticket | None = None
        """The commit that this run is ahead of, for its next append to come after."""
        self.has_ended = False
        """It computes no more: its end is being written."""
        self._has_begun = False

    async def run(self) -> None:
        """Run to an end that is durable, or until dropped.

        Raises:
            VersionConflictError: somebody else changed the execution.
            StorageUnavailableError: the end could not be written.
            HostExhaustedError: this machine has no room for the guest now.
        """
        raise NotImplementedError

    def drop(self, reason: DropReason) -> None:
        """End the guest at once; whoever dropped the run says what becomes of its execution."""
        if self.drop_reason is None and self.task is not None:
            self.drop_reason = reason
            if self._has_begun:
                self.task.cancel()

    def begin(self) -> None:
        """Make the run one that can be cancelled; called by its task.

        A task that is cancelled before its first step skips all of its code, also what gives slot and lock back.

        Raises:
            CancelledError: the run was dropped already.
        """
        self._has_begun = True
        if self.drop_reason is not None:
            raise asyncio.CancelledError

    async def made_by(self, creation: Ticket, *, may_run_ahead: bool) -> None:
        """Let it run once the commit that makes it is durable; a child also ahead of that, where nobody can tell.

        What was submitted waits: if its guest takes the daemon down, its lock must be there to tell whose fault it was.

        Raises:
            VersionConflictError: it was not made, or is not ours.
            StorageUnavailableError: it was not made.
        """
        is_child = self.held.created.parent is not None
        if may_run_ahead and is_child and self.function.component.is_confined:
            self.go_ahead_of(creation)
            return
        await creation.durable()
        if self.execution_id in creation.left_unlocked:
            raise VersionConflictError(self.execution_id)

    def go_ahead_of(self, commit: Ticket) -> None:
        """Run before a commit that its next append will come after, and no longer than there is hope for it."""
        self.ahead_of = commit
        commit.when_settled(partial(self._look_at, commit))

    def _look_at(self, settled: Ticket) -> None:
        if settled.error is not None or self.execution_id in settled.left_unlocked:
            self.drop("conflict")

    def leave(self) -> None:
        """Make the run one that can't be cancelled any more: all that is left is to give its lock back."""
        self._has_begun = False

    def let_go(self) -> None:
        """Forget what refers back to it, once it is over: else all of it stays until the garbage collector comes."""

    def concluding(self, evidence: Evidence) -> Concluding:
        """Describe this attempt for the rules."""
        now = max(self.services.clock.now(), self.state.changed_at)
        return Concluding(self.execution_id, self.held.locked, now, self.services.ids.failure, evidence)

    def entries(self, items: list[tuple[Instant, Event]]) -> tuple[Entry, ...]:
        """Place events at the end of the log and move `state` on."""
        made = []
        for at, event in items:
            entry = Entry(self.state.version, max(at, self.state.changed_at), event)
            self.state = apply(self.state, entry)
            made.append(entry)
        return tuple(made)

    async def end(
        self,
        end: End,
        logs: tuple[LogLine, ...],
        *,
        before: tuple[Entry, ...] = (),
        scheduled: tuple[NewExecution, ...] = (),
    ) -> None:
        """Append the end of this run, let a waiting parent run ahead, and wait until it is durable.

        `before` are entries that `state` has already, and `scheduled` the executions that they ask for.
        """
        entries = before + self.entries([(self.services.clock.now(), end.event)])
        response = self._response(end.event, self.state)
        append = Append(
            execution_id=self.execution_id,
            run_id=self.run_id,
            entries=entries,
            state=self.state,
            response=response,
            scheduled=scheduled,
            held=self.held,
            logs=logs,
            failures=() if end.failure is None else (end.failure,),
            may_have_delays=self.function.component.kind == "workflow",
        )
        ticket = self.services.store.append(append, after=self.ahead_of)
        self.neighbours.end(self)
        if response is not None:
            self.neighbours.run_ahead(response, ticket)
        await ticket.durable()

    def _response(self, event: Event, state: State) -> NewResponse | None:
        parent = self.held.created.parent
        if parent is None or not isinstance(event, Finished):
            return None
        parent_id, join_set = parent
        return NewResponse(parent_id, join_set, state.changed_at, ChildFinished(self.execution_id, event.outcome))


def response_ahead(new: NewResponse) -> Response:
    """Give a response that isn't durable yet, in the form the journal takes; its place in the order comes later."""
    return Response(0, new.created_at, new.join_set, new.item)


def trap_of(trapped: Trapped) -> Trap:
    """Describe a guest's trap."""
    kind: FailureKind = _TRAP_KINDS.get(trapped.kind, "trap")
    return Trap(kind, trapped.message, "\n".join(trapped.backtrace))


def history(items: list[tuple[Instant, HistoryItem]]) -> list[tuple[Instant, Event]]:
    """Wrap what a workflow asked as events of its log."""
    return [(at, HistoryEvent(item)) for at, item in items]
