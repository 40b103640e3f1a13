"""Opening the store on a PostgreSQL that several hosts share."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress

from obelisk_daemon.clock import Instant
from obelisk_daemon.errors import OutcomeUnknownError
from obelisk_daemon.metrics import Metrics, StorageMetrics
from obelisk_daemon.storage.capacity import Sizes
from obelisk_daemon.storage.postgres.announcing import Announcer
from obelisk_daemon.storage.postgres.committing import PostgresGroupCommit
from obelisk_daemon.storage.postgres.connecting import PostgresThread, Target
from obelisk_daemon.storage.postgres.queries import WRITING
from obelisk_daemon.storage.postgres.schema import prepare
from obelisk_daemon.storage.records import Change
from obelisk_daemon.storage.sql.connection import Connection
from obelisk_daemon.storage.sql.reads import Reads
from obelisk_daemon.storage.sql.store import SqlStore
from obelisk_daemon.storage.upkeep import NewExecutor


class PostgresStore(SqlStore):
    """Every Protocol of the port, on a database of several hosts: what they change is published here too."""

    announcer: Announcer
    telling: PostgresThread

    async def time(self) -> Instant:
        """Read the database's clock.

        Raises:
            StorageUnavailableError: it can't be reached.
        """
        return Instant((await self.telling.call(lambda one: one.execute("database_time").fetchone()))["at"])

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
    target: Target,
    writer: str,
    on_broken: Callable[[OutcomeUnknownError], None],
    readers: int = 2,
    metrics: StorageMetrics | None = None,
) -> AsyncIterator[PostgresStore]:
    """Open the store for as long as the context lasts; what is queued at the end is still written.

    `writer` names this process among all that use the database. `on_broken` is called on the loop when nobody knows
    the outcome of a commit.

    Raises:
        OperatorError: the database can't be used.
    """
    await asyncio.to_thread(prepare, target)
    async with AsyncExitStack() as stack:
        writing = await _started(stack, PostgresThread(target, WRITING))
        reading = [await _started(stack, PostgresThread(target)) for _ in range(readers)]
        announcing = await _started(stack, PostgresThread(target))
        reads = Reads(reading, _sizes)
        store = PostgresStore(PostgresGroupCommit(writing, writer), reads, on_broken, metrics or Metrics().storage)
        store.telling = announcing
        store.announcer = Announcer(announcing, target, writer, store.publish)
        tasks = [asyncio.create_task(store.writer.run(), name="writer")]
        telling = asyncio.create_task(store.announcer.run(), name="announcer")
        try:
            yield store
        finally:
            store.writer.stop()
            await tasks[0]
            telling.cancel()
            with suppress(asyncio.CancelledError):
                await telling


async def _started(stack: AsyncExitStack, thread: PostgresThread) -> PostgresThread:
    stack.push_async_callback(thread.close)
    await thread.start()
    return thread


def _sizes(connection: Connection) -> Sizes:
    """Measure the database; its disk is another machine's."""
    row = connection.execute("database_size").fetchone()
    return Sizes(database=row["bytes"], wal=0, disk=0, disk_free=0)
