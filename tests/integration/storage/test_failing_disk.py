"""A disk that is full or broken: nothing is acknowledged that isn't there, and a full one is no crash."""

import asyncio
import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from obelisk_daemon.errors import ConflictError, OutcomeUnknownError, StorageUnavailableError
from obelisk_daemon.execution.events import Finished
from obelisk_daemon.storage.records import LogLine
from obelisk_daemon.storage.sql.store import SqlStore
from obelisk_daemon.storage.sqlite.connection import raw_of
from tests.building import OK, created, execution_id, new_execution
from tests.conformance.world import World
from tests.fakes.clock import START
from tests.fakes.failing_database import Faults, sqlite_error
from tests.integration.storage.opening import open_active

pytestmark = pytest.mark.anyio
FULL = sqlite_error("database or disk is full", sqlite3.SQLITE_FULL)
IO_ERROR = sqlite_error("disk I/O error", sqlite3.SQLITE_IOERR)


@pytest.fixture
def faults(monkeypatch: pytest.MonkeyPatch) -> Faults:
    """Make every connection that is opened from now on fail as the test says."""
    faults = Faults()
    monkeypatch.setattr(sqlite3, "connect", faults.connect())
    return faults


async def limit_pages(store: SqlStore, more: int) -> None:
    """Let the database grow by so many pages."""

    def limit(tx) -> None:
        (pages,) = raw_of(tx).execute("PRAGMA page_count").fetchone()
        raw_of(tx).execute(f"PRAGMA max_page_count = {pages + more}")

    await store.writer.queue(limit).durable()


async def test_a_full_database_fails_the_guilty_write_only(store: SqlStore) -> None:
    await limit_pages(store, 20)
    numbers = [1, 2, 3, 4]
    events = [created(params=["x" * (400_000 if number == 2 else 10)]) for number in numbers]
    writes = [store.submit(new_execution(event, number)) for number, event in zip(numbers, events, strict=True)]
    answers = await asyncio.gather(*writes, return_exceptions=True)
    assert [answers[0], *answers[2:]] == [True, True, True]
    assert isinstance(answers[1], StorageUnavailableError)
    assert answers[1].code == "storage_full"


async def test_a_store_works_on_when_there_is_room_again(store: SqlStore) -> None:
    big = new_execution(created(params=["x" * 400_000]))
    await limit_pages(store, 20)
    with pytest.raises(StorageUnavailableError):
        await store.submit(big)
    await limit_pages(store, 10_000)
    assert await store.submit(big)


async def test_a_full_database_leaves_nothing_of_an_append(store: SqlStore) -> None:
    world = World(store)
    run = await world.start()
    await limit_pages(store, 20)
    lines = tuple(LogLine(START, "info", "x" * 10_000) for _ in range(100))
    with pytest.raises(StorageUnavailableError):
        await world.append(run.append(world.now, Finished(OK), logs=lines))
    await world.check()
    assert await store.reads.log_lines(run.execution_id, 0, 10) == []
    assert (await world.row(run.execution_id)).status == "locked"


async def test_a_write_that_came_after_one_without_room_is_refused(store: SqlStore) -> None:
    world = World(store)
    first, second = await world.start(), await world.start(created(), 2)
    await limit_pages(store, 20)
    lines = tuple(LogLine(START, "info", "x" * 10_000) for _ in range(100))
    refused = store.append(first.append(world.now, Finished(OK), logs=lines))
    after = store.append(second.append(world.now, Finished(OK)), after=refused)
    answers = await asyncio.gather(refused.durable(), after.durable(), return_exceptions=True)
    assert [getattr(answer, "code", None) for answer in answers] == ["storage_full", "version_conflict"]
    assert (await world.row(second.execution_id)).status == "locked"


async def test_a_disk_that_is_full_at_the_commit_is_no_unknown_outcome(faults: Faults, tmp_path: Path) -> None:
    """In WAL mode that is where it shows: until then the pages are in memory."""
    broken: list[OutcomeUnknownError] = []
    async with open_active(tmp_path / "obelisk.db", broken.append) as store:
        world = World(store)
        faults.arm("COMMIT", FULL)
        answers = await asyncio.gather(
            *[store.submit(new_execution(created(), n)) for n in (1, 2)], return_exceptions=True
        )
        faults.clear()
        assert [getattr(answer, "code", None) for answer in answers] == ["storage_full"] * 2
        assert world.changes == []
        assert await store.submit(new_execution(created(), 1))
        assert broken == []
        await world.check()


async def test_a_commit_that_fails_otherwise_has_an_unknown_outcome_for_everyone(
    faults: Faults, tmp_path: Path
) -> None:
    broken: list[OutcomeUnknownError] = []
    async with open_active(tmp_path / "obelisk.db", broken.append) as store:
        changes: list[object] = []
        store.subscribe(changes.append)
        faults.arm("COMMIT", IO_ERROR)
        writes = [store.submit(new_execution(created(), n)) for n in (1, 2, 3)]
        answers = await asyncio.gather(*writes, return_exceptions=True)
        assert [type(answer) for answer in answers] == [OutcomeUnknownError] * 3
        assert changes == []
        assert [error.code for error in broken] == ["commit_failed"]


async def test_after_an_unknown_outcome_every_write_is_refused_and_reads_go_on(faults: Faults, tmp_path: Path) -> None:
    async with open_active(tmp_path / "obelisk.db", lambda _: None) as store:
        await store.submit(new_execution(created()))
        faults.arm("COMMIT", IO_ERROR)
        first = asyncio.get_running_loop().create_task(store.submit(new_execution(created(), 2)))
        await asyncio.wait([first])
        faults.clear()
        with pytest.raises(OutcomeUnknownError):
            await asyncio.wait_for(store.submit(new_execution(created(), 3)), 10)
        with pytest.raises(OutcomeUnknownError):
            await first
        assert (await store.reads.summary(execution_id())).status == "pending_at"


async def test_what_was_queued_behind_an_unknown_outcome_is_refused(faults: Faults, tmp_path: Path) -> None:
    broken: list[OutcomeUnknownError] = []
    async with open_active(tmp_path / "obelisk.db", broken.append) as store:
        faults.arm("COMMIT", IO_ERROR)
        behind = []

        def queue_another(_: object) -> None:
            loop.call_soon_threadsafe(lambda: behind.append(store.writer.queue(lambda tx: None)))

        loop = asyncio.get_running_loop()
        first = store.writer.queue(queue_another)
        with pytest.raises(OutcomeUnknownError):
            await first.durable()
        with pytest.raises(OutcomeUnknownError):
            await asyncio.wait_for(behind[0].durable(), 10)
        assert len(broken) == 1


@pytest.mark.parametrize("statement", ["SAVEPOINT", "ROLLBACK TO", "RELEASE"])
async def test_a_savepoint_that_fails_harms_only_what_was_refused(
    faults: Faults, tmp_path: Path, statement: str
) -> None:
    def refuse(_: object) -> None:
        raise ConflictError("refused", "by itself")

    broken: list[OutcomeUnknownError] = []
    async with open_active(tmp_path / "obelisk.db", broken.append) as store:
        faults.arm(statement, IO_ERROR)
        welcome = asyncio.create_task(store.submit(new_execution(created())))
        await asyncio.sleep(0)
        with pytest.raises(StorageUnavailableError):
            await store.writer.queue(refuse).durable()
        assert await welcome
        faults.clear()
        assert [await store.submit(new_execution(created(), number)) for number in (1, 2)] == [False, True]
        assert broken == []


@pytest.mark.parametrize("statement", ["BEGIN", "INSERT INTO execution"])
async def test_a_statement_that_fails_is_no_unknown_outcome(faults: Faults, tmp_path: Path, statement: str) -> None:
    broken: list[OutcomeUnknownError] = []
    async with open_active(tmp_path / "obelisk.db", broken.append) as store:
        faults.arm(statement, IO_ERROR)
        with pytest.raises(StorageUnavailableError) as refused:
            await asyncio.wait_for(store.submit(new_execution(created())), 10)
        assert refused.value.code == "storage_failed"
        faults.clear()
        assert await store.submit(new_execution(created()))
        assert broken == []


async def test_a_rollback_that_fails_too_breaks_the_store(faults: Faults, tmp_path: Path) -> None:
    broken: list[OutcomeUnknownError] = []
    async with open_active(tmp_path / "obelisk.db", broken.append) as store:
        faults.arm("INSERT INTO execution", IO_ERROR)
        faults.arm("ROLLBACK", IO_ERROR)
        with pytest.raises(OutcomeUnknownError):
            await asyncio.wait_for(store.submit(new_execution(created())), 10)
        faults.clear()
        assert len(broken) == 1


async def test_a_writer_that_fails_for_another_reason_leaves_nobody_waiting(tmp_path: Path) -> None:
    broken: list[OutcomeUnknownError] = []

    def fail(_: object) -> None:
        raise ValueError("a bug in a subscriber")

    async def use() -> None:
        async with open_active(tmp_path / "obelisk.db", broken.append) as store:
            store.subscribe(fail)
            for number in (1, 2):
                with pytest.raises(OutcomeUnknownError):
                    await asyncio.wait_for(store.submit(new_execution(created(), number)), 10)

    with pytest.raises(ValueError, match="a bug"):
        await use()
    assert len(broken) == 1


def test_a_disk_that_is_really_full_is_storage_full_and_the_store_works_on_when_it_is_not() -> None:
    """In a mount namespace of its own, on a file system of 1 MiB."""
    unshare = shutil.which("unshare")
    if unshare is None or subprocess.run([unshare, "-Urm", "true"], capture_output=True).returncode:
        pytest.skip("needs user namespaces")
    full_disk = "tests.integration.storage.full_disk"
    inside = f'd=$(mktemp -d) && mount -t tmpfs -o size=1M tmpfs "$d" && "{sys.executable}" -m {full_disk} "$d"'
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = [unshare, "-Urm", "sh", "-c", inside]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=environ)
    assert (done.stdout.split(), done.stderr) == (["storage_full", "storage_full", "True", "consistent"], "")


@pytest.mark.parametrize("suffix", ["", "-wal"])
@pytest.mark.parametrize("is_replaced", [False, True])
async def test_nothing_is_acknowledged_in_a_file_that_was_deleted_or_replaced(
    tmp_path: Path, suffix: str, is_replaced: bool
) -> None:
    broken: list[OutcomeUnknownError] = []
    async with open_active(tmp_path / "obelisk.db", broken.append) as store:
        assert await store.submit(new_execution(created(), 1))
        file = tmp_path / f"obelisk.db{suffix}"
        if is_replaced:
            shutil.copyfile(file, tmp_path / "other")
            (tmp_path / "other").replace(file)
        else:
            file.unlink()
        with pytest.raises(OutcomeUnknownError, match="was deleted or replaced") as refused:
            await store.submit(new_execution(created(), 2))
        assert refused.value.code == "database_moved"
        assert len(broken) == 1
