"""Opening the store on an SQLite file: one connection that writes, a few that read, and one for its checkpoints."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from obelisk_daemon.errors import OutcomeUnknownError
from obelisk_daemon.metrics import Metrics, StorageMetrics
from obelisk_daemon.storage.capacity import Sizes
from obelisk_daemon.storage.sql.reads import Reads
from obelisk_daemon.storage.sql.store import SqlStore
from obelisk_daemon.storage.sqlite.checkpoints import Checkpoints
from obelisk_daemon.storage.sqlite.committing import SqliteGroupCommit
from obelisk_daemon.storage.sqlite.connection import SqliteReader, SqliteThread
from obelisk_daemon.storage.sqlite.presence import OpenFiles
from obelisk_daemon.storage.sqlite.schema import open_for_checkpoints, open_for_reading, open_for_writing


@asynccontextmanager
async def open_store(
    file: Path,
    on_broken: Callable[[OutcomeUnknownError], None],
    readers: int = 2,
    metrics: StorageMetrics | None = None,
) -> AsyncIterator[SqlStore]:
    """Open the store for as long as the context lasts; what is queued at the end is still written.

    `on_broken` is called on the loop when a commit failed so that nobody knows its outcome: whoever owns the daemon
    ends it, and start-up reads the truth.

    Raises:
        OperatorError: the file can't be used.
    """
    connection = SqliteThread(lambda: open_for_writing(file))
    await connection.open()
    try:
        async with _open_reads(file, readers) as reads, _open_checkpoints(file) as checkpoints:
            group_commit = SqliteGroupCommit(connection, OpenFiles(file), checkpoints)
            store = SqlStore(group_commit, reads, on_broken, metrics or Metrics().storage)
            task = asyncio.create_task(store.writer.run(), name="writer")
            try:
                yield store
            finally:
                store.writer.stop()
                await task
    finally:
        await connection.close()


@asynccontextmanager
async def _open_reads(file: Path, size: int) -> AsyncIterator[Reads]:
    threads = [SqliteReader(lambda: open_for_reading(file)) for _ in range(size)]
    try:
        for thread in threads:
            await thread.open()
        yield Reads(threads, lambda _: _sizes(file))
    finally:
        for thread in threads:
            await thread.close()


@asynccontextmanager
async def _open_checkpoints(file: Path) -> AsyncIterator[Checkpoints]:
    thread = SqliteThread(lambda: open_for_checkpoints(file))
    await thread.open()
    try:
        checkpoints = Checkpoints(thread)
        task = asyncio.create_task(checkpoints.run(), name="checkpoints")
        try:
            yield checkpoints
        finally:
            task.cancel()
            await asyncio.wait([task])
            if not task.cancelled():
                task.result()
    finally:
        await thread.close()


def _sizes(file: Path) -> Sizes:
    wal = file.with_name(file.name + "-wal")
    disk = os.statvfs(file)
    return Sizes(
        database=file.stat().st_size,
        wal=wal.stat().st_size if wal.exists() else 0,
        disk=disk.f_blocks * disk.f_frsize,
        disk_free=disk.f_bavail * disk.f_frsize,
    )
