"""What the daemon needs of a database: narrow Protocols, and the values that cross them.

Every write is one logical transaction. It is acknowledged (the awaited call returns) only when it is durable; then,
and in commit order, `Change`s are published to whoever subscribed. A write that names a version or a run that is no
longer the current one raises `VersionConflictError` and leaves nothing.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Literal, Protocol

from obelisk_daemon.clock import Instant
from obelisk_daemon.errors import CallerError
from obelisk_daemon.execution.events import ComponentUpgraded, Entry, Event, Response
from obelisk_daemon.execution.outcome import FailureRecord, Returned
from obelisk_daemon.execution.written import WrittenLog
from obelisk_daemon.ids import DelayId, ExecutionId, FailureId, RunId
from obelisk_daemon.storage.capacity import KnownExecutor, Queue, Sizes
from obelisk_daemon.storage.hosts import KnownHost
from obelisk_daemon.storage.records import (
    Append,
    CancellationEnd,
    CancellationProgress,
    Census,
    Delay,
    Held,
    ListFilter,
    LockRequest,
    LogLine,
    NewExecution,
    Position,
    Progress,
    Release,
    Standing,
    StoredLog,
    Summary,
    SummaryPage,
    Tree,
)
from obelisk_daemon.storage.suspects import SuspectStore


class Ticket(Protocol):
    """A queued write. It is carried out whatever becomes of whoever waits for it."""

    error: BaseException | None
    """Why nothing was written, once that is settled."""

    def when_settled(self, act: Callable[[], None]) -> None:
        """Act, in the loop, once the write is on disk or has failed; at once where it is so already."""
        ...

    async def durable(self) -> None:
        """Wait until the write is on disk.

        Raises:
            VersionConflictError: nothing was written.
            StorageUnavailableError: nothing was written.
            OutcomeUnknownError: the daemon must stop.
        """
        ...

    @property
    def left_unlocked(self) -> Collection[ExecutionId]:
        """Give, once it is durable, what it did not lock: it was there, or the active generation forbade it."""
        ...


class Submission(Protocol):
    """A submission that is queued."""

    @property
    def ticket(self) -> Ticket:
        """Give the write that makes it, maybe with others."""
        ...

    async def outcome(self) -> bool:
        """Wait, and answer, as `submit` does; what could not be written with the others is made without its lock."""
        ...


class ExecutionWriter(Protocol):
    """Writes of executions and of the runs that hold them."""

    async def submit(self, new: NewExecution) -> bool:
        """Insert a top-level execution; answer False, and write nothing, when the same one is there already.

        Raises:
            ConflictError: `execution_exists`: the id is taken by another call.
            QueueFullError: `queue_full`: as many wait as may, and none of them gives way.
        """
        ...

    def queue_submission(self, new: NewExecution) -> "Submission":
        """Queue what `submit` writes. It may be locked by an executor, which has it as soon as that is durable."""
        ...

    async def submit_many(self, many: Sequence[NewExecution]) -> list[bool | CallerError]:
        """Insert top-level executions in one transaction: for each what `submit` answers, or what it raises."""
        ...

    def append(self, append: Append, *, after: Ticket | None = None) -> Ticket:
        """Queue what a run adds.

        With `after`, the write also fails when that earlier one failed: it was made by a guest that ran ahead.
        """
        ...

    async def keep_lines(self, execution_id: ExecutionId, run_id: RunId, lines: Sequence[LogLine]) -> None:
        """Write log lines of a run ahead of its end, however that may be.

        Raises:
            VersionConflictError: the run holds its execution no more.
        """
        ...

    async def lock(self, request: "LockRequest") -> list[Held]:
        """Take up to `request.limit` due executions that this executor may run."""
        ...

    async def release(self, release: Release) -> None:
        """Give up a run, whatever its execution has become by now; a blocked one forgets that it was in memory."""
        ...

    async def request_cancellation(
        self, execution_id: ExecutionId, at: Instant, *, force: bool = False
    ) -> "CancellationProgress":
        """Append `cancellation_requested` if it is not there, or if it gets forced; tell what has to be ended first.

        Raises:
            NotFoundError: `execution_not_found`.
        """
        ...

    async def finish_cancelled(self, execution_id: ExecutionId, at: Instant, failure: FailureRecord) -> CancellationEnd:
        """End a cancelled execution that no executor runs which is alive; tell what has become of it."""
        ...

    async def unpause(self, execution_id: ExecutionId, at: Instant, reason: str) -> bool:
        """Lift a pause; answer False when it is not paused."""
        ...

    async def finish_stub(
        self, execution_id: ExecutionId, ffqn: str, returned: Returned, at: Instant
    ) -> Literal["ok", "execution_not_found", "conflict"]:
        """Give a stub's execution its result; the same one again is fine."""
        ...


class SteeringStore(Protocol):
    """What an operator does to executions, delays and hosts."""

    async def pause(self, execution_id: ExecutionId, at: Instant) -> bool:
        """Stop an execution until it is resumed; answer False when it is paused already.

        Raises:
            NotFoundError: `execution_not_found`.
            ConflictError: `already_finished`, `cancelling`, or `running` for an activity that runs.
        """
        ...

    async def upgrade(self, execution_id: ExecutionId, event: ComponentUpgraded, at: Instant) -> None:
        """Move an execution to the current code of its function, and lift an automatic pause; a workflow's run ends.

        Raises:
            NotFoundError: `execution_not_found`.
            ConflictError: `already_finished`, `cancelling`; `running`: an activity that runs can't be moved;
                `outdated`: the code is not the current one.
        """
        ...

    async def set_delay_paused(self, delay_id: DelayId, paused: bool) -> Instant:
        """Hold a delay back, or let it go on; answer when it is due.

        Raises:
            NotFoundError: `delay_not_found`.
        """
        ...

    async def cancel_delay(self, delay_id: DelayId, at: Instant) -> bool:
        """End a delay as cancelled; answer False when it has ended already."""
        ...

    async def set_draining(self, host: str, draining: bool) -> None:
        """Have a host take no more work, or take work again, from its next heartbeat on.

        Raises:
            NotFoundError: `host_not_found`.
        """
        ...


class Store(ExecutionWriter, SteeringStore, SuspectStore, Protocol):
    """What the executor's runs need."""

    async def read_written(self, execution_id: ExecutionId) -> WrittenLog:
        """Read all there is, for a replay, as it is stored."""
        ...

    async def unfinished_cancellations(self) -> list[ExecutionId]:
        """Read the executions whose cancellation was asked for and is not complete."""
        ...

    async def find_function(self, execution_id: ExecutionId) -> str | None:
        """Read the ffqn of an execution; None where there is none."""
        ...

    async def has_finished(self, execution_id: ExecutionId) -> bool:
        """Tell if an execution has ended."""
        ...


class ExecutionReader(Protocol):
    """Reads. Each sees one committed snapshot."""

    async def summary(self, execution_id: ExecutionId) -> Summary:
        """Read one row.

        Raises:
            NotFoundError: `execution_not_found`.
        """
        ...

    async def outline(self, execution_id: ExecutionId) -> tuple[Summary, Event, Event | None]:
        """Read one row with the first event of its log and the last; None: it is being deleted.

        Raises:
            NotFoundError: `execution_not_found`.
        """
        ...

    async def summaries(self, chosen: ListFilter) -> SummaryPage:
        """Read a page. The work for it is bounded, whatever the filter finds.

        Raises:
            NotFoundError: `generation_not_found`.
        """
        ...

    async def entries(self, execution_id: ExecutionId, from_version: int, limit: int) -> list[Entry]:
        """Read events from a version on: fewer than `limit` where they are large, but one if there is any."""
        ...

    async def responses(self, execution_id: ExecutionId, from_seq: int, limit: int) -> list[Response]:
        """Read responses from a `seq` on: fewer than `limit` where they are large, but one if there is any."""
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

    async def failure_chain(self, failure_id: FailureId, limit: int) -> list[tuple[ExecutionId, FailureRecord]]:
        """Read a failure, what caused it, what caused that, ...: up to `limit`, each with its execution.

        Raises:
            NotFoundError: `failure_not_found`.
        """
        ...

    async def delays(self, execution_id: ExecutionId, after: str, limit: int) -> list[Delay]:
        """Read delays of an execution that are still to end, by id, those after an id."""
        ...

    async def read_log(self, execution_id: ExecutionId) -> StoredLog:
        """Read all there is, for a replay."""
        ...

    async def counts(self) -> Mapping[str, int]:
        """Count unfinished executions by status and lifecycle (`pending`, `locked`, `blocked`, `paused`, ...)."""
        ...

    async def census(self, at: Instant) -> Sequence[Census]:
        """Count the unfinished executions by component and state, and those of them that wait at a time."""
        ...

    async def queues(self, at: Instant) -> Sequence[Queue]:
        """Read what waits and runs of each component that has any of it, or a limit."""
        ...

    async def executors(self, seen_since: Instant, limit: int) -> Sequence[KnownExecutor]:
        """Read the executors that were seen since then, those that started last first."""
        ...

    async def hosts(self) -> list[KnownHost]:
        """Read all hosts that are known, by their names."""
        ...

    async def sizes(self) -> Sizes:
        """Measure what the database takes on its disk."""
        ...

    async def automatic_pauses(self) -> Mapping[str, int]:
        """Count the executions that were paused because they could not go on, by reason."""
        ...

    async def locked_of(self, component: str) -> int:
        """Count the executions of a component that run now."""
        ...

    async def failed_on(self, execution_id: ExecutionId, digest: str, abi: int) -> tuple[int | None, str] | None:
        """Tell where and why an execution could not go on on some code; None if it was not tried, or it could."""
        ...

    async def standing(self, execution_id: ExecutionId, at: Instant) -> Standing:
        """Read where an execution stands at a time, at the cost of a few rows, however long its log is.

        Raises:
            NotFoundError: `execution_not_found`.
        """
        ...

    async def progress(self, execution_id: ExecutionId, after: Position, limit: int, *, logs: bool) -> Progress:
        """Read what is new of an execution after a position; log lines only where they are wanted.

        Raises:
            NotFoundError: `execution_not_found`.
        """
        ...

    async def summaries_of(self, chosen: Sequence[ExecutionId]) -> list[Summary]:
        """Read the rows of executions, in no order; one that isn't there is left out."""
        ...

    async def tree(self, execution_id: ExecutionId, depth: int, limit: int) -> Tree:
        """Read an execution and its descendants down to a depth, `limit` rows at most, the nearest first.

        Where not all children of one fit, those that come first by their id do.

        Raises:
            NotFoundError: `execution_not_found`.
        """
        ...
