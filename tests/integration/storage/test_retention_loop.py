"""The loop that removes what is too old, on a database with very many executions and while work goes on."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from obelisk_config import Retention
from obelisk_daemon.clock import Instant, after
from obelisk_daemon.errors import StorageUnavailableError
from obelisk_daemon.metrics import Metrics
from obelisk_daemon.storage.sql.store import SqlStore
from obelisk_daemon.storage.sqlite.store import open_store
from obelisk_daemon.supervisor.retention import RetentionLoop, RetentionSources, interval
from tests.bench.filling import Filling, fill
from tests.building import ACTIVITY, DIGEST, created, new_execution
from tests.conformance.world import World
from tests.fakes.clock import START, ManualClock

pytestmark = pytest.mark.anyio
DAY = timedelta(days=1)
DUE = """WITH due (id) AS (
    SELECT execution_id FROM execution WHERE parent_id IS NULL AND status = 'finished' AND changed_at <= :before
)
SELECT {what} FROM {table} WHERE substr(execution_id, 1, 28) {in_} (SELECT id FROM due)"""
TABLES = ("execution", "event", "response", "delay", "log_line", "failure", "tag")


class Scene:
    """A loop, and what it depends on."""

    def __init__(self, store: SqlStore) -> None:
        self.store = store
        self.clock = ManualClock()
        self.metrics = Metrics()
        self.kept = Retention(30 * DAY, 1)
        self.pauses: list[float] = []
        self.pruned: list[tuple[set[str], float]] = []
        self.work = asyncio.sleep
        sources = RetentionSources(lambda: self.kept, self._prune)
        self.loop = RetentionLoop(store, self.clock, sources, self.metrics.storage, self._pause)

    def _prune(self, keep: Collection[str], made_before: float) -> int:
        self.pruned.append((set(keep), made_before))
        return 2

    async def _pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        await self.work(0)


@asynccontextmanager
async def opened(file: Path) -> AsyncIterator[Scene]:
    async with open_store(file, _not_expected) as store:
        yield Scene(store)


def _not_expected(error: Exception) -> None:
    raise error


def counts(file: Path, before: Instant, in_: str) -> dict[str, int]:
    """Count the rows that are due, or those that are not, by a rule that knows nothing of how it is done."""
    connection = sqlite3.connect(file)
    found = {
        table: connection.execute(DUE.format(what="count(*)", table=table, in_=in_), {"before": before}).fetchone()[0]
        for table in TABLES
    }
    connection.close()
    return found


async def test_of_100_000_executions_just_those_that_are_due_go_while_others_come(tmp_path: Path) -> None:
    file = tmp_path / "obelisk.db"
    fill(file, Filling(finished=100_000, live=1_000, until=START, span=60 * DAY))
    before = after(START, -30 * DAY)
    due, kept = (counts(file, before, in_) for in_ in ("IN", "NOT IN"))
    assert 49_000 < due["execution"] < 51_000
    assert due["failure"] > 100
    assert due["response"] > 1_000
    async with opened(file) as scene:
        await World(scene.store).activate()
        submitted = 0

        async def submit_too(seconds: float) -> None:
            nonlocal submitted
            submitted += 1
            assert await scene.store.submit(new_execution(created(), submitted, at=START))

        scene.work = submit_too
        done = await scene.loop.round()
    assert done.executions == due["execution"]
    assert done.rows == sum(due.values())
    assert submitted > 500
    left = counts(file, before, "NOT IN")
    assert left == kept | {name: kept[name] + submitted for name in ("execution", "event")}
    assert sum(counts(file, before, "IN").values()) == 0


async def test_a_round_tells_what_it_removed(tmp_path: Path) -> None:
    file = tmp_path / "obelisk.db"
    fill(file, Filling(finished=20, live=0, until=START, span=5 * DAY))
    async with opened(file) as scene:
        world = World(scene.store)
        for number in (1, 2, 3):
            await world.activate(number, {ACTIVITY: DIGEST.replace("b", str(number))})
        assert (await scene.loop.round()).executions == 0
        scene.clock.advance(40 * DAY)
        done = await scene.loop.round()
        assert (done.executions, done.generations, done.components, done.artifacts) == (20, 0, 0, 2)
        assert scene.loop.last == done
        assert not done.is_empty
        removed = scene.metrics.storage.removed
        assert [removed.value(what) for what in ("executions", "generations", "components")] == [20, 1, 1]
        keep, made_before = scene.pruned[-1]
        assert keep == {DIGEST.replace("b", number) for number in "23"}
        assert made_before == after(scene.clock.now(), -DAY) / 1_000_000


async def test_nothing_that_has_finished_goes_where_it_is_kept_for_ever(tmp_path: Path) -> None:
    file = tmp_path / "obelisk.db"
    fill(file, Filling(finished=20, live=0, until=START, span=5 * DAY))
    async with opened(file) as scene:
        scene.kept = Retention(None, 100)
        scene.clock.advance(4_000 * DAY)
        assert (await scene.loop.round()).executions == 0
        scene.kept = Retention(30 * DAY, 100)
        assert (await scene.loop.round()).executions == 20


async def test_another_setting_is_looked_at_at_once(tmp_path: Path) -> None:
    file = tmp_path / "obelisk.db"
    fill(file, Filling(finished=20, live=0, until=START, span=DAY))
    async with opened(file) as scene:
        scene.clock.advance(2 * DAY)
        ended = asyncio.Event()
        scene.store.stored_digests = _then(ended, scene.store.stored_digests)  # type: ignore[method-assign]
        task = asyncio.create_task(scene.loop.run())
        scene.loop.look()
        await ended.wait()
        assert scene.metrics.storage.removed.value("executions") == 0
        ended.clear()
        scene.kept = Retention(DAY, 100)
        scene.loop.look()
        await ended.wait()
        assert scene.metrics.storage.removed.value("executions") == 20
        task.cancel()


@pytest.mark.parametrize(
    "error",
    [
        StorageUnavailableError("storage_full", "the disk is full"),
        sqlite3.DatabaseError("database disk image is malformed"),
        PermissionError("an artifact can't be removed"),
    ],
)
async def test_a_round_that_fails_is_tried_again_and_does_not_end_the_daemon(tmp_path: Path, error: Exception) -> None:
    async with opened(tmp_path / "obelisk.db") as scene:
        tried, works = asyncio.Event(), scene.store.half_removed

        async def full() -> list[object]:
            tried.set()
            raise error

        scene.store.half_removed = full  # type: ignore[method-assign,assignment]
        task = asyncio.create_task(scene.loop.run())
        scene.loop.look()
        await tried.wait()
        assert scene.loop.last is None
        ended = asyncio.Event()
        scene.store.half_removed = _then(ended, works)  # type: ignore[method-assign]
        scene.loop.look()
        waited = asyncio.create_task(ended.wait())
        await asyncio.wait([task, waited], return_when=asyncio.FIRST_COMPLETED)
        assert waited.done()
        assert not task.done()
        task.cancel()


async def test_each_step_is_followed_by_a_pause_that_is_longer(tmp_path: Path) -> None:
    file = tmp_path / "obelisk.db"
    fill(file, Filling(finished=20, live=0, until=START, span=DAY))
    async with opened(file) as scene:
        scene.clock.advance(40 * DAY)
        remove = scene.store.remove_trees

        async def slow(*values: object) -> object:
            scene.clock.advance(timedelta(seconds=2))
            return await remove(*values)  # type: ignore[arg-type]

        scene.store.remove_trees = slow  # type: ignore[method-assign,assignment]
        await scene.loop.round()
        assert max(scene.pauses) == pytest.approx(8.0)
        assert min(scene.pauses) > 0


@pytest.mark.parametrize(
    ("kept", "seconds"),
    [(None, 600), (30 * DAY, 600), (timedelta(minutes=1), 10), (timedelta(hours=10), 360)],
)
def test_the_time_between_rounds_is_a_small_part_of_what_is_kept(kept: timedelta | None, seconds: float) -> None:
    assert interval(Retention(kept, 1)).total_seconds() == seconds


def _then(ended: asyncio.Event, work):  # type: ignore[no-untyped-def]
    async def call(*values):  # type: ignore[no-untyped-def]
        done = await work(*values)
        ended.set()
        return done

    return call
