"""The queue of all that is written, and its group commit.

Everything that was queued while a commit ran goes into the next transaction; one of the logical transactions in it can
fail alone. Facts behind the rules are in DESIGN.md section 9.
"""

import asyncio
import logging
from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import Any, Final, Generic, Protocol, TypeVar

from obelisk_daemon.errors import ObeliskError, OutcomeUnknownError, StorageUnavailableError
from obelisk_daemon.ids import ExecutionId
from obelisk_daemon.metrics import StorageMetrics
from obelisk_daemon.storage.records import Change, DelayEnded, Observer, Recorded, Subscriber, VersionConflictError
from obelisk_daemon.storage.sql.transaction import Transaction

T = TypeVar("T")
_LOG: Final = logging.getLogger(__name__)
_LARGEST_GROUP: Final = 1_000
_IDLE_TURNS: Final = 8
"""Turns of the loop that nobody adds anything in, before a group is committed: a step of a workflow takes a few."""
_LONGEST_GATHERING: Final = 0.01
"""Seconds that a group waits for more at most."""
MANY: Final = 1 << 20
"""Rows of a transaction where nobody knows how many."""
GENERATION: Final = "generation"
"""What an activation guards; on a database of several hosts every group of transactions shares in it."""


class WriteTicket(Generic[T]):
    """A queued logical transaction. `error` is set once it has failed for good."""

    def __init__(
        self,
        work: Callable[[Transaction], T],
        subject: ExecutionId | None,
        after: "WriteTicket[Any] | None",
        rows: int = MANY,
    ) -> None:
        self.work = work
        self.subject = subject
        self.after = after
        self.rows = rows
        self.error: BaseException | None = None
        self.result: T | None = None
        self.changes: list[Change] = []
        self.recorded: list[Recorded | DelayEnded] = []
        self.left_unlocked: Collection[ExecutionId] = ()
        self.is_taken = False
        """The writer is at it, or was: nothing can be added to what it does."""
        self._is_settled = False
        self._then: list[Callable[[], None]] = []

    def takes(self, transaction: Transaction) -> None:
        """Have what the transaction tells."""
        self.changes, self.recorded = transaction.changes, transaction.recorded
        self.left_unlocked = transaction.left_unlocked

    async def durable(self) -> None:
        """Wait for the commit; cancelling the wait doesn't cancel the write."""
        if not self._is_settled:
            waits = asyncio.get_running_loop().create_future()
            self.when_settled(partial(_wake, waits))
            await waits
        if self.error is not None:
            raise self.error

    async def outcome(self) -> T:
        """Wait for the commit and give what the transaction answered."""
        await self.durable()
        return self.result  # type: ignore[return-value]

    def when_settled(self, act: Callable[[], None]) -> None:
        """Act once it is durable or has failed; at once where it is so already."""
        if self._is_settled:
            act()
        else:
            self._then.append(act)

    def settle(self) -> None:
        """Wake whoever waits."""
        self._is_settled = True
        self.after = None  # else a long run, of which each append is after another, would be kept whole
        self.work = _carried_out
        then, self._then = self._then, []
        for act in then:
            act()


def _carried_out(_: Transaction) -> Any:
    raise AssertionError("a transaction is carried out before its ticket is settled")


def _wake(waits: asyncio.Future[None]) -> None:
    if not waits.done():  # who waited may have been cancelled
        waits.set_result(None)


class GroupLostError(Exception):
    """Nothing of a group was written, though not all of it is at fault; `reason` is for whoever is."""

    def __init__(self, reason: ObeliskError) -> None:
        super().__init__(str(reason))
        self.reason = reason


class GroupCommit(Protocol):
    """Carries out a group of logical transactions and commits once, on the thread of the connection that writes."""

    short: int
    """About how many rows a group may touch that is carried out in no time. One that would be longer is divided."""

    async def commit(self, group: Sequence[WriteTicket[Any]]) -> None:
        """Fill the tickets: each has its result, or its error where it alone failed.

        Raises:
            GroupLostError: all was rolled back; each is to be tried in a group of its own.
            OutcomeUnknownError: nobody knows if it was committed.
        """
        ...


class Writer:
    """Queues logical transactions and commits them in groups. `run` is a task of the store's owner."""

    def __init__(
        self,
        group_commit: GroupCommit,
        publish: Subscriber,
        on_broken: Callable[[OutcomeUnknownError], None],
        observe: Observer,
        metrics: StorageMetrics,
    ) -> None:
        self._group_commit = group_commit
        self._publish = publish
        self._on_broken = on_broken
        self._observe = observe
        self._metrics = metrics
        metrics.waiting.watch(lambda: len(self._queue))
        self._queue: list[WriteTicket[Any]] = []
        self._wake = asyncio.Event()
        self._stopping = False
        self._broken: OutcomeUnknownError | None = None
        self.commits = 0

    def queue(
        self,
        work: Callable[[Transaction], T],
        *,
        subject: ExecutionId | None = None,
        after: WriteTicket[Any] | None = None,
        rows: int = MANY,
    ) -> WriteTicket[T]:
        """Queue a transaction that touches about so many rows; see `ExecutionWriter.append` for the rest."""
        ticket = WriteTicket(work, subject, after, rows)
        if self._broken is not None:
            ticket.error = self._broken
            ticket.settle()
            return ticket
        self._queue.append(ticket)
        self._wake.set()
        return ticket

    async def run(self) -> None:
        """Commit what is queued until `stop`, then what is left."""
        while not self._stopping or self._queue:
            await self._wake.wait()
            await self._gather()
            count = self._next_group()
            group, self._queue = self._queue[:count], self._queue[count:]
            if not self._queue and not self._stopping:
                self._wake.clear()
            for ticket in group:
                ticket.is_taken = True
            if group:
                await self._carry_out(group)

    async def _gather(self) -> None:
        """Wait while others add to the group: whoever is answered ahead of a commit asks for more, and shares it."""
        loop = asyncio.get_running_loop()
        until, idle, length = loop.time() + _LONGEST_GATHERING, 0, len(self._queue)
        while idle < _IDLE_TURNS and loop.time() < until:
            await asyncio.sleep(0)
            idle = idle + 1 if len(self._queue) == length else 0
            length = len(self._queue)

    def _next_group(self) -> int:
        """Count what is committed next: as much as is short, or else all."""
        short, rows, queue = self._group_commit.short, 0, self._queue[:_LARGEST_GROUP]
        for count, ticket in enumerate(queue):
            if rows and rows <= short < rows + ticket.rows:
                return count
            rows += ticket.rows
        return len(queue)

    def stop(self) -> None:
        """Let `run` end when the queue is empty."""
        self._stopping = True
        self._wake.set()

    async def _carry_out(self, group: list[WriteTicket[Any]]) -> None:
        try:
            await self._commit(group)
        except Exception as error:  # whatever it is: those who wait are told, and nobody after them waits for ever
            self._break(group, OutcomeUnknownError("writer_failed", f"the database's writer failed: {error!r}"))
            raise

    async def _commit(self, group: list[WriteTicket[Any]]) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            await self._group_commit.commit(group)
            self.commits += 1
            self._metrics.commit_seconds.observe(loop.time() - began)
            self._metrics.commit_size.observe(len(group))
        except GroupLostError:
            await self._commit_one_by_one(group)
        except OutcomeUnknownError as unknown:
            self._break(group, unknown)
        for ticket in group:
            if ticket.error is None:
                for change in ticket.changes:
                    self._publish(change)
        for ticket in group:
            ticket.settle()
        self._account(group)

    def _show(self, recorded: Recorded | DelayEnded) -> None:
        try:
            self._observe(recorded)
        except Exception:  # noqa: BLE001 - it is committed: a bug of those who count must not look like a failed commit
            _LOG.exception("what was committed could not be counted or traced")

    def _account(self, group: list[WriteTicket[Any]]) -> None:
        """Show what was done to those who count, once nobody waits for it any more."""
        for ticket in group:
            if ticket.error is None:
                for recorded in ticket.recorded:
                    self._show(recorded)
            elif isinstance(ticket.error, VersionConflictError | StorageUnavailableError):
                self._metrics.errors.inc(ticket.error.code)
            elif not isinstance(ticket.error, ObeliskError):  # what is the caller's fault is no trouble of the storage
                self._metrics.errors.inc("other")

    async def _commit_one_by_one(self, group: list[WriteTicket[Any]]) -> None:
        """Run each transaction of a lost group in a group of its own, so that only the guilty ones fail."""
        for ticket in group:
            ticket.error = None
            try:
                await self._group_commit.commit([ticket])
            except GroupLostError as again:
                ticket.error = again.reason
            except OutcomeUnknownError as unknown:
                self._break(group, unknown)
                return

    def _break(self, group: Sequence[WriteTicket[Any]], unknown: OutcomeUnknownError) -> None:
        self._broken = unknown
        self._stopping = True
        self._on_broken(unknown)
        left, self._queue = self._queue, []
        for ticket in [*group, *left]:
            ticket.error = unknown
            ticket.settle()
