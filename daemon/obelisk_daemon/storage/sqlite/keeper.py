"""What an operator does with the database of a daemon that runs."""

import asyncio
import hashlib
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

from obelisk_daemon.errors import ConflictError, StorageUnavailableError
from obelisk_daemon.storage.check_process import check_in_process
from obelisk_daemon.storage.database import Backup, CheckReport, DatabaseStats, VacuumReport
from obelisk_daemon.storage.sql.transaction import Transaction
from obelisk_daemon.storage.sql.writer import Writer
from obelisk_daemon.storage.sqlite.connection import raw_of
from obelisk_daemon.storage.sqlite.copying import copy_database
from obelisk_daemon.storage.sqlite.measuring import measure

_CHUNK: Final = 1 << 20
_PAGES: Final = 250
"""Moved in one transaction, for which other writes wait: some milliseconds."""
_COPY: Final = "obelisk.db.copy"


class SqliteKeeper:
    """`DatabaseKeeper` of one database file. `monotonic` is a clock in seconds; `close` ends what is under way."""

    def __init__(self, file: Path, cache: Path, writer: Writer, monotonic: Callable[[], float]) -> None:
        self._file = file
        self._cache = cache
        self._writer = writer
        self._monotonic = monotonic
        self._measuring: asyncio.Task[DatabaseStats] | None = None
        self._checking = False
        self._copying = False
        self._sent: BinaryIO | None = None
        self._closed = threading.Event()
        file.with_name(_COPY).unlink(missing_ok=True)  # of a daemon that was killed
        file.with_name(f"{_COPY}.part").unlink(missing_ok=True)

    def close(self) -> None:
        """Stop a copy that is being made, and let go of one that was being sent. Nobody may ask for more."""
        self._closed.set()
        self._end_sending()

    async def stats(self) -> DatabaseStats:
        """Measure it, once for all who ask meanwhile."""
        if self._measuring is None:
            self._measuring = asyncio.create_task(asyncio.to_thread(measure, self._file, self._cache, self._monotonic))
            self._measuring.add_done_callback(self._measured)
        return await asyncio.shield(self._measuring)

    def _measured(self, _: "asyncio.Task[DatabaseStats]") -> None:
        self._measuring = None

    async def check(self, *, full: bool) -> CheckReport:
        """Look for damage, in a process of its own."""
        if self._checking:
            raise ConflictError("check_running", "the database is being checked already")
        self._checking = True
        try:
            return await check_in_process(str(self._file), full=full)
        finally:
            self._checking = False

    async def vacuum(self) -> VacuumReport:
        """Give the pages back that are free now, step by step."""
        before = await self._writer.queue(_measured).outcome()
        freed = 0
        # what becomes free meanwhile is for the next time, so that this ends whatever is written and deleted
        while freed < before.free and (moved := await self._writer.queue(_free_some).outcome()):
            freed += moved
        after = await self._writer.queue(_measured).outcome()
        page = before.page_bytes
        return VacuumReport(before_bytes=before.pages * page, after_bytes=after.pages * page, freed_bytes=freed * page)

    async def back_up(self) -> Backup:
        """Copy it as it is now. The copy loses its name before it is sent: nothing is left of it, whatever comes."""
        if self._copying or self._sent is not None:
            raise ConflictError("backup_running", "a backup is being made or sent already")
        self._copying = True
        try:
            made = await asyncio.to_thread(_copied, self._file, self._closed.is_set)
        finally:
            self._copying = False
        self._sent = made.file
        return Backup(made.size, made.sha256, self._chunks(made.file), self._end_sending)

    async def _chunks(self, file: BinaryIO) -> AsyncIterator[bytes]:
        try:
            while chunk := await asyncio.to_thread(file.read, _CHUNK):
                yield chunk
        finally:
            self._end_sending()

    def _end_sending(self) -> None:
        if self._sent is not None:
            self._sent.close()
            self._sent = None


class _Copy(NamedTuple):
    file: BinaryIO
    size: int
    sha256: bytes


def _copied(database: Path, is_stopped: Callable[[], bool]) -> _Copy:
    copy = database.with_name(_COPY)
    copy_database(database, copy, is_stopped)
    file = copy.open("rb")
    copy.unlink()
    digest, size = hashlib.sha256(), 0
    while chunk := file.read(_CHUNK):
        digest.update(chunk)
        size += len(chunk)
        if is_stopped():
            file.close()
            raise StorageUnavailableError("copy_failed", "the daemon stops")
    file.seek(0)
    return _Copy(file, size, digest.digest())


class _Extent(NamedTuple):
    """How many pages a database has, how many of them are free, and how big one is."""

    pages: int
    free: int
    page_bytes: int


def _measured(tx: Transaction) -> _Extent:
    names = ("page_count", "freelist_count", "page_size")
    return _Extent(*(raw_of(tx).execute(f"PRAGMA {name}").fetchone()[0] for name in names))


def _free_some(tx: Transaction) -> int:
    """Give some free pages back; give how many, 0 if there is none, or where the file was not made for that."""
    before = _measured(tx)
    for _ in range(min(before.free, _PAGES)):
        raw_of(tx).execute("PRAGMA incremental_vacuum(1)")  # with more, Python's module would step over one page only
    return before.pages - _measured(tx).pages
