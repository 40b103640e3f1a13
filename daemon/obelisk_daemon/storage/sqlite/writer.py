"""The one connection that writes, and its group commit.

Everything that was queued while a commit ran goes into the next transaction, each logical one in a savepoint, so
that one of them can fail alone. Facts behind the rules are in DESIGN.md section 9.
"""

import asyncio
import logging
import sqlite3
from collections.abc import Callable, Collection, Sequence
from typing import Any, Final, Generic, TypeVar

import aiosqlite

from obelisk_daemon.errors import ObeliskError, OutcomeUnknownError, StorageUnavailableError
from obelisk_daemon.ids import ExecutionId
from obelisk_daemon.metrics import StorageMetrics
from obelisk_daemon.storage.records import Change, DelayEnded, Observer, Recorded, Subscriber, VersionConflictError

T = TypeVar("T")
_LOG: Final = logging.getLogger(__name__)
_LARGEST_GROUP: Final = 1_000


class Transaction:
    """A logical transaction in progress, on the writer's thread."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.execute = connection.execute
        self.executemany = connection.executemany
        self.changes: list[Change] = []
        self.recorded: list[Recorded | DelayEnded] = []


class WriteTicket(Generic[T]):
    """A queued logical transaction. `error` is set once it has failed for good."""

    def __init__(
        self, work: Callable[[Transaction], T], subject: ExecutionId | None, after: "WriteTicket[Any] | None"
    ) -> None:
        self.work = work
        self.subject = subject
        self.after = after
        self.error: BaseException | None = None
        self.result: T | None = None
        self.changes: list[Change] = []
        self.recorded: list[Recorded | DelayEnded] = []
        self._settled: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def durable(self) -> None:
        """Wait for the commit; cancelling the wait doesn't cancel the write."""
        if not self._settled.done():
            await asyncio.shield(self._settled)
        if self.error is not None:
            raise self.error

    async def outcome(self) -> T:
        """Wait for the commit and give what the transaction answered."""
        await self.durable()
        return self.result  # type: ignore[return-value]

    @property
    def left_unlocked(self) -> Collection[ExecutionId]:
        """Give the children that an append was not allowed to lock."""
        return self.result if isinstance(self.result, tuple) else ()

    def settle(self) -> None:
        """Wake whoever waits."""
        if not self._settled.done():
            self._settled.set_result(None)


class WriterConnection(aiosqlite.Connection):
    """A connection whose thread runs whole functions: one hop for a group instead of one for every statement."""

    async def call(self, function: Callable[..., T], *args: object) -> T:
        """Run `function(sqlite3 connection, *args)` on the connection's thread."""
        return await self._execute(function, self._conn, *args)  # type: ignore[no-any-return,no-untyped-call]


class _GroupLostError(Exception):
    """The whole transaction was rolled back, not only a savepoint; `cause` says why."""

    def __init__(self, cause: sqlite3.Error) -> None:
        super().__init__(str(cause))
        self.cause = cause


class Writer:
    """Queues logical transactions and commits them in groups. `run` is a task of the store's owner."""

    def __init__(
        self,
        connection: WriterConnection,
        publish: Subscriber,
        on_broken: Callable[[OutcomeUnknownError], None],
        observe: Observer,
        metrics: StorageMetrics,
    ) -> None:
        self._connection = connection
        self._publish = publish
        self._on_broken = on_broken
        self._observe = observe
        self._metrics = metrics
        metrics.waiting.watch(lambda: len(self._queue))
        self._queue: list[WriteTicket[Any]] = []
        self._wake = asyncio.Event()
        self._linger = False
        self._stopping = False
        self._broken: OutcomeUnknownError | None = None
        self.commits = 0

    def queue(
        self,
        work: Callable[[Transaction], T],
        *,
        subject: ExecutionId | None = None,
        after: WriteTicket[Any] | None = None,
        linger: bool = False,
    ) -> WriteTicket[T]:
        """Queue a transaction; see `ExecutionWriter.append` for `after` and `linger`."""
        ticket = WriteTicket(work, subject, after)
        if self._broken is not None:
            ticket.error = self._broken
            ticket.settle()
            return ticket
        self._linger = linger if not self._queue else self._linger
        self._queue.append(ticket)
        self._wake.set()
        return ticket

    async def run(self) -> None:
        """Commit what is queued until `stop`, then what is left."""
        while not self._stopping or self._queue:
            await self._wake.wait()
            if self._linger:
                await asyncio.sleep(0)
            group, self._queue = self._queue[:_LARGEST_GROUP], self._queue[_LARGEST_GROUP:]
            if not self._queue and not self._stopping:
                self._wake.clear()
            if group:
                await self._carry_out(group)

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
            await self._connection.call(_commit_group, group)
            self.commits += 1
            self._metrics.commit_seconds.observe(loop.time() - began)
            self._metrics.commit_size.observe(len(group))
        except _GroupLostError:
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
                await self._connection.call(_commit_group, [ticket])
            except _GroupLostError as again:
                ticket.error = _unavailable(again.cause)
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


def _unavailable(cause: sqlite3.Error) -> ObeliskError:
    code = "storage_full" if _is_full(cause) else "storage_failed"
    return StorageUnavailableError(code, f"the database refused the write: {cause}")


def _is_full(error: sqlite3.Error) -> bool:
    return getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL  # an error of Python's module has no code


def _commit_group(connection: sqlite3.Connection, group: Sequence[WriteTicket[Any]]) -> None:
    """Run every transaction of the group and commit once. On the writer's thread."""
    try:
        connection.execute("BEGIN IMMEDIATE")
        for ticket in group:
            if ticket.after is not None and ticket.after.error is not None:
                ticket.error = VersionConflictError(ticket.subject or ExecutionId("?"))
            else:
                _run_in_savepoint(connection, ticket)
    except sqlite3.Error as error:
        # SQLITE_FULL and an interrupt roll everything back, other errors leave it: from here all end the same way
        raise _rolled_back(connection, error) from error
    try:
        connection.execute("COMMIT")
    except sqlite3.Error as error:
        if _is_full(error):  # a write to the WAL failed, before the record that makes the commit
            raise _rolled_back(connection, error) from error
        raise OutcomeUnknownError("commit_failed", f"a commit failed, its outcome is unknown: {error}") from error


def _rolled_back(connection: sqlite3.Connection, cause: sqlite3.Error) -> _GroupLostError:
    try:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
    except sqlite3.Error as error:
        raise OutcomeUnknownError("rollback_failed", f"{cause}; and the rollback failed: {error}") from error
    return _GroupLostError(cause)


def _run_in_savepoint(connection: sqlite3.Connection, ticket: WriteTicket[Any]) -> None:
    transaction = Transaction(connection)
    connection.execute("SAVEPOINT one")
    try:
        ticket.result = ticket.work(transaction)
    except sqlite3.IntegrityError as error:
        connection.execute("ROLLBACK TO one")
        ticket.error = error
    except sqlite3.Error:
        raise
    except Exception as error:  # noqa: BLE001 - handed to the waiter, who is the owner of this transaction
        connection.execute("ROLLBACK TO one")
        ticket.error = error
    else:
        ticket.changes, ticket.recorded = transaction.changes, transaction.recorded
    connection.execute("RELEASE one")
