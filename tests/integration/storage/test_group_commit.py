"""The writer of SQLite: what is queued together is committed together, and one that fails fails alone."""

import asyncio
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from obelisk_daemon.errors import StorageUnavailableError
from obelisk_daemon.execution.events import Finished
from obelisk_daemon.ids import RunId
from obelisk_daemon.storage.records import ListFilter, LockRequest, Runnable, VersionConflictError
from obelisk_daemon.storage.sql import writer
from obelisk_daemon.storage.sql.store import SqlStore
from obelisk_daemon.storage.sql.transaction import Transaction
from obelisk_daemon.storage.sql.writer import MANY
from obelisk_daemon.storage.sqlite import committing
from obelisk_daemon.storage.sqlite.connection import raw_of
from tests.building import (
    ACTIVITY,
    DIGEST,
    EXECUTOR,
    OK,
    RunScript,
    created,
    execution_id,
    locked,
    new_execution,
    run_id,
)
from tests.conformance.world import World
from tests.fakes.clock import START
from tests.integration.storage.opening import open_active

pytestmark = pytest.mark.anyio


def submits(store: SqlStore, count: int, start: int = 1) -> list[asyncio.Task[bool]]:
    loop = asyncio.get_running_loop()
    return [loop.create_task(store.submit(new_execution(created(), n))) for n in range(start, start + count)]


async def count(store: SqlStore) -> int:
    return len((await store.reads.summaries(ListFilter(limit=1_000))).rows)


async def test_what_is_queued_at_once_shares_one_commit(store: SqlStore) -> None:
    before = store.writer.commits
    await asyncio.gather(*submits(store, 100))
    assert store.writer.commits - before == 1
    assert await count(store) == 100


async def test_what_comes_while_a_commit_runs_shares_the_next(store: SqlStore) -> None:
    entered, leave = threading.Event(), threading.Event()

    def slow(_: Transaction) -> None:
        entered.set()
        assert leave.wait(10)

    before = store.writer.commits
    first = store.writer.queue(slow)
    await asyncio.to_thread(entered.wait)
    others = submits(store, 50)
    await asyncio.sleep(0)
    assert not any(task.done() for task in others)
    leave.set()
    await asyncio.gather(first.durable(), *others)
    assert store.writer.commits - before == 2


@pytest.mark.parametrize("turns", [1, 5])
async def test_what_is_queued_within_a_few_turns_of_the_loop_shares_the_commit(store: SqlStore, turns: int) -> None:
    world = World(store)
    parent, before = await world.workflow(), store.writer.commits
    first = store.append(parent.append(world.now))
    for _ in range(turns):
        await asyncio.sleep(0)
    second = store.append(parent.append(world.now, Finished(OK)))
    await asyncio.gather(first.durable(), second.durable())
    assert store.writer.commits - before == 1


async def test_a_group_does_not_wait_for_ever_while_others_add_to_it(
    store: SqlStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "_LONGEST_GATHERING", 0.0)
    world = World(store)
    parent, before = await world.workflow(), store.writer.commits
    tickets = []
    async with asyncio.timeout(20):
        while not tickets or store.writer.commits == before:
            tickets.append(store.append(parent.append(world.now)))
            await asyncio.sleep(0)
        await tickets[-1].durable()


def refuse(_: Transaction) -> None:
    raise ValueError("a bug")


def duplicate(tx: Transaction) -> None:
    raw_of(tx).execute("INSERT INTO executor VALUES ('a', 'b', 'c', '', 1, 1, 1, 1)")
    raw_of(tx).execute("INSERT INTO executor VALUES ('a', 'b', 'c', '', 1, 1, 1, 1)")


def nonsense(tx: Transaction) -> None:
    raw_of(tx).execute("INSERT INTO executor VALUES ('a', 'b', 'c', '', 1, 1, 1, 1)")
    raw_of(tx).execute("SELECT nonsense FROM nowhere")


def unbindable(tx: Transaction) -> None:
    raw_of(tx).execute("INSERT INTO executor VALUES (?, 'b', 'c', '', 1, 1, 1, 1)", (object(),))


@pytest.mark.parametrize(
    ("work", "error"),
    [
        (refuse, ValueError),
        (duplicate, sqlite3.IntegrityError),
        (nonsense, StorageUnavailableError),
        (unbindable, StorageUnavailableError),
    ],
)
async def test_a_write_that_fails_fails_alone_and_leaves_nothing(store: SqlStore, work, error: type) -> None:
    before = submits(store, 5)
    await asyncio.sleep(0)
    guilty = store.writer.queue(work)
    after = submits(store, 5, start=6)
    assert await asyncio.gather(*before, *after) == [True] * 10
    with pytest.raises(error):
        await guilty.durable()
    assert await count(store) == 10
    rows = store.writer.queue(lambda tx: raw_of(tx).execute("SELECT count(*) FROM executor").fetchone()[0])
    assert await rows.outcome() == 0


async def test_a_conflict_in_a_group_fails_alone(store: SqlStore) -> None:
    world = World(store)
    runs = [await world.start(created(), number) for number in range(1, 6)]
    appends = [run.append(world.now, Finished(OK)) for run in runs]
    await world.release(runs[2])
    tickets = [store.append(append) for append in appends]
    answers = await asyncio.gather(*[ticket.durable() for ticket in tickets], return_exceptions=True)
    assert [type(answer) for answer in answers].count(VersionConflictError) == 1
    await world.check()


async def test_changes_are_published_once_when_a_group_is_written_one_by_one(store: SqlStore) -> None:
    world = World(store)
    tasks = submits(store, 3)
    await asyncio.sleep(0)
    with pytest.raises(StorageUnavailableError):
        await store.writer.queue(nonsense).durable()
    await asyncio.gather(*tasks)
    assert [change.execution_id for change in world.changes] == [execution_id(n) for n in (1, 2, 3)]


async def test_another_process_that_holds_the_database_delays_nobody_for_ever(
    store: SqlStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(committing, "_PATIENCE", 0.0)
    with held_by_another(tmp_path):
        with pytest.raises(StorageUnavailableError) as refused:
            await asyncio.wait_for(store.submit(new_execution(created())), 10)
        assert refused.value.code == "storage_failed"
    assert await store.submit(new_execution(created()))


async def test_the_loop_goes_on_while_another_process_holds_the_database(store: SqlStore, tmp_path: Path) -> None:
    with held_by_another(tmp_path):
        submitted = asyncio.create_task(store.submit(new_execution(created())))
        for _ in range(100):
            await asyncio.sleep(0)
        assert not submitted.done()
    assert await submitted


@pytest.mark.parametrize(
    ("rows", "on_the_loop", "commits"),
    [
        ((1,), (True,), 1),
        ((MANY,), (False,), 1),
        ((200, 200, 200, 200), (True, True, True, True), 2),
        ((200, MANY, 200), (True, False, False), 2),
        ((501, 1), (False, False), 1),
    ],
)
async def test_what_is_short_is_run_on_the_loop_a_little_at_a_time_and_what_is_long_is_not(
    store: SqlStore, rows: tuple[int, ...], on_the_loop: tuple[bool, ...], commits: int
) -> None:
    ran_on: list[int] = []

    def note(_: Transaction) -> None:
        ran_on.append(threading.get_ident())

    here, before = threading.get_ident(), store.writer.commits
    await asyncio.gather(*[store.writer.queue(note, rows=each).durable() for each in rows])
    assert tuple(thread == here for thread in ran_on) == on_the_loop
    assert store.writer.commits - before == commits


@contextmanager
def held_by_another(directory: Path) -> Iterator[None]:
    other = sqlite3.connect(directory / "obelisk.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        other.execute("ROLLBACK")
        other.close()


async def test_ids_of_runs_are_drawn_on_the_loop(store: SqlStore) -> None:
    """Their source serves the loop at the same time, and is not made for two threads."""
    threads: list[int] = []

    def new_run() -> RunId:
        threads.append(threading.get_ident())
        return run_id(len(threads))

    world = World(store)
    for number in (1, 2, 3):
        await world.submit(number=number)
    await world.enlist(EXECUTOR)
    runnable = [Runnable(ACTIVITY, DIGEST, lambda run, n: locked(int(run[-3:]), n))]
    request = LockRequest(EXECUTOR, START, 2, runnable, new_run)
    held = [*await store.lock(request), *await store.lock(request), *await store.lock(request)]
    assert len({RunScript(one).run_id for one in held}) == 3
    assert set(threads) == {threading.get_ident()}


async def test_what_is_queued_when_the_store_closes_is_written(tmp_path: Path) -> None:
    async with open_active(tmp_path / "other.db", pytest.fail) as closing:
        tasks = submits(closing, 20)
        await asyncio.sleep(0)
    assert await asyncio.gather(*tasks) == [True] * 20
    async with open_active(tmp_path / "other.db", pytest.fail) as reopened:
        assert await count(reopened) == 20


async def test_what_can_not_be_counted_is_committed_all_the_same(
    store: SqlStore, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(_: object) -> None:
        raise ArithmeticError("a bug of those who count")

    store.observe(broken)
    await asyncio.gather(*submits(store, 2))
    await asyncio.gather(*submits(store, 2, start=3))
    assert await count(store) == 4
    assert "could not be counted" in caplog.text
