"""The world of one test run: virtual time, children that stubs answer, and the log that a daemon would have written."""

import heapq
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Final

import msgspec

from obelisk_daemon.clock import Instant, after
from obelisk_daemon.execution.events import (
    ChildFinished,
    ChildRequest,
    Created,
    DelayFinished,
    DelayRequest,
    Entry,
    Event,
    HistoryEvent,
    HistoryItem,
    JoinNextTry,
    JoinSetRequest,
    Locked,
    Response,
    ResponseItem,
    RetryPolicy,
    Schedule,
)
from obelisk_daemon.execution.joinsets import JoinSet, Member, member_of
from obelisk_daemon.execution.journal import Journal
from obelisk_daemon.execution.outcome import Failed, Outcome, Returned, outcome_json
from obelisk_daemon.execution.wit_json import same, to_json
from obelisk_daemon.execution.wit_types import FunctionType
from obelisk_daemon.execution.written import written
from obelisk_daemon.executor.logs import LogBuffer
from obelisk_daemon.ids import ExecutionId, ExecutorId, IdSource, RunId
from obelisk_daemon.testing.stubs import Call, Functions, KitError, answer
from obelisk_daemon.wasm.host.context import StubOutcome

_POLL: Final = timedelta(milliseconds=1)
_NOBODY: Final = RetryPolicy(0, 0, 1, 0, 0, ())


class Log(msgspec.Struct, frozen=True):
    """A line that the workflow logged, or wrote to `stdout` or `stderr`."""

    level: str
    message: str


class Scheduled(msgspec.Struct, frozen=True):
    """A top-level execution that the workflow made."""

    ffqn: str
    params: list[object]
    execution_id: str
    due_at: datetime


class VirtualClock:
    """A clock that only moves when it is told to."""

    def __init__(self, now: Instant) -> None:
        self.instant = now

    def now(self) -> Instant:
        """Read the wall clock."""
        return self.instant

    def monotonic(self) -> float:
        """Read seconds."""
        return self.instant / 1_000_000

    def move_to(self, instant: Instant) -> None:
        """Move on; never back."""
        self.instant = max(self.instant, instant)


class World:
    """One run. It is the `WorkflowHost` of its guest."""

    def __init__(self, execution_id: ExecutionId, created: Created, functions: Functions, max_events: int) -> None:
        self.clock = VirtualClock(created.due_at)
        self.entries: list[Entry] = []
        self.responses: list[Response] = []
        self.calls: list[Call] = []
        self.scheduled: list[Scheduled] = []
        self.dropped: list[str] = []
        self.ids = IdSource(lambda: self.clock.now() // 1_000, lambda _bits: 1)
        self.output = LogBuffer(self.clock, 64 << 20)
        self._functions = functions
        self._due: list[tuple[Instant, int, str, ResponseItem]] = []
        self._order = count()
        self._call_numbers: dict[Member, int] = {}
        self._answered: dict[Member, Outcome | None] = {}
        self._stub_executions: dict[ExecutionId, tuple[str, str]] = {}
        self.write(created)
        locked = Locked(ExecutorId("Exr_test"), RunId("Run_test"), 1, created.digest, 1, 0, _NOBODY)
        self.write(locked)
        self.journal = Journal(execution_id, written(self.entries, ()), self.clock.now, max_events)

    def write(self, event: Event, at: Instant | None = None) -> None:
        """Append to the log."""
        self.entries.append(Entry(len(self.entries), self.clock.now() if at is None else at, event))

    def logs(self) -> Iterator[Log]:
        """Take the lines that were logged."""
        return (Log(line.level, line.message) for line in self.output.take(flush=True))

    def function_type(self, ffqn: str) -> FunctionType | None:
        """Look up a function that a call by JSON names."""
        return self._functions.type(ffqn)

    async def wait(self, join_set: str) -> ResponseItem:
        """Let what was asked happen, and time pass, until the join set has a response."""
        await self.commit()
        while not self.journal.sets[join_set].has_next:
            self._pass_time(self.journal.sets[join_set])
        item = self.journal.take(join_set)
        assert item is not None
        return item

    async def flush(self) -> None:
        """Let what was asked happen, and what is due by now. A look for a response takes a moment."""
        last = self.journal.new[-1][1] if self.journal.new else None
        await self.commit()
        if isinstance(last, JoinNextTry):
            self.clock.move_to(after(self.clock.now(), _POLL))
        self._deliver_due()

    async def close(self, join_set: str) -> None:
        """Close a join set."""
        if not self.journal.sets[join_set].is_closed:
            await self.settle(self.journal.begin_close(join_set))

    async def settle(self, closed: JoinSet) -> None:
        """Cancel what can be cancelled in a closed join set, and let time pass for the rest."""
        await self.commit()
        self._deliver_due()
        for delay in closed.delays_unanswered():
            self._deliver(closed.name, DelayFinished(delay, cancelled=True))
        for child, ffqn in closed.children_unanswered():
            stub = self._functions.stub(ffqn)
            if stub is None or stub.cancellable:
                failed = Failed("cancelled", self.ids.failure(), "its join set was closed")
                self._deliver(closed.name, ChildFinished(child, failed))
        while not closed.all_delivered:
            self._pass_time(closed)
        self.journal.end_close(closed.name)

    async def is_taken(self, event: Schedule) -> bool:
        """Tell if there is an execution of that id already, and it is another call."""
        known = [(each.ffqn, each.params) for each in self.scheduled if each.execution_id == event.execution_id]
        is_known = bool(known) or event.execution_id == self.journal.execution_id
        return is_known and (event.ffqn, to_json(event.params)) not in known

    async def find_stub(self, execution_id: ExecutionId) -> str | None:
        """Look up the function of a stub's execution."""
        known = self._stub_executions.get(execution_id)
        return None if known is None else known[1]

    async def finish_stub(self, execution_id: ExecutionId, ffqn: str, result: dict[str, object]) -> StubOutcome:
        """Give a stub's execution its result."""
        join_set, known = self._stub_executions.get(execution_id, ("", ""))
        if known != ffqn:
            return "execution_not_found"
        if execution_id in self._answered:
            before = self._answered[execution_id]
            return "ok" if isinstance(before, Returned) and same(before.value, result) else "conflict"
        self._deliver(join_set, ChildFinished(execution_id, Returned(result)))
        return "ok"

    async def commit(self) -> None:
        """Write what was asked into the log, and start it."""
        asked, self.journal.new = self.journal.new, []
        for at, item in asked:
            self.write(HistoryEvent(item), at)
        for _, item in asked:
            await self._start(item)

    async def _start(self, item: HistoryItem) -> None:
        match item:
            case JoinSetRequest(join_set=join_set, request=ChildRequest() as child):
                await self._start_child(join_set, child)
            case JoinSetRequest(join_set=join_set, request=DelayRequest(delay_id=delay, due_at=due)):
                self._plan(due, join_set, DelayFinished(delay))
            case Schedule(params=list(params), due_at=due, error=None):
                due_at = datetime.fromtimestamp(0, UTC) + timedelta(microseconds=min(due, 1 << 57))
                self.scheduled.append(Scheduled(item.ffqn, to_json(params), item.execution_id, due_at))

    async def _start_child(self, join_set: str, child: ChildRequest) -> None:
        ffqn, stub = child.ffqn, self._functions.stub(child.ffqn)
        call = Call(ffqn, to_json(child.params), child.execution_id)
        self._call_numbers[child.execution_id] = len(self.calls)
        self.calls.append(call)
        if self._functions.is_stub(ffqn):
            self._stub_executions[child.execution_id] = (join_set, ffqn)
        if stub is None:
            raise KitError(
                f'the workflow calls {ffqn} with {call.params}, and nothing stands in: kit.stub("{ffqn}", ...)'
            )
        if stub.pending:
            return
        outcome = await answer(stub, self._functions.declared_type(ffqn), call, self.ids.failure())
        self._plan(
            after(self.clock.now(), stub.duration(call.params)), join_set, ChildFinished(child.execution_id, outcome)
        )

    def _plan(self, due: Instant, join_set: str, item: ResponseItem) -> None:
        heapq.heappush(self._due, (due, next(self._order), join_set, item))

    def _deliver_due(self) -> None:
        while self._due and self._due[0][0] <= self.clock.now():
            self._deliver_next()

    def _pass_time(self, awaiting: JoinSet) -> None:
        if not self._due:
            left = ", ".join(f"{child} ({ffqn})" for child, ffqn in awaiting.children_unanswered())
            raise KitError(
                f"the workflow waits for ever in join set {awaiting.name} for {left}: nobody gives a result. "
                "kit.stub(...) stands in for somebody who does, and takes=timedelta(...) says when"
            )
        self._deliver_next()

    def _deliver_next(self) -> None:
        due, _, join_set, item = heapq.heappop(self._due)
        if member_of(item) not in self._answered:
            self.clock.move_to(due)
            self._deliver(join_set, item)

    def _deliver(self, join_set: str, item: ResponseItem) -> None:
        outcome = item.outcome if isinstance(item, ChildFinished) else None
        self._answered[member_of(item)] = outcome
        response = Response(len(self.responses) + 1, self.clock.now(), join_set, item)
        self.responses.append(response)
        self.journal.deliver(response)
        if outcome is not None:
            number = self._call_numbers[member_of(item)]
            self.calls[number] = msgspec.structs.replace(self.calls[number], result=result_json(outcome))


def result_json(outcome: Outcome) -> dict[str, object]:
    """Write a result as `obelisk-ctl` shows it."""
    return {name: to_json(value) for name, value in outcome_json(outcome).items()}
