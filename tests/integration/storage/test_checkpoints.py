"""What was committed is moved to the database file beside the commits, and the WAL begins anew."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from obelisk_daemon.storage.sql.transaction import Transaction
from obelisk_daemon.storage.sql.writer import WriteTicket
from obelisk_daemon.storage.sqlite.checkpoints import Checkpoints
from obelisk_daemon.storage.sqlite.committing import SqliteGroupCommit
from obelisk_daemon.storage.sqlite.connection import SqliteConnection, SqliteThread
from obelisk_daemon.storage.sqlite.schema import open_for_checkpoints, open_for_writing

pytestmark = pytest.mark.anyio


class Moving(SqliteThread):
    """A connection that tells when it has moved what there was, fails, or leaves all of it."""

    def __init__(self, file: Path) -> None:
        super().__init__(lambda: open_for_checkpoints(file))
        self.has_moved = asyncio.Event()
        self.fails = False
        self.leaves_all = False

    async def call(self, function: Callable[[SqliteConnection], Any], /) -> Any:
        try:
            if self.fails:
                raise sqlite3.OperationalError("disk I/O error")
            return await super().call((lambda _: None) if self.leaves_all else function)
        finally:
            self.has_moved.set()


class Scene:
    def __init__(self, file: Path, moving: Moving, writing: SqliteThread) -> None:
        self.moving = moving
        self._wal = file.with_name("obelisk.db-wal")
        self.checkpoints = Checkpoints(moving)
        self._group_commit = SqliteGroupCommit(writing, checkpoints=self.checkpoints)

    async def write(self, rows: int) -> None:
        def work(tx: Transaction) -> None:
            tx.executemany("insert_log_line", [("E_1", "Run_1", 0, "info", "text")] * rows)

        await self._group_commit.commit([WriteTicket(work, None, None)])

    async def moved(self) -> None:
        await self.moving.has_moved.wait()
        self.moving.has_moved.clear()

    @property
    def beginning(self) -> bytes:
        """What is in the header of a WAL, and other each time it begins anew."""
        return self._wal.read_bytes()[12:24]


@asynccontextmanager
async def opened(tmp_path: Path) -> AsyncIterator[Scene]:
    file = tmp_path / "obelisk.db"
    writing, moving = SqliteThread(lambda: open_for_writing(file)), Moving(file)
    await writing.open()
    await moving.open()
    scene = Scene(file, moving, writing)
    task = asyncio.create_task(scene.checkpoints.run())
    try:
        yield scene
    finally:
        task.cancel()
        await asyncio.wait([task])
        await moving.close()
        await writing.close()


async def test_after_many_rows_the_wal_begins_anew_with_the_next_transaction(tmp_path: Path) -> None:
    async with opened(tmp_path) as scene:
        await scene.write(1)
        first = scene.beginning
        await scene.write(4_000)
        assert not scene.moving.has_moved.is_set()
        await scene.write(999)
        await scene.moved()
        assert scene.beginning == first
        await scene.write(1)
        assert scene.beginning != first


async def test_what_is_left_is_moved_before_the_next_transaction(tmp_path: Path) -> None:
    async with opened(tmp_path) as scene:
        scene.moving.leaves_all = True
        await scene.write(5_000)
        first = scene.beginning
        await scene.moved()
        await scene.write(1)
        assert scene.beginning != first


async def test_what_can_not_be_moved_is_told_and_moved_later(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with opened(tmp_path) as scene:
        scene.moving.fails = True
        await scene.write(5_000)
        await scene.moved()
        first = scene.beginning
        assert caplog.messages == ["what was committed could not be moved to the database file: disk I/O error"]
        scene.moving.fails = False
        await scene.write(5_000)
        assert scene.beginning == first
        await scene.moved()
        await scene.write(1)
        assert scene.beginning != first
