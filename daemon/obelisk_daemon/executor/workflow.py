"""A run of a workflow: the guest against its journal, from the start of the log to its next block or its end."""

import asyncio
from datetime import timedelta
from functools import partial
from typing import Final

from obelisk_daemon.clock import Instant
from obelisk_daemon.execution.attempt import End, Trap, conclude_overrun, failure_outcome
from obelisk_daemon.execution.events import (
    ChildRequest,
    DelayRequest,
    Entry,
    Finished,
    HistoryItem,
    JoinSetCreate,
    JoinSetRequest,
    Paused,
    Response,
    ResponseItem,
)
from obelisk_daemon.execution.journal import Journal, MisuseError, NondeterminismError
from obelisk_daemon.execution.outcome import FailureKind, FailureRecord, Returned
from obelisk_daemon.execution.projection import ChildFailedError
from obelisk_daemon.execution.seeds import SeededBytes
from obelisk_daemon.execution.state import block, unload
from obelisk_daemon.executor.children import new_child
from obelisk_daemon.executor.logs import LogBuffer
from obelisk_daemon.executor.plan import FunctionPlan
from obelisk_daemon.executor.run import Neighbours, Run, Services, history, trap_of
from obelisk_daemon.ids import FailureId
from obelisk_daemon.storage.port import Append, Held, NewExecution, StoredLog, Ticket
from obelisk_daemon.wasm.guest import GuestLimits
from obelisk_daemon.wasm.guest import Returned as GuestReturned
from obelisk_daemon.wasm.host.context import GuestContext
from obelisk_daemon.wasm.host.workflow import UnsupportedHostFunctionError
from obelisk_daemon.wasm.wasi.context import WasiContext

_CHECKS_PER_TIMEOUT: Final = 4


class _UnloadedError(Exception):
    """The workflow is blocked and not kept in memory."""


class _JournalClock:
    """The time the journal allows the guest to know."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._started_at = journal.now

    def wall_ns(self) -> int:
        return self._journal.now * 1_000

    def monotonic_ns(self) -> int:
        return (self._journal.now - self._started_at) * 1_000

    async def sleep_until(self, monotonic_ns: int) -> None:
        raise AssertionError(f"time stands still, so nothing waits for {monotonic_ns}")


class WorkflowRun(Run):
    """One run of a workflow. It is the `WorkflowHost` of its guest."""

    def __init__(self, services: Services, neighbours: Neighbours, held: Held, function: FunctionPlan) -> None:
        super().__init__(services, neighbours, held, function)
        self.is_blocked = False
        self._ahead_of: Ticket | None = None
        self._answered: asyncio.Future[None] | None = None
        self._early: list[Response] | None = []
        self.journal = self._journal(StoredLog([Entry(0, held.created_at, held.created)], []))

    async def run(self) -> None:
        """Replay the log, go on from there, and append how it ended."""
        await self._open()
        component = self.function.component
        forward = partial(self.services.forward, self.execution_id) if component.forward_stdio else None
        self._logs = LogBuffer(
            self.services.clock, component.log_bytes, is_muted=lambda: self.journal.is_replaying, forward=forward
        )
        try:
            end = await self._run_guest()
        except _UnloadedError:
            return
        logs = self._logs.take(flush=True)
        if not isinstance(end.event, Finished):  # what comes again with the next run is no part of this one's log
            self.journal.new.clear()
            logs = ()
        before = self.entries(history(self._take_new()))
        await self.end(end, logs, before=before, after=self._ahead_of)

    def _journal(self, log: StoredLog) -> Journal:
        return Journal(self.execution_id, log.entries, log.responses, self._now)

    def _now(self) -> Instant:
        """Read the clock, never behind the log: what the guest sees live is what will be written."""
        return max(self.services.clock.now(), self.state.changed_at)

    async def _open(self) -> None:
        if self.state.version > 2:  # else it was just created and locked: there is nothing more to read
            self.journal = self._journal(await self.services.store.read_log(self.execution_id))
        for response in self._early or ():
            self.journal.deliver(response)
        self._early = None

    async def _run_guest(self) -> End:
        try:
            async with self._wasi() as wasi:
                return await self._call(wasi)
        except NondeterminismError as diverged:
            return self._diverged(diverged)
        except ChildFailedError as failed:
            return self._stopped(Trap("child_failed", str(failed), ""), failed.failure.failure_id)
        except (MisuseError, UnsupportedHostFunctionError) as misuse:
            return self._stopped(Trap("trap", str(misuse), "\n".join(getattr(misuse, "__notes__", ()))))
        except asyncio.CancelledError:
            if self.drop_reason != "overrun":
                raise
            assert self.task is not None
            self.task.uncancel()
            return conclude_overrun(self.concluding(), "it computed too long between two host calls")

    async def _call(self, wasi: WasiContext) -> End:
        function, created = self.function, self.held.created
        context = GuestContext(wasi=wasi, log=self._logs, workflow=self)
        self._watch(0, -1)
        try:
            ended = await function.component.linked.run(function.ffqn, created.params, context, self._limits())
        finally:
            self._timer.cancel()
        if isinstance(ended, GuestReturned):
            self.journal.end()
            return End(Finished(Returned(function.wrap(ended.value))))
        return self._stopped(trap_of(ended, self._logs.tail("stderr", 20), wasi.trace))

    def _wasi(self) -> WasiContext:
        created = self.held.created
        return WasiContext(
            clock=_JournalClock(self.journal),
            random=SeededBytes(created.seed, "wasi").take,
            output=self._logs.output,
            environ=created.terms.env if created.terms else {},
            time_stands_still=True,
        )

    def _limits(self) -> GuestLimits:
        """Raised limits hold for running executions too, lowered ones only for new ones: a replay must get as far."""
        now, terms = self.function.component.limits, self.held.created.terms
        if terms is None:
            return now
        return GuestLimits(
            memory=max(now.memory, terms.memory),
            fuel=max(now.fuel or 0, terms.fuel),
            host_calls=now.host_calls,
            value=now.value,
        )

    def _watch(self, strikes: int, asked: int) -> None:
        """End the run when the guest neither asks nor waits for as long as its timeout."""
        if self.is_blocked or self.journal.asked != asked:
            strikes = 0
        if strikes >= _CHECKS_PER_TIMEOUT:
            self.drop("overrun")
            return
        interval = timedelta(microseconds=self.held.locked.timeout_us).total_seconds() / _CHECKS_PER_TIMEOUT
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(interval, self._watch, strikes + 1, self.journal.asked)

    async def wait(self, join_set: str) -> ResponseItem:
        """Commit what was asked, then wait for the next response of the join set."""
        keep = self.function.component.on_block == "hot"
        self.is_blocked = True
        try:
            await self._commit_block(join_set, keep=keep).durable()
            if not keep:
                raise _UnloadedError
            return await self._next_response(join_set)
        finally:
            self.is_blocked = False

    async def _next_response(self, join_set: str) -> ResponseItem:
        self.neighbours.rest(self)
        try:
            while (item := self.journal.take(join_set)) is None:
                self._answered = asyncio.get_running_loop().create_future()
                await self._answered
        finally:
            self.neighbours.resume(self)
        return item

    def deliver(self, response: Response, ahead_of: Ticket | None = None) -> None:
        """Take a response; with `ahead_of`, before the commit that makes it durable."""
        if self._early is not None:
            self._early.append(response)
        self.journal.deliver(response)
        if ahead_of is not None:
            self._ahead_of = ahead_of
        if self._answered is not None and not self._answered.done():
            self._answered.set_result(None)

    def _commit_block(self, join_set: str, *, keep: bool) -> Ticket:
        new = self._take_new()
        requests = [(at, item) for at, item in new if isinstance(item, JoinSetRequest)]
        children = [self._child(at, i.join_set, i.request) for at, i in requests if isinstance(i.request, ChildRequest)]
        delays = [(i.join_set, i.request) for _, i in requests if isinstance(i.request, DelayRequest)]
        entries = self.entries(history(new))
        self.state = block(self.state, join_set)
        append = Append(
            execution_id=self.execution_id,
            run_id=self.run_id,
            entries=entries,
            state=self.state if keep else unload(self.state),
            children=tuple(child for child, _ in children),
            delays=tuple(delays),
            awaits=None if _opened_in(new, join_set) else (join_set, self.journal.consumed(join_set) + 1),
            logs=self._logs.take(),
        )
        ticket = self.services.store.append(append, after=self._ahead_of)
        self._ahead_of = None  # from here on, only an answer to this very wait can be ahead of its commit
        for _, held in children:
            if held is not None:
                self.neighbours.start_reserved(held, ticket)
        for _, delay in delays:
            self.neighbours.note_timer(delay.due_at)
        return ticket

    def _child(self, at: Instant, join_set: str, request: ChildRequest) -> tuple[NewExecution, Held | None]:
        lock = self.neighbours.try_reserve(self.services.plan.functions[request.ffqn])
        return new_child(self.services, request, (self.execution_id, join_set), at, lock=lock)

    def _take_new(self) -> list[tuple[Instant, HistoryItem]]:
        taken, self.journal.new = self.journal.new, []
        return taken

    def _stopped(self, trap: Trap, cause: FailureId | None = None) -> End:
        """Decide what follows when the guest can't go on: where its log does, that is a divergence."""
        try:
            self.journal.end(f"the guest's end ({trap.kind}: {trap.message})")
        except NondeterminismError as diverged:
            return self._diverged(diverged, trap.backtrace)
        return self._failed(trap.kind, trap.message, trap.backtrace, cause)

    def _diverged(self, diverged: NondeterminismError, backtrace: str = "") -> End:
        if self.function.component.on_nondeterminism == "fail":
            return self._failed("nondeterminism", str(diverged), backtrace)
        failure = FailureRecord(self.services.ids.failure(), "nondeterminism", str(diverged), backtrace)
        digest = self.function.component.digest
        return End(Paused("nondeterminism", failure.failure_id, digest, failure.message), failure)

    def _failed(self, kind: FailureKind, message: str, backtrace: str, cause: FailureId | None = None) -> End:
        failure = FailureRecord(self.services.ids.failure(), kind, message, backtrace, cause)
        return End(Finished(failure_outcome(failure)), failure)


def _opened_in(new: list[tuple[Instant, HistoryItem]], join_set: str) -> bool:
    """Tell if nothing can have answered yet, since the join set is only being created."""
    return any(isinstance(item, JoinSetCreate) and item.join_set == join_set for _, item in new)
