"""What the daemon needs of a database: narrow Protocols, and the values that cross them.

Every write is one logical transaction. It is acknowledged (the awaited call returns) only when it is durable; then,
and in commit order, `Change`s are published to whoever subscribed. A write that names a version or a run that is no
longer the current one raises `VersionConflictError` and leaves nothing.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Literal, Protocol, TypeAlias

import msgspec

from obelisk_daemon.clock import Instant
from obelisk_daemon.errors import ConflictError
from obelisk_daemon.execution.events import Created, DelayRequest, Entry, Event, Locked, Response, ResponseItem
from obelisk_daemon.execution.outcome import FailureRecord, Outcome
from obelisk_daemon.execution.state import Lifecycle, State, Status
from obelisk_daemon.ids import ExecutionId, ExecutorId, FailureId, RunId


class VersionConflictError(ConflictError):
    """Somebody else's commit was first. Nothing was written; the run that tried must be dropped."""

    def __init__(self, execution_id: ExecutionId) -> None:
        super().__init__("version_conflict", f"{execution_id} was changed by another commit")
        self.execution_id = execution_id


class LogLine(msgspec.Struct, frozen=True):
    """A line of a guest's output or log. `level` is that of `obelisk:log`, or the stream it was written to."""

    created_at: Instant
    level: Literal["trace", "debug", "info", "warn", "error", "stdout", "stderr"]
    message: str


class NewExecution(msgspec.Struct, frozen=True):
    """An execution to insert: its first events, and the state they fold to."""

    execution_id: ExecutionId
    entries: tuple[Entry, ...]
    state: State

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
    ones. `awaits` names the join set and the number of its responses (from 1) that a blocked state waits for.
    """

    execution_id: ExecutionId
    run_id: RunId
    entries: tuple[Entry, ...]
    state: State
    children: tuple[NewExecution, ...] = ()
    delays: tuple[tuple[str, DelayRequest], ...] = ()
    response: NewResponse | None = None
    awaits: tuple[str, int] | None = None
    logs: tuple[LogLine, ...] = ()
    failures: tuple[FailureRecord, ...] = ()


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
    """A response became durable."""

    execution_id: ExecutionId
    response: Response


class StateChange(msgspec.Struct, frozen=True):
    """The state of an execution changed; this is what it is now. `is_held`: a run holds it or keeps it in memory."""

    execution_id: ExecutionId
    status: Status
    lifecycle: Lifecycle
    due_at: Instant | None
    is_held: bool


Change: TypeAlias = ResponseChange | StateChange
Subscriber: TypeAlias = Callable[[Change], None]


class Ticket(Protocol):
    """A queued write. It is carried out whatever becomes of whoever waits for it."""

    async def durable(self) -> None:
        """Wait until the write is on disk.

        Raises:
            VersionConflictError: nothing was written.
            StorageUnavailableError: nothing was written.
            OutcomeUnknownError: the daemon must stop.
        """
        ...


class ExecutionWriter(Protocol):
    """Writes of executions and of the runs that hold them."""

    async def submit(self, new: NewExecution) -> bool:
        """Insert a top-level execution; answer False, and write nothing, when the same one is there already.

        Raises:
            ConflictError: `execution_exists`: the id is taken by another call.
        """
        ...

    def append(self, append: Append, *, after: Ticket | None = None, linger: bool = False) -> Ticket:
        """Queue what a run adds.

        With `after`, the write also fails when that earlier one failed: it was made by a guest that ran ahead.
        `linger` lets one loop turn pass before the commit, for the parent's next request to share it.
        """
        ...

    async def lock(self, request: "LockRequest") -> list[Held]:
        """Take up to `request.limit` due executions that this executor may run."""
        ...

    async def release(self, release: Release) -> None:
        """Give up a run, whatever its execution has become by now; a blocked one forgets that it was in memory."""
        ...

    async def request_cancellation(self, execution_id: ExecutionId, at: Instant) -> "CancellationProgress":
        """Append `cancellation_requested` if it is not there, and tell what has to be ended first."""
        ...

    async def finish_cancelled(self, execution_id: ExecutionId, at: Instant, failure: FailureRecord) -> bool:
        """End a cancelled execution that no live run holds; answer False when it had ended already."""
        ...

    async def unpause(self, execution_id: ExecutionId, at: Instant, reason: str) -> bool:
        """Lift a pause; answer False when it is not paused."""
        ...


class LockRequest(msgspec.Struct, frozen=True):
    """What an executor may take: `runnable` is (ffqn, digest) with the settings of the attempt to come."""

    executor_id: ExecutorId
    at: Instant
    limit: int
    generation: int
    runnable: Sequence["Runnable"]
    new_run: Callable[[], RunId]


class Runnable(msgspec.Struct, frozen=True):
    """A function this executor can run, and the `locked` event for an attempt of it, but for run and attempt."""

    ffqn: str
    digest: str
    locked: Callable[[RunId, int], Locked]


class CancellationProgress(msgspec.Struct, frozen=True):
    """Where the cancellation of one execution stands."""

    already_finished: bool
    holder: ExecutorId | None
    children: tuple[ExecutionId, ...]


class Store(ExecutionWriter, Protocol):
    """What the executor's runs need."""

    async def read_log(self, execution_id: ExecutionId) -> "StoredLog":
        """Read all there is, for a replay."""
        ...


class TimerStore(Protocol):
    """Durable timers."""

    async def fire_delays(self, at: Instant, limit: int) -> int:
        """Turn up to `limit` delays due by `at` into responses; answer how many there were."""
        ...

    async def next_due(self, after: Instant) -> Instant | None:
        """Read when the next delay, or the next execution pending after `after`, is due."""
        ...


class RecoveryStore(Protocol):
    """Executors, their leases, and what dead ones left behind."""

    async def register_executor(self, executor_id: ExecutorId, host: str, at: Instant) -> None:
        """Make the executor known before it locks anything."""
        ...

    async def heartbeat(self, executor_id: ExecutorId, at: Instant) -> None:
        """Renew the executor's lease."""
        ...

    async def lost_runs(self, alive: ExecutorId, limit: int) -> list["LostRun"]:
        """Read runs locked by executors other than `alive`."""
        ...

    async def end_lost_run(self, lost: "LostRun", ending: Event | FailureRecord, at: Instant) -> None:
        """Append how a lost run ends: an event after which it is tried again, or the failure it finishes with."""
        ...

    async def release_hot(self, alive: ExecutorId) -> None:
        """Forget the memory that dead executors kept of blocked workflows."""
        ...

    async def unfinished_cancellations(self) -> list[ExecutionId]:
        """Read the executions whose cancellation was asked for and is not complete."""
        ...


class LostRun(msgspec.Struct, frozen=True):
    """A run whose executor is gone. `locked` is the event that began it."""

    execution_id: ExecutionId
    run_id: RunId
    locked: Locked
    state: State
    created: Created


class Summary(msgspec.Struct, frozen=True):
    """One row of a list of executions."""

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


class ListFilter(msgspec.Struct, frozen=True):
    """Which executions to list, newest first; `before` is the last id of the page before."""

    limit: int = 50
    ffqn_prefix: str | None = None
    status: Status | None = None
    before: ExecutionId | None = None
    parent: ExecutionId | None = None
    top_level: bool = False


class StoredLog(msgspec.Struct, frozen=True):
    """A whole log and its responses, read in one snapshot."""

    entries: list[Entry]
    responses: list[Response]


class ExecutionReader(Protocol):
    """Reads. Each sees one committed snapshot."""

    async def summary(self, execution_id: ExecutionId) -> Summary:
        """Read one row.

        Raises:
            NotFoundError: `execution_not_found`.
        """
        ...

    async def summaries(self, chosen: ListFilter) -> list[Summary]:
        """Read a page."""
        ...

    async def entries(self, execution_id: ExecutionId, from_version: int, limit: int) -> list[Entry]:
        """Read events from a version on."""
        ...

    async def responses(self, execution_id: ExecutionId, from_seq: int, limit: int) -> list[Response]:
        """Read responses from a sequence number on."""
        ...

    async def log_lines(
        self, execution_id: ExecutionId, after: int, limit: int
    ) -> list[tuple[int, RunId | None, LogLine]]:
        """Read log lines after a position; each with its own position and run."""
        ...

    async def failure(self, failure_id: FailureId) -> FailureRecord:
        """Read a failure in full.

        Raises:
            NotFoundError: `failure_not_found`.
        """
        ...

    async def read_log(self, execution_id: ExecutionId) -> StoredLog:
        """Read all there is, for a replay."""
        ...

    async def counts(self) -> Mapping[str, int]:
        """Count unfinished executions by status and lifecycle (`pending`, `locked`, `blocked`, `paused`, ...)."""
        ...


class StoredComponent(msgspec.Struct, frozen=True):
    """The row of a component's code."""

    digest: str
    code: bytes


class Generation(msgspec.Struct, frozen=True):
    """An accepted manifest. `allowed` maps every ffqn to the digest that may run it."""

    number: int
    activated_at: Instant
    manifest: bytes
    content_hash: str
    allowed: Mapping[str, str]
    components: tuple[str, ...] = ()


class GenerationStore(Protocol):
    """The manifest's accepted versions and the code they name."""

    async def active_generation(self) -> Generation | None:
        """Read the active generation."""
        ...

    async def activate(self, generation: Generation, codes: Sequence[StoredComponent]) -> None:
        """Make a generation the active one, with the code it names, if its number follows the active one's.

        Raises:
            ConflictError: `generation_conflict`: another one was first.
        """
        ...

    async def component_code(self, digest: str) -> bytes | None:
        """Read a component's bytes."""
        ...

    async def paused_automatically(self) -> list[tuple[ExecutionId, str, str]]:
        """Read the executions that were paused because their code could not go on: (id, ffqn, digest)."""
        ...
