"""What an operator does with a database in use."""

import asyncio
import hashlib
import sqlite3
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from obelisk_daemon.errors import ConflictError, OperatorError, StorageUnavailableError
from obelisk_daemon.storage.database import Backup
from obelisk_daemon.storage.sql.store import SqlStore
from obelisk_daemon.storage.sqlite import keeper as module
from obelisk_daemon.storage.sqlite.connection import raw_of
from obelisk_daemon.storage.sqlite.copying import copy_database
from obelisk_daemon.storage.sqlite.keeper import SqliteKeeper
from tests.building import created, execution_id, new_execution

pytestmark = pytest.mark.anyio


@pytest.fixture
async def keeper(store: SqlStore, tmp_path: Path) -> AsyncIterator[SqliteKeeper]:
    made = SqliteKeeper(tmp_path / "obelisk.db", tmp_path / "cache", store.writer, time.monotonic)
    yield made
    made.close()


async def fill(store: SqlStore, first: int, count: int) -> None:
    new = [new_execution(created(params=["x" * 3_000]), number) for number in range(first, first + count)]
    assert all(await asyncio.gather(*[store.submit(one) for one in new]))


async def read(backup: Backup) -> bytes:
    try:
        return b"".join([chunk async for chunk in backup.chunks])
    finally:
        backup.close()


async def test_a_backup_is_one_whole_database(store: SqlStore, keeper: SqliteKeeper, tmp_path: Path) -> None:
    await fill(store, 1, 500)
    backup = await keeper.back_up()
    await fill(store, 501, 1)
    content = await read(backup)
    assert (len(content), hashlib.sha256(content).digest()) == (backup.size, backup.sha256)
    (tmp_path / "restored").write_bytes(content)
    connection = sqlite3.connect(tmp_path / "restored")
    assert connection.execute("SELECT count(*) FROM execution").fetchone() == (500,)
    connection.close()


async def test_nothing_is_left_of_a_backup_while_it_is_sent(keeper: SqliteKeeper, tmp_path: Path) -> None:
    backup = await keeper.back_up()
    assert [one.name for one in tmp_path.iterdir() if "copy" in one.name] == []
    backup.close()


async def test_one_backup_at_a_time_is_made_and_sent(keeper: SqliteKeeper) -> None:
    first = asyncio.create_task(keeper.back_up())
    await asyncio.sleep(0)
    with pytest.raises(ConflictError, match="already") as refused:
        await keeper.back_up()
    assert refused.value.code == "backup_running"
    made = await first
    with pytest.raises(ConflictError):
        await keeper.back_up()
    made.close()
    (await keeper.back_up()).close()


async def test_a_backup_that_fails_does_not_stand_in_the_way(
    keeper: SqliteKeeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise StorageUnavailableError("storage_full", "no room")

    monkeypatch.setattr(module, "copy_database", fail)
    with pytest.raises(StorageUnavailableError):
        await keeper.back_up()
    monkeypatch.undo()
    (await keeper.back_up()).close()


async def test_a_stop_ends_a_backup_that_is_being_made(
    keeper: SqliteKeeper, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slow(file: Path, target: Path, is_stopped: object) -> None:
        copy_database(file, target)
        keeper.close()

    monkeypatch.setattr(module, "copy_database", slow)
    with pytest.raises(StorageUnavailableError, match="stops"):
        await keeper.back_up()
    assert [one.name for one in tmp_path.iterdir() if "copy" in one.name] == []


async def test_what_a_killed_daemon_left_of_a_backup_is_removed(store: SqlStore, tmp_path: Path) -> None:
    for name in ("obelisk.db.copy", "obelisk.db.copy.part"):
        (tmp_path / name).touch()
    SqliteKeeper(tmp_path / "obelisk.db", tmp_path / "cache", store.writer, time.monotonic)
    assert [one.name for one in tmp_path.iterdir() if "copy" in one.name] == []


async def test_free_space_is_given_back_while_writes_go_on(store: SqlStore, keeper: SqliteKeeper) -> None:
    await fill(store, 1, 2_000)
    await store.writer.queue(lambda tx: raw_of(tx).execute("DELETE FROM event")).outcome()
    free = (await keeper.stats()).free_bytes
    assert free > 2_000 * 3_000
    vacuuming = asyncio.create_task(keeper.vacuum())
    written = 0
    while not vacuuming.done():
        written += 1
        await fill(store, 10_000 + written, 1)
    report = await vacuuming
    assert written > 3, "the writes had to wait for the end"
    assert report.before_bytes - report.after_bytes > free * 0.9
    assert report.freed_bytes <= free
    assert (await keeper.stats()).free_bytes < free / 10
    assert (await keeper.check(full=False)).total == 2_000 + written


async def test_a_database_without_free_space_is_left_alone(keeper: SqliteKeeper) -> None:
    report = await keeper.vacuum()
    assert (report.freed_bytes, report.before_bytes) == (0, report.after_bytes)


async def test_a_database_is_measured(store: SqlStore, keeper: SqliteKeeper, tmp_path: Path) -> None:
    await fill(store, 1, 20)
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "artifact").write_bytes(b"x" * 1_000)
    stats = await keeper.stats()
    assert stats.file_bytes == (tmp_path / "obelisk.db").stat().st_size
    assert stats.wal_bytes == (tmp_path / "obelisk.db-wal").stat().st_size
    assert stats.cache_bytes == 1_000
    assert stats.rows == {"execution": 20, "event": 20, "response": 0, "delay": 0, "log_line": 0, "failure": 0}
    assert (stats.generations, stats.component_bytes, stats.not_counted) == (1, 71, [])


async def test_who_asks_at_the_same_time_shares_one_measurement(keeper: SqliteKeeper) -> None:
    first, second = await asyncio.gather(keeper.stats(), keeper.stats())
    assert first is second
    assert await keeper.stats() is not first


async def test_a_backup_that_can_not_be_read_to_its_end_makes_room_for_the_next(
    store: SqlStore, keeper: SqliteKeeper
) -> None:
    backup = await keeper.back_up()
    assert keeper._sent is not None
    keeper._sent.close()  # what a disk that fails comes to
    with pytest.raises(ValueError, match="closed file"):
        async for _ in backup.chunks:
            pass
    again = await keeper.back_up()
    assert [chunk async for chunk in again.chunks]


async def test_a_table_that_takes_too_long_to_count_is_not_counted(store: SqlStore, tmp_path: Path) -> None:
    await fill(store, 1, 1_000)
    await store.writer.queue(lambda tx: raw_of(tx).execute(NUMBERS)).outcome()
    now = iter(range(10_000))
    stats = await SqliteKeeper(tmp_path / "obelisk.db", tmp_path, store.writer, lambda: next(now)).stats()
    assert stats.not_counted == ["log_line"]
    assert "log_line" not in stats.rows


NUMBERS = (
    "INSERT INTO log_line (execution_id, created_at, level, message) "
    "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 120000) SELECT 'E', i, 'info', '' FROM n"
)


async def test_damage_is_found_beside_the_work(store: SqlStore, keeper: SqliteKeeper) -> None:
    await fill(store, 1, 3)
    assert (await keeper.check(full=True)).ok
    await store.writer.queue(lambda tx: raw_of(tx).execute("UPDATE execution SET version = 7")).outcome()
    first = asyncio.create_task(keeper.check(full=True))
    await asyncio.sleep(0)
    with pytest.raises(ConflictError) as refused:
        await keeper.check(full=True)
    assert refused.value.code == "check_running"
    report = await first
    assert (report.ok, report.full, report.executions, len(report.damage)) == (False, True, 3, 3)
    assert report.damage[0].subject == execution_id(1)


async def test_a_check_that_fails_says_why(store: SqlStore, tmp_path: Path) -> None:
    (tmp_path / "other").write_text("text")
    keeper = SqliteKeeper(tmp_path / "other", tmp_path, store.writer, time.monotonic)
    with pytest.raises(OperatorError, match="can't be used as a database") as failed:
        await keeper.check(full=False)
    assert failed.value.code == "check_failed"
