"""The store: the writer, the readers and the port's methods over them."""

from collections.abc import Callable, Collection, Sequence
from typing import Literal, TypeVar

from obelisk_daemon.clock import Instant
from obelisk_daemon.errors import CallerError, OutcomeUnknownError
from obelisk_daemon.execution.events import ComponentUpgraded
from obelisk_daemon.execution.outcome import FailureRecord, Returned
from obelisk_daemon.execution.written import WrittenLog
from obelisk_daemon.ids import DelayId, ExecutionId, ExecutorId, RunId
from obelisk_daemon.metrics import StorageMetrics
from obelisk_daemon.storage.audit import AuditEntry, AuditFilter, AuditOutcome, AuditRow
from obelisk_daemon.storage.generations import (
    Generation,
    GenerationRow,
    Newest,
    Proposal,
    StoredComponent,
    WorkInProgress,
)
from obelisk_daemon.storage.hosts import Beat, Heard, KnownHost, NewHost, Offered
from obelisk_daemon.storage.port import Ticket
from obelisk_daemon.storage.records import (
    Append,
    CancellationEnd,
    CancellationProgress,
    Change,
    DelayEnded,
    Held,
    LockRequest,
    LogLine,
    NewExecution,
    Observer,
    Recorded,
    Release,
    StoredLog,
    Subscriber,
)
from obelisk_daemon.storage.retention import Removed, Window
from obelisk_daemon.storage.sql import (
    appending,
    auditing,
    generations,
    hosting,
    locking,
    queueing,
    recovery,
    removal,
    steering,
    suspects,
    writes,
)
from obelisk_daemon.storage.sql.gathering import QueuedSubmission, Submissions
from obelisk_daemon.storage.sql.reads import Reads
from obelisk_daemon.storage.sql.transaction import Transaction
from obelisk_daemon.storage.sql.writer import MANY, GroupCommit, Writer, WriteTicket
from obelisk_daemon.storage.suspects import Alone
from obelisk_daemon.storage.upkeep import LostEnding, LostRun, NewExecutor

T = TypeVar("T")


class SqlStore:
    """Every Protocol of the port, on one database. Made by the `open_store` of its driver."""

    def __init__(
        self,
        group_commit: GroupCommit,
        reads: Reads,
        on_broken: Callable[[OutcomeUnknownError], None],
        metrics: StorageMetrics,
    ) -> None:
        self._subscribers: list[Subscriber] = []
        self._observers: list[Observer] = []
        self._spare_runs: list[RunId] = []
        self.writer = Writer(group_commit, self.publish_own, on_broken, self._observe, metrics)
        self._submissions = Submissions(self.writer)
        self.reads = reads

    def subscribe(self, subscriber: Subscriber) -> None:
        """Have `subscriber` called on the loop with every change, after its commit and in commit order."""
        self._subscribers.append(subscriber)

    def publish(self, change: Change) -> None:
        """Tell every subscriber of a committed change."""
        for subscriber in self._subscribers:
            subscriber(change)

    def publish_own(self, change: Change) -> None:
        """Tell of a change that was committed here."""
        self.publish(change)

    def observe(self, observer: Observer) -> None:
        """Have `observer` called with every turn in the life of an execution, after those who wait were woken."""
        self._observers.append(observer)

    def _observe(self, recorded: Recorded | DelayEnded) -> None:
        for observer in self._observers:
            observer(recorded)

    async def submit(self, new: NewExecution) -> bool:
        """Insert a top-level execution, once."""
        return await self.queue_submission(new).outcome()

    def queue_submission(self, new: NewExecution) -> QueuedSubmission:
        """Queue a top-level execution, to be inserted once."""
        return self._submissions.add(new)

    async def submit_many(self, many: Sequence[NewExecution]) -> list[bool | CallerError]:
        """Insert top-level executions, each once."""
        if not many:
            return []
        return await self._write(lambda tx: queueing.submit_many(tx, many))

    def append(self, append: Append, *, after: Ticket | None = None) -> WriteTicket[None]:
        """Queue what a run adds."""
        assert after is None or isinstance(after, WriteTicket)
        return self.writer.queue(
            lambda tx: appending.append(tx, append),
            subject=append.execution_id,
            after=after,
            rows=appending.rows_of(append),
        )

    async def keep_lines(self, execution_id: ExecutionId, run_id: RunId, lines: Sequence[LogLine]) -> None:
        """Write log lines of a run."""
        await self._write(lambda tx: appending.keep_lines(tx, execution_id, run_id, lines), rows=len(lines))

    async def lock(self, request: LockRequest) -> list[Held]:
        """Take due executions."""
        # ids are drawn here, not on the writer's thread: their source serves the loop at the same time
        runs, self._spare_runs = self._spare_runs, []
        runs += [request.new_run() for _ in range(request.limit - len(runs))]
        held = await self._write(lambda tx: locking.lock(tx, request, runs), rows=2 * request.limit)
        self._spare_runs = runs[len(held) :]
        return held

    async def request_cancellation(
        self, execution_id: ExecutionId, at: Instant, *, force: bool = False
    ) -> CancellationProgress:
        """Note that somebody wants the end."""
        return await self._write(lambda tx: writes.request_cancellation(tx, execution_id, at, force=force))

    async def finish_cancelled(self, execution_id: ExecutionId, at: Instant, failure: FailureRecord) -> CancellationEnd:
        """End a cancelled execution."""
        return await self._write(lambda tx: writes.finish_cancelled(tx, execution_id, at, failure))

    async def release(self, release: Release) -> None:
        """Give up a run that is no longer there."""
        await self._write(lambda tx: writes.release(tx, release))

    async def unpause(self, execution_id: ExecutionId, at: Instant, reason: str) -> bool:
        """Lift a pause."""
        return await self._write(lambda tx: steering.unpause(tx, execution_id, at, reason))

    async def pause(self, execution_id: ExecutionId, at: Instant) -> bool:
        """Stop an execution until it is resumed."""
        return await self._write(lambda tx: steering.pause(tx, execution_id, at))

    async def upgrade(self, execution_id: ExecutionId, event: ComponentUpgraded, at: Instant) -> None:
        """Move an execution to the current code."""
        await self._write(lambda tx: steering.upgrade(tx, execution_id, event, at))

    async def set_delay_paused(self, delay_id: DelayId, paused: bool) -> Instant:
        """Hold a delay back, or let it go on."""
        return await self._write(lambda tx: steering.set_delay_paused(tx, delay_id, paused))

    async def cancel_delay(self, delay_id: DelayId, at: Instant) -> bool:
        """End a delay as cancelled."""
        return await self._write(lambda tx: writes.cancel_delay(tx, delay_id, at))

    async def finish_stub(
        self, execution_id: ExecutionId, ffqn: str, returned: Returned, at: Instant
    ) -> Literal["ok", "execution_not_found", "conflict"]:
        """Give a stub's execution its result."""
        return await self._write(lambda tx: steering.finish_stub(tx, execution_id, ffqn, returned, at))

    async def fire_delays(self, at: Instant, limit: int) -> int:
        """Turn due delays into responses."""
        return await self._write(lambda tx: writes.fire_delays(tx, at, limit))

    async def next_due(self, after: Instant) -> Instant | None:
        """Read when the next delay, or the next execution pending after `after`, is due."""

        def earliest(tx: Transaction) -> Instant | None:
            (pending,) = tx.execute("next_pending", (after,)).fetchone()
            (delay,) = tx.execute("next_delay").fetchone()
            return min((Instant(at) for at in (pending, delay) if at is not None), default=None)

        return await self._write(earliest)

    async def register_host(self, host: NewHost, at: Instant, until: Instant) -> Instant | None:
        """Make a host known."""
        return await self._write(lambda tx: hosting.register_host(tx, host, at, until))

    async def register_executor(self, executor: NewExecutor, at: Instant, until: Instant) -> None:
        """Make an executor known."""
        await self._write(lambda tx: recovery.register_executor(tx, executor, at, until))

    async def heartbeat(self, beat: Beat) -> Heard:
        """Renew the leases of a host and of its executors."""
        return await self._write(lambda tx: hosting.heartbeat(tx, beat))

    async def end_lease(self, beat: Beat) -> None:
        """Let go of the leases of a host that stops."""
        await self._write(lambda tx: hosting.end_lease(tx, beat))

    async def end_all_leases(self) -> None:
        """Declare all dead."""
        await self._write(hosting.end_all_leases)

    async def note_generation(self, host: str, generation: int, offered: Sequence[Offered] = ()) -> None:
        """Note which generation a host runs now."""
        await self._write(lambda tx: hosting.note_generation(tx, host, generation, offered))

    async def set_draining(self, host: str, draining: bool) -> None:
        """Have a host take no more work, or take work again."""
        await self._write(lambda tx: hosting.set_draining(tx, host, draining))

    async def hosts(self) -> list[KnownHost]:
        """Read all hosts that are known."""
        return await self.reads.hosts()

    async def dead_executors(self, at: Instant) -> list[ExecutorId]:
        """Declare those dead whose lease has ended, and read which dead ones hold anything."""
        return await self._write(lambda tx: recovery.dead_executors(tx, at))

    async def lost_runs(self, dead: Collection[ExecutorId], limit: int) -> list[LostRun]:
        """Read runs of dead executors."""
        return await self._write(lambda tx: recovery.lost_runs(tx, dead, limit))

    async def end_lost_run(self, lost: LostRun, ending: LostEnding, at: Instant) -> bool:
        """Append how a lost run ends, and suspect its execution."""
        return await self._write(lambda tx: recovery.end_lost_run(tx, lost, ending, at))

    async def next_suspect(self, at: Instant) -> Instant | None:
        """Read when the first of the suspects may start that wait for their turn."""
        return await self._write(lambda tx: suspects.next_due(tx, at))

    async def lock_suspect(self, request: LockRequest) -> Alone | None:
        """Lock the suspect whose turn it is."""
        run_id = request.new_run()
        return await self._write(lambda tx: suspects.lock(tx, request, run_id))

    async def end_turn(self, held: Held, *, acquitted: bool) -> None:
        """Note that a suspect is not alone any more."""
        await self._write(lambda tx: suspects.end_turn(tx, held, acquitted=acquitted))

    async def release_hot(self, dead: Collection[ExecutorId]) -> None:
        """Forget what dead executors kept in memory."""
        await self._write(lambda tx: recovery.release_hot(tx, dead))

    async def unfinished_cancellations(self) -> list[ExecutionId]:
        """Read the executions being cancelled."""
        return await self._write(lambda tx: [ExecutionId(r[0]) for r in tx.execute("cancelling")])

    async def active_generation(self) -> Generation | None:
        """Read the active generation."""
        return await self._write(generations.read_active)

    async def newest_generation(self, host: str) -> Newest:
        """Read the number of the active generation."""
        return await self.reads.newest_generation(host)

    async def generation(self, number: int) -> Generation | None:
        """Read a generation."""
        return await self._write(lambda tx: generations.read(tx, number))

    async def generations(self, before: int, limit: int) -> list[GenerationRow]:
        """Read the history."""
        return await self.reads.generations(before, limit)

    async def activate(
        self,
        generation: Generation,
        codes: Sequence[StoredComponent],
        proposed: tuple[str, str] | None = None,
        *,
        strands: bool = False,
    ) -> int:
        """Make a generation the active one."""
        return await self._write(lambda tx: generations.activate(tx, generation, codes, proposed, strands=strands))

    async def note_proposal(self, host: str, proposal: Proposal) -> None:
        """Note what a host's file asks for."""
        values = (host, proposal.content_hash, proposal.generation)
        await self._write(lambda tx: tx.execute("set_proposal", values))

    async def proposal(self, host: str) -> Proposal | None:
        """Read the last file of a host that became a generation."""
        return await self._write(lambda tx: generations.proposal(tx, host))

    async def work_in_progress(self) -> list[WorkInProgress]:
        """Count the unfinished executions by function and digest."""
        return await self.reads.work_in_progress()

    async def unfinished_of(self, ffqn: str, after: str, limit: int) -> list[ExecutionId]:
        """Read ids of unfinished executions of a function."""
        return await self.reads.unfinished_of(ffqn, after, limit)

    async def started_on_other_code(self, ffqn: str, digest: str, limit: int) -> list[tuple[ExecutionId, str]]:
        """Read unfinished executions that were started on another digest."""
        return await self.reads.started_on_other_code(ffqn, digest, limit)

    async def read_log(self, execution_id: ExecutionId) -> StoredLog:
        """Read a whole log and its responses."""
        return await self.reads.read_log(execution_id)

    async def read_written(self, execution_id: ExecutionId) -> WrittenLog:
        """Read a whole log and its responses, as they are stored."""
        return await self.reads.read_written(execution_id)

    async def find_function(self, execution_id: ExecutionId) -> str | None:
        """Read the ffqn of an execution."""
        return await self.reads.find_function(execution_id)

    async def has_finished(self, execution_id: ExecutionId) -> bool:
        """Tell if an execution has ended."""
        return await self.reads.has_finished(execution_id)

    async def component_code(self, digest: str) -> bytes | None:
        """Read a component's bytes."""
        return await self.reads.component_code(digest)

    async def finished_before(self, before: Instant, after: str, window: int) -> Window:
        """Look at the next executions for those that finished before a time."""
        return await self.reads.finished_before(before, after, window)

    async def half_removed(self) -> list[ExecutionId]:
        """Read the trees of which a part is gone."""
        return await self._write(lambda tx: [ExecutionId(row[0]) for row in tx.execute("half_removed")])

    async def remove_trees(self, roots: Sequence[ExecutionId], before: Instant, budget: int) -> Removed:
        """Remove rows of trees in order."""
        return await self._write(lambda tx: removal.remove_trees(tx, roots, before, budget))

    async def remove_generations(self, kept: int, limit: int) -> int:
        """Remove the oldest generations beyond those that are kept."""
        return await self._write(lambda tx: removal.remove_generations(tx, kept, limit))

    async def unneeded_code(self) -> list[str]:
        """Read the digests of components that nothing needs any more."""
        return await self.reads.digests("unneeded_code")

    async def remove_code(self, digest: str) -> bool:
        """Remove the bytes of a component, unless a generation has it again."""
        return await self._write(lambda tx: tx.execute("forget_component", {"digest": digest}).rowcount == 1)

    async def stored_digests(self) -> list[str]:
        """Read the digests of all components that are there."""
        return await self.reads.digests("stored_digests")

    async def liftable(self, abi: int) -> list[ExecutionId]:
        """Read executions that were paused automatically, where other code may go on."""
        return await self._write(lambda tx: [ExecutionId(r[0]) for r in tx.execute("liftable", (abi,))])

    async def audit_begin(self, entry: AuditEntry) -> int:
        """Note what will be carried out."""
        return await self._write(lambda tx: auditing.insert(tx, entry))

    async def audit_end(self, audit_id: int, outcome: AuditOutcome) -> None:
        """Note what became of it."""
        await self._write(lambda tx: auditing.complete(tx, audit_id, outcome))

    async def audit_refused(self, entry: AuditEntry, outcome: AuditOutcome, left_out: int) -> None:
        """Note what was refused."""
        await self._write(lambda tx: auditing.insert(tx, entry, outcome, left_out))

    async def audit_rows(self, chosen: AuditFilter) -> list[AuditRow]:
        """Read a page."""
        return await self.reads.audit_rows(chosen)

    async def _write(self, work: Callable[[Transaction], T], rows: int = MANY) -> T:
        return await self.writer.queue(work, rows=rows).outcome()
