"""A run of a workflow: the guest against its journal, from the start of the log to its next block or its end."""

import asyncio
from functools import partial
from typing import Final, Literal

import structlog

from obelisk_daemon.clock import Instant
from obelisk_daemon.execution.attempt import End, conclude_overrun, failure_outcome, was_lost_too_often
from obelisk_daemon.execution.divergence import NondeterminismError
from obelisk_daemon.execution.events import (
    ChildRequest,
    DelayRequest,
    Entry,
    Finished,
    HistoryItem,
    JoinSetRequest,
    Paused,
    Response,
    ResponseItem,
    Schedule,
    Unlocked,
)
from obelisk_daemon.execution.joinsets import JoinSet
from obelisk_daemon.execution.journal import Journal
from obelisk_daemon.execution.outcome import FailureKind, FailureRecord, Returned
from obelisk_daemon.execution.state import block, unblock, unload
from obelisk_daemon.execution.wit_types import FunctionType
from obelisk_daemon.execution.written import WrittenLog, written
from obelisk_daemon.executor.children import (
    all_scheduled,
    cancellable,
    is_call_of,
    lock_new,
    new_child,
    opened_in,
    uncallable,
)
from obelisk_daemon.executor.computing import ComputingWatch
from obelisk_daemon.executor.evidence import evidence_of, failure_of
from obelisk_daemon.executor.logs import LogBuffer
from obelisk_daemon.executor.plan import FunctionPlan
from obelisk_daemon.executor.replay_time import ReplayTime
from obelisk_daemon.executor.run import Neighbours, Run, Services, history
from obelisk_daemon.executor.trial import Trial
from obelisk_daemon.executor.workflow_guest import Program, Stopped, call_workflow, close_open_sets, ending_of
from obelisk_daemon.ids import ExecutionId, FailureId
from obelisk_daemon.storage.port import Ticket
from obelisk_daemon.storage.records import Append, Awaits, Held, NewExecution
from obelisk_daemon.wasm.host.context import StubOutcome
from obelisk_daemon.wasm.values import ValueShapeError

_YIELD_AFTER: Final = 20_000
"""Events that one run may write before it gives its slot to others that wait for one."""
_log = structlog.get_logger("workflow")


class _UnloadedError(Exception):
    """The workflow is blocked and not kept in memory."""


class WorkflowRun(Run):
    """One run of a workflow. It is the `WorkflowHost` of its guest."""

    def __init__(self, services: Services, neighbours: Neighbours, held: Held, function: FunctionPlan) -> None:
        super().__init__(services, neighbours, held, function)
        self._watch = ComputingWatch(held.locked.timeout_us / 1_000_000, self)
        self._answered: asyncio.Future[None] | None = None
        self._early: list[Response] | None = []
        self.dropped: list[str] = []
        self.is_outdated = False
        """Other code is active now: it leaves memory when it blocks next, and its next run tries that code."""
        self._trial = Trial(services, held)
        self._replay_time = ReplayTime(services, function.component.name)
        self._unwritten: tuple[FailureRecord, ...] = ()
        """The failure the function ended with, for the commit that begins to close its join sets, or ends it."""
        self.journal = self._journal(written([Entry(0, held.created_at, held.created)], ()))

    @property
    def is_blocked(self) -> bool:
        """Tell if the guest waits for what was asked to be committed, or for a response."""
        return self._watch.is_blocked

    @property
    def asked(self) -> int:
        """Count what the guest has asked for."""
        return self.journal.asked

    def renew(self, function: FunctionPlan) -> None:
        """Go on with other settings of the same code."""
        self.function = function
        self.journal.max_events = function.component.max_history_events

    async def run(self) -> None:
        """Replay the log, go on from there, and append how it ended."""
        await self._open()
        component = self.function.component
        forward = partial(self.services.forward, self.execution_id) if component.forward_stdio else None
        self._logs = LogBuffer(
            self.services.clock,
            component.log_bytes,
            is_muted=lambda: self.journal.is_replaying,
            asked=lambda: self.journal.asked,
            forward=forward,
        )
        try:
            end = await self._end_of_function()
            if isinstance(end.event, Finished):
                self._unwritten = () if end.failure is None else (end.failure,)
                self._logs.end_lines()
                await close_open_sets(self.journal, end.event.outcome, partial(self._settle, keep=True))
        except _UnloadedError:
            return
        logs = self._logs.take(flush=True)
        if not isinstance(end.event, Finished):  # what comes again with the next run is no part of this one's log
            self.journal.new.clear()
            logs = ()
            self._unwritten = () if end.failure is None else (end.failure,)
        new = self._take_new()
        before, scheduled = self._record(new), self._scheduled(new)
        end = End(end.event, next(iter(self._unwritten), None))
        await self.end(end, logs, before=before, scheduled=scheduled)
        if isinstance(end.event, Paused):
            self.services.metrics.executions.automatic_pauses.inc(end.event.reason)
            _log.warning("paused", execution_id=self.execution_id, reason=end.event.reason, detail=end.event.message)

    def let_go(self) -> None:
        """Forget what refers back to it."""
        del self._watch, self.journal
        self.__dict__.pop("_logs", None)

    def _record(self, new: list[tuple[Instant, HistoryItem]]) -> tuple[Entry, ...]:
        """Make entries of what was asked, after what came of trying other code, once that is known."""
        self._replay_time.note(is_replaying=self.journal.is_replaying)
        events = history(new)
        if (tried := self._trial.ending(is_replaying=self.journal.is_replaying)) is not None:
            events.insert(0, (self.state.changed_at, tried))  # what follows has the time which the guest saw
        return self.entries(events)

    def _scheduled(self, new: list[tuple[Instant, HistoryItem]]) -> tuple[NewExecution, ...]:
        return all_scheduled(self.services, self.held.locked.digest, new, self.execution_id)

    async def _end_of_function(self) -> End:
        """Run the guest, unless its function had ended in an earlier run and only its join sets are left to close."""
        outcome = self.journal.recorded_outcome
        if outcome is None and not was_lost_too_often(self.held.locked):
            return await self._run_guest()
        self._trial.give_up()  # without its guest, nothing is known of the code
        self.journal.skip_guest()
        if outcome is not None:
            return End(Finished(outcome))
        lost = self.held.locked.attempt - 1
        return self._failed("timed_out", f"timed out after {lost} attempts: its daemon ended while it ran", "")

    def _journal(self, log: WrittenLog) -> Journal:
        journal = Journal(self.execution_id, log, self._now, self.function.component.max_history_events)
        journal.warn = lambda message: self._logs.line("warn", message)
        return journal

    def _now(self) -> Instant:
        """Read the clock, never behind the log: what the guest sees live is what will be written."""
        return max(self.services.clock.now(), self.state.changed_at)

    async def _open(self) -> None:
        if self.state.version > 2:  # else it was just created and locked: there is nothing more to read
            log = await self.services.store.read_written(self.execution_id)
            self.journal = self._journal(self._replay_time.begin(log))
        for response in self._early or ():
            self.journal.deliver(response)
        self._early = None

    async def _run_guest(self) -> End:
        function = self.function
        program = Program(function.linked, function.ffqn, function.component.limits)
        self._watch.begin()
        try:
            ended = await call_workflow(program, self.held.created, self, self._logs)
        except NondeterminismError as diverged:
            return self._cant_replay(diverged.version, str(diverged))
        except ValueShapeError as misfit:
            return self._cant_replay(None, f"the stored values don't fit this code: {misfit}")
        except asyncio.CancelledError:
            if self.drop_reason != "overrun":
                raise
            assert self.task is not None
            self.task.uncancel()
            self.drop_reason = None  # what is left to do may be dropped for another reason
            if self._trial.is_open and self.journal.is_replaying:
                return self._stay(None, "it computed too long between two host calls, before the end of its log")
            attempt = self.concluding(evidence_of(self._logs, []))
            end = conclude_overrun(attempt, "it computed too long between two host calls")
            if isinstance(end.event, Finished):
                self.journal.skip_guest()  # it may have been in the middle of its log
            return end
        finally:
            self._watch.end()
        return self._ended(ended)

    def _ended(self, ended: Returned | Stopped) -> End:
        """Decide what follows the guest's end: where its log goes on, that is a divergence."""
        try:
            self.journal.end(ending_of(ended))
        except NondeterminismError as diverged:
            backtrace = ended.backtrace if isinstance(ended, Stopped) else ""
            return self._cant_replay(diverged.version, str(diverged), backtrace)
        return End(Finished(ended)) if isinstance(ended, Returned) else self._stopped(ended)

    def function_type(self, ffqn: str) -> FunctionType | None:
        """Look up a function of the active generation."""
        function = self.services.plan.functions.get(ffqn)
        return None if function is None else function.type

    async def wait(self, join_set: str) -> ResponseItem:
        """Commit what was asked, then wait for the next response of the join set."""
        needed = self.journal.sets[join_set].taken + 1
        await self._block(join_set, needed, keep=self._stays_in_memory)
        item = self.journal.take(join_set)
        assert item is not None
        return item

    @property
    def _stays_in_memory(self) -> bool:
        return self.function.component.on_block == "hot" and not self.is_outdated

    async def flush(self) -> None:
        """Commit what was asked; give way to other work when much of it waits."""
        self._watch.block()
        try:
            if self.ahead_of is not None:
                await self.ahead_of.durable()  # what follows a flush is seen by others
            if self.journal.new:
                await self._commit(None, self._take_new()).durable()
            # a replay of the log so far is what giving way costs, so it is done seldom
            if self.state.version - self.held.state.version >= _YIELD_AFTER and self.neighbours.is_crowded():
                self.drop("yielded")
            await asyncio.sleep(0)
        finally:
            self._watch.unblock()

    async def close(self, join_set: str) -> None:
        """Close a join set: cancel what can be cancelled, wait for the rest."""
        if not self.journal.sets[join_set].is_closed:
            await self._settle(self.journal.begin_close(join_set), keep=self._stays_in_memory)

    async def is_taken(self, event: Schedule) -> bool:
        """Tell if there is an execution of that id already, and it is another call."""
        if await self.services.store.find_function(event.execution_id) is None:
            return False
        found = await self.services.store.read_written(event.execution_id)
        return not is_call_of(found.created, event)

    async def find_stub(self, execution_id: ExecutionId) -> str | None:
        """Look up the function of a stub's execution."""
        ffqn = await self.services.store.find_function(execution_id)
        function = self.services.plan.functions.get(ffqn or "")
        return ffqn if function is not None and function.component.kind == "stub" else None

    async def finish_stub(self, execution_id: ExecutionId, ffqn: str, result: dict[str, object]) -> StubOutcome:
        """Give a stub's execution its result."""
        now = self.services.clock.now()
        return await self.services.store.finish_stub(execution_id, ffqn, Returned(result), now)

    async def _settle(self, closed: JoinSet, *, keep: bool) -> None:
        if not closed.all_delivered:
            await self._block(closed.name, len(closed.members), keep=keep, cancel=closed)
        self.journal.end_close(closed.name)

    async def _block(self, join_set: str, needed: int, *, keep: bool, cancel: JoinSet | None = None) -> None:
        """Commit, wait until the join set has `needed` responses, and cancel what it waits for if that is wanted."""
        self._watch.block()
        try:
            awaits = Awaits(join_set, needed, is_new=False)
            committing = self._commit(awaits, self._take_new(), keep=keep, cancel=cancel)
            if keep and await self._is_answered_ahead(committing, join_set, needed):
                return
            await committing.durable()
            if not keep:
                raise _UnloadedError
            if self.is_outdated:  # since the commit was queued
                self.drop("outdated")
                await asyncio.sleep(0)
            await self._responses(join_set, needed)
        finally:
            self._watch.unblock()

    async def _is_answered_ahead(self, committing: Ticket, join_set: str, needed: int) -> bool:
        """Wait for the commit, or for answers whose commit comes after it: there is no need to wait for either."""
        self._answered = asyncio.get_running_loop().create_future()
        committing.when_settled(self._wake)
        await self._answered
        is_answered = len(self.journal.sets[join_set].delivered) >= needed
        return is_answered and self.ahead_of is not None and not self.is_outdated

    async def _responses(self, join_set: str, needed: int) -> None:
        self.neighbours.rest(self)
        try:
            while len(self.journal.sets[join_set].delivered) < needed:
                self._answered = asyncio.get_running_loop().create_future()
                await self._answered
        finally:
            self.neighbours.resume(self)

    def deliver(self, response: Response, ahead_of: Ticket | None = None) -> None:
        """Take a response; with `ahead_of`, before the commit that makes it durable."""
        if self._early is not None:
            self._early.append(response)
        self.journal.deliver(response)
        if ahead_of is not None:
            self.go_ahead_of(ahead_of)
        self._wake()

    def _wake(self) -> None:
        if self._answered is not None and not self._answered.done():
            self._answered.set_result(None)

    def _commit(
        self,
        awaits: Awaits | None,
        new: list[tuple[Instant, HistoryItem]],
        *,
        keep: bool = True,
        cancel: JoinSet | None = None,
    ) -> Ticket:
        """Queue the append of what was asked, and start the children that this executor runs itself."""
        requests = [(at, item) for at, item in new if isinstance(item, JoinSetRequest)]
        children = [self._child(at, i.join_set, i.request) for at, i in requests if isinstance(i.request, ChildRequest)]
        delays = [(i.join_set, i.request) for _, i in requests if isinstance(i.request, DelayRequest)]
        entries = self._record(new)
        if awaits is None:
            self.state = unblock(self.state)  # the last request may be a join-next that was answered at once
        else:
            self.state = block(self.state, awaits.join_set)
            awaits = Awaits(awaits.join_set, awaits.needed, opened_in(new, awaits.join_set))
        append = Append(
            execution_id=self.execution_id,
            run_id=self.run_id,
            entries=entries,
            state=self.state if keep else unload(self.state),
            children=tuple(child for child, _ in children),
            delays=tuple(delays),
            awaits=awaits,
            scheduled=self._scheduled(new),
            held=self.held,
            cancelled_delays=() if cancel is None else tuple(cancel.delays_unanswered()),
            cancelled_children=() if cancel is None else cancellable(self.services, cancel),
            logs=self._logs.take_recorded(),
            failures=self._unwritten,
        )
        self._unwritten = ()
        ticket = self.services.store.append(append, after=self.ahead_of)
        self.ahead_of = None  # from here on, only an answer to this very wait can be ahead of its commit
        for _, held in children:
            if held is not None:
                self.neighbours.start_reserved(held, ticket)
        for _, delay in delays:
            self.neighbours.note_timer(delay.due_at)
        return ticket

    def _child(self, at: Instant, join_set: str, request: ChildRequest) -> tuple[NewExecution, Held | None]:
        services, parent = self.services, (self.execution_id, join_set)
        function = services.plan.callee(request.ffqn, self.held.locked.digest)
        if function is None:
            return uncallable(services, request.execution_id, request.ffqn, request.params, at, parent=parent), None
        new = new_child(services, function, request, parent, at)
        return lock_new(services, function, new, at) if self.neighbours.try_reserve(function) else (new, None)

    def _take_new(self) -> list[tuple[Instant, HistoryItem]]:
        taken, self.journal.new = self.journal.new, []
        return taken

    def _cant_replay(self, version: int | None, message: str, backtrace: str = "") -> End:
        """Decide what follows when the code doesn't go on with the log, or with the values in it: other code may."""
        self.journal.new.clear()  # what diverging code asked is no part of the log
        if self._trial.is_open:
            return self._stay(version, message)
        if self.function.component.on_nondeterminism == "pause":
            return self._paused("nondeterminism", "nondeterminism", message, backtrace)
        self.journal.skip_guest()
        return self._failed("nondeterminism", message, backtrace)

    def _stay(self, version: int | None, message: str) -> End:
        """Leave the execution on the code it has: the other one does not go on with its log."""
        self._trial.fail(version, message)
        return End(Unlocked("upgrade_failed", self._now()))

    def _stopped(self, stopped: Stopped) -> End:
        if stopped.is_trap and self.function.component.on_trap == "pause":
            return self._paused("trap", stopped.kind, stopped.message, stopped.backtrace)
        return self._failed(stopped.kind, stopped.message, stopped.backtrace, stopped.cause)

    def _paused(self, reason: Literal["nondeterminism", "trap"], kind: FailureKind, message: str, trace: str) -> End:
        failure = failure_of(self.services.ids.failure(), kind, message, trace, self._logs)
        digest = self.function.component.digest
        return End(Paused(reason, failure.failure_id, digest, failure.message), failure)

    def _failed(self, kind: FailureKind, message: str, backtrace: str, cause: FailureId | None = None) -> End:
        failure = failure_of(self.services.ids.failure(), kind, message, backtrace, self._logs, cause=cause)
        return End(Finished(failure_outcome(failure)), failure)
