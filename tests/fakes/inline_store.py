"""A store in memory for one workflow, and a world that answers it by a script.

A response becomes due when the log has so many history events, whatever else happens; a workflow that waits for one is
given it at once. So two runs of one script get the same answers at the same places, however often one of them crashes.
"""

import asyncio
import random
from collections.abc import Callable

from obelisk_daemon.clock import Instant
from obelisk_daemon.execution.events import (
    ChildFinished,
    ChildRequest,
    DelayFinished,
    DelayRequest,
    Entry,
    HistoryEvent,
    JoinSetRequest,
    Response,
    ResponseItem,
)
from obelisk_daemon.execution.outcome import Failed, Returned
from obelisk_daemon.execution.state import State
from obelisk_daemon.execution.written import WrittenLog, written
from obelisk_daemon.executor.plan import FunctionPlan
from obelisk_daemon.executor.run import Run
from obelisk_daemon.executor.workflow import WorkflowRun
from obelisk_daemon.ids import DelayId, ExecutionId, FailureId
from obelisk_daemon.storage.records import Append, Awaits, Held, VersionConflictError


class Crash(Exception):  # noqa: N818 - it is no error, it is what the test is about
    """The daemon died right after a commit."""


class DoneTicket:
    """A write that is durable as soon as it is queued, or after which the daemon dies."""

    error: BaseException | None = None
    left_unlocked: tuple[ExecutionId, ...] = ()

    def __init__(self, crashes: bool) -> None:
        self._crashes = crashes

    def when_settled(self, act: Callable[[], None]) -> None:
        act()

    async def durable(self) -> None:
        if self._crashes:
            raise Crash


class InlineStore:
    """The log of one workflow."""

    def __init__(self, execution_id: ExecutionId, entry: Entry, state: State, seed: int) -> None:
        self.execution_id = execution_id
        self.entries = [entry]
        self.responses: list[Response] = []
        self.state = state
        self.commits = 0
        self.crashes = False
        """Whether the daemon dies after every commit."""
        self.run: WorkflowRun | None = None
        self._seed = seed
        self._open: dict[ExecutionId | DelayId, tuple[str, int]] = {}
        """Members that have not answered: their join set, and the length of the history at which they do."""
        self._functions: dict[ExecutionId, str] = {}
        self._history = 0
        self._awaits: Awaits | None = None
        self._stubs: dict[ExecutionId, Returned] = {}

    def append(self, append: Append, *, after: object = None) -> DoneTicket:
        if append.state.version - len(append.entries) != len(self.entries):
            raise VersionConflictError(append.execution_id)
        self.entries += append.entries
        self.state = append.state
        for entry in append.entries:
            self._note(entry)
        for delay_id in append.cancelled_delays:
            self._respond(delay_id, DelayFinished(delay_id, cancelled=True))
        self.cancel(append.cancelled_children)
        self.deliver_due()
        self.commits += 1
        self._awaits = append.awaits
        # one that blocks dies when it begins to wait: until then it tells others what it no longer needs
        return DoneTicket(self.crashes and append.awaits is None and append.state.status != "finished")

    async def read_written(self, execution_id: ExecutionId) -> WrittenLog:
        return written(self.entries, self.responses)

    async def find_function(self, execution_id: ExecutionId) -> str | None:
        return self._functions.get(execution_id)

    async def finish_stub(self, execution_id: ExecutionId, ffqn: str, returned: Returned, at: Instant) -> str:
        if self._functions.get(execution_id) != ffqn:
            return "execution_not_found"
        known = self._stubs.get(execution_id)
        if known is None:
            self._stubs[execution_id] = returned
            self._respond(execution_id, ChildFinished(execution_id, returned))
            return "ok"
        return "ok" if known == returned else "conflict"

    def deliver_due(self) -> None:
        """Answer all whose place in the history has come, in the order of the script."""
        for member, (_, at) in sorted(self._open.items(), key=lambda item: (item[1][1], item[0])):
            if at <= self._history:
                self._respond(member, self._answer(member))

    def answer_waiting(self) -> bool:
        """Answer the next member of the join set that the workflow waits for; False when it has what it needs."""
        awaits = self._awaits
        if awaits is None or sum(r.join_set == awaits.join_set for r in self.responses) >= awaits.needed:
            return False
        _, member = min((at, member) for member, (name, at) in self._open.items() if name == awaits.join_set)
        self._respond(member, self._answer(member))
        return True

    def cancel(self, children: tuple[ExecutionId, ...]) -> None:
        for child in children:
            failure = FailureId(f"Err_{child}")
            self._respond(child, ChildFinished(child, Failed("cancelled", failure, "cancelled on request")))

    def _note(self, entry: Entry) -> None:
        event = entry.event
        if not isinstance(event, HistoryEvent):
            return
        self._history += 1
        if not isinstance(event.event, JoinSetRequest):
            return
        request = event.event.request
        if isinstance(request, ChildRequest):
            self._functions[request.execution_id] = request.ffqn
            self._open[request.execution_id] = (event.event.join_set, self._place(request.execution_id))
        elif isinstance(request, DelayRequest):
            self._open[request.delay_id] = (event.event.join_set, self._place(request.delay_id))

    def _place(self, member: str) -> int:
        return self._history + random.Random(f"{self._seed}/{member}").randint(0, 12)

    def _answer(self, member: ExecutionId | DelayId) -> ResponseItem:
        if member.startswith("Delay_"):
            return DelayFinished(DelayId(member))
        child, chance = ExecutionId(member), random.Random(f"{self._seed}/{member}/answer")
        if chance.random() < 0.2:
            return ChildFinished(child, Failed("timed_out", FailureId(f"Err_{child}"), "took too long"))
        if self._functions[child].startswith("testing:approval"):
            self._stubs[child] = Returned({"ok": chance.random() < 0.5})
            return ChildFinished(child, self._stubs[child])
        return ChildFinished(child, Returned({"ok": chance.randrange(100)}))

    def _respond(self, member: ExecutionId | DelayId, item: ResponseItem) -> None:
        place = self._open.pop(member, None)
        if place is None:
            return
        response = Response(len(self.responses) + 1, self.state.changed_at, place[0], item)
        self.responses.append(response)
        if self.run is not None:
            self.run.deliver(response)


class Alone:
    """The neighbours of a run that has none: children are answered by the store's script."""

    def __init__(self, store: InlineStore) -> None:
        self._store = store

    def try_reserve(self, function: FunctionPlan) -> bool:
        return False

    def start_reserved(self, held: Held, created: object) -> None:
        raise AssertionError("nothing was reserved")

    def rest(self, run: Run) -> None:
        if self._store.crashes:
            raise Crash
        asyncio.get_running_loop().call_soon(self._feed)

    def resume(self, run: Run) -> None:
        pass

    def end(self, run: Run) -> None:
        pass

    def is_crowded(self) -> bool:
        return False

    def note_timer(self, due_at: Instant) -> None:
        pass

    def run_ahead(self, response: object, ticket: object) -> None:
        return None

    def _feed(self) -> None:
        while self._store.answer_waiting():
            pass
