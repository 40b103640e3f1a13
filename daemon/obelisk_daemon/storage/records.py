"""The values that cross between the daemon and its database."""

from collections.abc import Callable, Sequence
from typing import Final, Literal, NamedTuple, TypeAlias

import msgspec

from obelisk_daemon.clock import Instant
from obelisk_daemon.errors import ConflictError
from obelisk_daemon.execution.divergence import HOST_ABI
from obelisk_daemon.execution.events import Created, DelayRequest, Entry, Locked, Response, ResponseItem
from obelisk_daemon.execution.outcome import Ending, FailureKind, FailureRecord, Outcome
from obelisk_daemon.execution.state import Lifecycle, State, Status
from obelisk_daemon.ids import DelayId, ExecutionId, ExecutorId, FailureId, RunId


class VersionConflictError(ConflictError):
    """Somebody else's commit was first. Nothing was written; the run that tried must be dropped."""

    def __init__(self, execution_id: ExecutionId) -> None:
        super().__init__("version_conflict", f"{execution_id} was changed by another commit")
        self.execution_id = execution_id


class LogLine(msgspec.Struct, frozen=True, gc=False):
    """A line of a guest's output or log. `level` is that of `obelisk:log`, or the stream it was written to."""

    created_at: Instant
    level: Literal["trace", "debug", "info", "warn", "error", "stdout", "stderr"]
    message: str


class NewExecution(msgspec.Struct, frozen=True):
    """An execution to insert: its first events, and the state they fold to.

    `failure` is that of one that ends as it begins. The id `spare_failure` is for whoever has to go where too many
    wait: another one, or itself.
    """

    execution_id: ExecutionId
    entries: tuple[Entry, ...]
    state: State
    failure: FailureRecord | None = None
    spare_failure: FailureId | None = None

    @property
    def created(self) -> Created:
        """The first event."""
        event = self.entries[0].event
        assert isinstance(event, Created)
        return event


class NewResponse(msgspec.Struct, frozen=True):
    """A response to append to another execution's responses, in the transaction that gives the reason for it."""

    execution_id: ExecutionId
    join_set: str
    created_at: Instant
    item: ResponseItem


class Append(msgspec.Struct, frozen=True):
    """What a run adds to its execution: all of it or nothing.

    `state` is what the log folds to with `entries`. `run_id` and `state.version - len(entries)` must be the stored
    ones. A blocked state says in `awaits` what it waits for. `scheduled` are top-level executions.
    """

    execution_id: ExecutionId
    run_id: RunId
    entries: tuple[Entry, ...]
    state: State
    children: tuple[NewExecution, ...] = ()
    delays: tuple[tuple[str, DelayRequest], ...] = ()
    response: NewResponse | None = None
    awaits: "Awaits | None" = None
    scheduled: tuple[NewExecution, ...] = ()
    cancelled_delays: tuple[DelayId, ...] = ()
    cancelled_children: tuple[ExecutionId, ...] = ()
    held: "Held | None" = None
    """What the run was given, for those who count and trace."""
    logs: tuple[LogLine, ...] = ()
    failures: tuple[FailureRecord, ...] = ()
    may_have_delays: bool = True
    """False for an activity: at its end there are none to delete."""


class Awaits(msgspec.Struct, frozen=True):
    """A blocked execution goes on when its join set has `needed` responses in all.

    `is_new`: the join set is made by this append, so that nothing can have answered yet.
    """

    join_set: str
    needed: int
    is_new: bool


class Held(msgspec.Struct, frozen=True):
    """An execution that a run holds: enough to start it. A workflow's log is read with `read_log`."""

    execution_id: ExecutionId
    locked: Locked
    created: Created
    created_at: Instant
    state: State

    @property
    def run_id(self) -> RunId:
        """The run that holds it."""
        return self.locked.run_id


class Release(msgspec.Struct, frozen=True):
    """A run that was dropped: if it still holds its execution, that is pending again from `due_at` on."""

    execution_id: ExecutionId
    run_id: RunId
    reason: str
    at: Instant
    due_at: Instant


class ResponseChange(msgspec.Struct, frozen=True):
    """A response became durable; `executor_id` is the executor that has its execution in memory, if one has."""

    execution_id: ExecutionId
    response: Response
    executor_id: ExecutorId | None = None


class StateChange(msgspec.Struct, frozen=True):
    """The state of an execution changed; this is what it is now. `is_held`: a run holds it or keeps it in memory.

    `is_new`: it was made by this change; `has_begun`: a run of it was, by its lock. `outcome` is told in the process
    that has ended it.
    """

    execution_id: ExecutionId
    status: Status
    lifecycle: Lifecycle
    due_at: Instant | None
    is_held: bool
    is_new: bool = False
    has_begun: bool = False
    outcome: Outcome | None = None


Change: TypeAlias = ResponseChange | StateChange
Subscriber: TypeAlias = Callable[[Change], None]


class Recorded(msgspec.Struct, frozen=True):
    """A turn in the life of an execution that became durable: that it was made, locked, or let go by a run, or ended.

    `entries` are the events of it, and `state` is what they led to.
    """

    execution_id: ExecutionId
    created: Created
    created_at: Instant
    entries: tuple[Entry, ...]
    state: State
    due_at: Instant | None = None
    """Of one that was taken from the queue: since when it had been due."""
    locked_at: Instant | None = None
    """Of one that a run held: since when."""
    from_outside: bool = False
    """It was not its run that let it go or ended it: the run is lost, or was dropped."""


class DelayEnded(msgspec.Struct, frozen=True):
    """A delay fired or was cancelled, and that became durable."""

    execution_id: ExecutionId
    delay_id: DelayId
    requested_at: Instant
    ended_at: Instant
    cancelled: bool = False


Observer: TypeAlias = Callable[[Recorded | DelayEnded], None]
"""Counts or traces; called on the loop, after the commit and in commit order."""


class LockRequest(msgspec.Struct, frozen=True):
    """What an executor may take: the functions it can run on which code, first those whose turn it is.

    `labels` are what it offers, `abi` is the version of the host interface that it has, and `generation` the newest
    one that it knows the settings of.
    """

    executor_id: ExecutorId
    at: Instant
    limit: int
    runnable: Sequence["Runnable"]
    new_run: Callable[[], RunId]
    labels: frozenset[str] = frozenset()
    abi: int = HOST_ABI
    generation: int = 1 << 62


class Runnable(msgspec.Struct, frozen=True):
    """A function this executor can run, and the `locked` event for an attempt of it, but for run and attempt."""

    ffqn: str
    digest: str
    locked: Callable[[RunId, int], Locked]


CancellationEnd: TypeAlias = Literal["finished", "already_finished", "running"]
"""What became of an execution that was to end as cancelled; `running`: an executor that is alive has to let it go."""


class CancellationProgress(msgspec.Struct, frozen=True):
    """Where the cancellation of one execution stands; `children` are the unfinished ones with their ffqn."""

    already_finished: bool
    children: tuple[tuple[ExecutionId, str], ...]
    is_forced: bool = False


class Summary(msgspec.Struct, frozen=True):
    """One row of a list of executions. `labels` and `priority` are the submitter's."""

    execution_id: ExecutionId
    ffqn: str
    component: str
    digest: str
    status: Status
    lifecycle: Lifecycle
    created_at: Instant
    changed_at: Instant
    version: int
    attempts: int
    due_at: Instant | None
    join_set: str | None
    pause_reason: str | None
    parent_id: ExecutionId | None
    outcome: Outcome | None
    labels: tuple[str, ...] = ()
    priority: int | None = None
    started_at: Instant | None = None
    executor_id: ExecutorId | None = None
    ending: Ending | None = None
    tags: dict[str, str] = {}


class Place(NamedTuple):
    """A place in a list: after what was created then under that id."""

    created_at: Instant
    execution_id: str


class ListFilter(msgspec.Struct, frozen=True):
    """Which executions to list, newest first; `before` is the `next` of the page before.

    `label` is one that the submitter or the function requires. `tags` are keys with their values; without a value, any
    will do. `since` is the first instant and `until` the first one no more.
    """

    limit: int = 50
    ffqn_prefix: str | None = None
    status: Status | None = None
    before: Place | None = None
    parent: ExecutionId | None = None
    top_level: bool = False
    lifecycle: Lifecycle | None = None
    label: str | None = None
    tags: tuple[tuple[str, str | None], ...] = ()
    digest_prefix: str | None = None
    component: str | None = None
    generation: int | None = None
    """The one that was active when they were created."""
    since: Instant | None = None
    until: Instant | None = None
    outcome: Literal["ok", "err", "failed"] | None = None
    failure: FailureKind | None = None
    unfinished: bool = False


class SummaryPage(msgspec.Struct, frozen=True):
    """A page of a list. It may be shorter than was asked for, even empty, and still have a `next`.

    Results that are long are left out.
    """

    rows: list[Summary]
    next: Place | None = None
    examined: int = 0
    """How many executions were looked at."""


class Census(msgspec.Struct, frozen=True):
    """How many unfinished executions a component has in a state; `due` of them wait for an executor since a time."""

    component: str
    status: Status
    lifecycle: Lifecycle
    number: int
    due: int
    oldest_due_at: Instant | None


class Delay(msgspec.Struct, frozen=True):
    """A delay that is still to end."""

    delay_id: DelayId
    join_set: str
    due_at: Instant
    is_paused: bool


class StoredLog(msgspec.Struct, frozen=True):
    """A whole log and its responses, read in one snapshot."""

    entries: list[Entry]
    responses: list[Response]


class Position(msgspec.Struct, frozen=True):
    """How far somebody has read what is kept of an execution: so many events, so many responses, lines up to `line`."""

    version: int = 0
    responses: int = 0
    line: int = 0


Kept: TypeAlias = Literal["events", "responses", "lines"]


class Progress(msgspec.Struct, frozen=True):
    """What an execution has come to, and what is new after a position, in one snapshot.

    Each line has its position and its run. `more` are those of which there is more than fits a page.
    """

    summary: Summary
    entries: list[Entry]
    responses: list[Response]
    lines: list[tuple[int, RunId | None, LogLine]]
    more: frozenset[Kept] = frozenset()


class Tree(msgspec.Struct, frozen=True):
    """An execution and what is below it, level by level; `cut` are those of which children are left out."""

    nodes: tuple[Summary, ...]
    cut: frozenset[ExecutionId]


MOST_COUNTED: Final = 1_000
"""How far a queue is counted: more is told as at least so many."""


class Child(msgspec.Struct, frozen=True):
    """A child that has not ended."""

    execution_id: ExecutionId
    ffqn: str
    status: Status
    lifecycle: Lifecycle


class Waiting(msgspec.Struct, frozen=True):
    """What a workflow waits for: `missing` more responses in its join set, in which `answered` have come.

    `unanswered` counts all members that have not answered; `children` and `delays` are the first of them, the latter
    by the time they are due.
    """

    answered: int
    missing: int
    unanswered: int
    children: tuple[Child, ...] = ()
    delays: tuple[Delay, ...] = ()


class Standing(msgspec.Struct, frozen=True):
    """Where an execution stands, as one snapshot tells. `tail` are its last events, the newest last.

    `locked` is the event of the run that holds it. `waiting` is there of one that is blocked; of one that is being
    cancelled, it has the children that did not end yet. `queued_before` counts, up to `MOST_COUNTED`, those of its
    function, labels and priority that come before one that is due.
    """

    summary: Summary
    tail: tuple[Entry, ...]
    locked: Entry | None = None
    waiting: Waiting | None = None
    queued_before: int = 0
