"""The stores of simulated daemons: the real one, on the shared database, with a network that has its troubles."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import msgspec

from obelisk_daemon.clock import Instant
from obelisk_daemon.errors import OutcomeUnknownError, StorageUnavailableError
from obelisk_daemon.metrics import StorageMetrics
from obelisk_daemon.storage.capacity import Sizes
from obelisk_daemon.storage.postgres.announcing import Announcer
from obelisk_daemon.storage.records import Change
from obelisk_daemon.storage.sql.reads import Reads
from obelisk_daemon.storage.sql.store import SqlStore
from obelisk_daemon.storage.sql.writer import GroupLostError
from obelisk_daemon.storage.sqlite.committing import SqliteGroupCommit
from obelisk_daemon.storage.upkeep import NewExecutor
from tests.simulation.database import Database, WatchedConnection
from tests.simulation.faults import CommitFault, Faults
from tests.simulation.process import Process
from tests.simulation.trace import Trace

T = TypeVar("T")
_READERS = 2


class Line(msgspec.Struct):
    """The way of one daemon to the database. While it is cut, nothing gets through."""

    database: Database
    connection: WatchedConnection
    process: Process
    faults: Faults
    trace: Trace
    is_shared: bool
    is_cut: bool = False

    def check(self) -> None:
        """Fail where the database can't be reached."""
        if self.is_cut or not self.database.is_open:
            raise StorageUnavailableError("storage_failed", "the database can't be reached")


class ReadingThread:
    """`ConnectionThread` for reads: what they give is old by the time it arrives."""

    def __init__(self, line: Line) -> None:
        self._line = line

    async def call(self, function: Callable[[WatchedConnection], T], /) -> T:
        """Run a function on the connection."""
        line = self._line
        await asyncio.sleep(line.faults.latency())
        if line.is_shared and line.faults.of_read():
            line.trace.note(line.process.name, "a read fails")
            raise StorageUnavailableError("storage_failed", "the connection was lost")
        line.check()
        answer = function(line.connection)
        await asyncio.sleep(line.faults.latency())
        return answer


class WritingThread:
    """`SqliteThread` for the writer: each call is one group of transactions."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._number = 0

    async def call(self, function: Callable[[WatchedConnection], T], /) -> T:
        """Commit a group, or have it fail in one of the ways in which that can go wrong."""
        line = self._line
        self._number += 1
        await asyncio.sleep(line.faults.latency())
        if line.is_cut or not line.database.is_open:
            raise GroupLostError(StorageUnavailableError("storage_failed", "the database can't be reached"))
        fault = line.faults.of_commit()
        line.trace.note(line.process.name, f"commit {self._number}{'' if fault is None else ': ' + fault}")
        await self._before(fault)
        try:
            answer = function(line.connection)
        finally:
            line.connection.fail_at = line.database.raw.commit_fault = None
        await self._after(fault)
        await asyncio.sleep(line.faults.latency())
        return answer

    def here(self, _function: Callable[[WatchedConnection], bool], /) -> bool:
        """Refuse: what a daemon does here must not be seen by the others before it commits."""
        return False

    async def _before(self, fault: CommitFault | None) -> None:
        line = self._line
        match fault:
            case "killed before":
                await killed(line.process, fault)
            case "refused":
                raise GroupLostError(StorageUnavailableError("storage_failed", "the database refuses"))
            case "statement failed":
                line.connection.fail_at = line.faults.statement()
            case "commit lost" | "commit unknown":
                line.database.raw.commit_fault = fault

    async def _after(self, fault: CommitFault | None) -> None:
        if fault == "killed after":
            await killed(self._line.process, fault)
        if fault == "reported lost":
            raise OutcomeUnknownError("commit_failed", "the connection was lost at a commit")


async def killed(process: Process, why: str) -> None:
    """Kill the process that the running step belongs to: this never returns."""
    process.kill(why)
    await asyncio.get_running_loop().create_future()


class SharedStore(SqlStore):
    """The store of a database of several hosts, as `PostgresStore` is."""

    announcer: Announcer
    tell_time: Callable[[], Instant]
    line: Line

    async def time(self) -> Instant:
        """Read the database's clock."""
        await asyncio.sleep(self.line.faults.latency())
        self.line.check()
        at = self.tell_time()
        await asyncio.sleep(self.line.faults.latency())
        return at

    async def register_executor(self, executor: NewExecutor, at: Instant, until: Instant) -> None:
        """Make an executor known."""
        self.announcer.know(executor.executor_id)
        await super().register_executor(executor, at, until)

    def publish_own(self, change: Change) -> None:
        """Publish a change of this host, here and to the others."""
        self.publish(change)
        self.announcer.take(change)


@asynccontextmanager
async def open_store(
    line: Line, on_broken: Callable[[OutcomeUnknownError], None], metrics: StorageMetrics
) -> AsyncIterator[SqlStore]:
    """Open a store on a line; as the real ones do, it writes what is queued at the end."""
    reads = Reads([ReadingThread(line) for _ in range(_READERS)], lambda _: Sizes(0, 0, 0, 0))
    kind = SharedStore if line.is_shared else SqlStore
    writing: Any = WritingThread(line)
    store = kind(SqliteGroupCommit(writing), reads, on_broken, metrics)
    task = line.process.start(store.writer.run(), "writer")
    try:
        yield store
    finally:
        store.writer.stop()
        await task


class Network:
    """Carries what daemons tell each other: late, in another order, or not at all."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self.is_open = True
        self._hearers: dict[Process, Announcer] = {}

    def join(self, process: Process, announcer: Announcer) -> None:
        """Have a daemon hear what others tell."""
        self._hearers[process] = announcer

    async def call(self, function: Callable[[Any], T], /) -> T:
        """Take an announcement, in place of a connection's thread."""
        return function(self)

    def execute(self, statement: str, values: tuple[str], /) -> "Network":
        """Take one message to all."""
        assert statement == "announce"
        for process, announcer in list(self._hearers.items()):
            if process.is_dead:
                del self._hearers[process]
            elif self._faults.loses_message():
                process.call_later(self._faults.latency() * 100, self._deliver, announcer, None)
            else:
                process.call_later(self._faults.latency(), self._deliver, announcer, values[0])
        return self

    def _deliver(self, announcer: Announcer, payload: str | None) -> None:
        if not self.is_open:
            return
        if payload is None:
            announcer.on_gap()
        else:
            announcer._hear(payload)

    def fetchall(self) -> list[object]:
        """Give what the statement answers: nothing."""
        return []


class SimulatedAnnouncer(Announcer):
    """The announcer of one daemon, on the simulated network."""

    async def _listen(self) -> None:
        self.on_gap()
        await asyncio.get_running_loop().create_future()
