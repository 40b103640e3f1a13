"""A disk that fails or is full at its Nth operation, for every N there is: nothing is acknowledged that isn't there."""

import asyncio
import gc
import os
import shutil
import threading
from pathlib import Path
from typing import NamedTuple

import pytest

from obelisk_daemon.errors import OperatorError, OutcomeUnknownError
from obelisk_daemon.storage.records import ListFilter
from obelisk_daemon.storage.sql.store import SqlStore
from obelisk_daemon.storage.sqlite.checking import check_database
from obelisk_daemon.storage.sqlite.schema import open_for_reading
from obelisk_daemon.storage.sqlite.store import open_store
from obelisk_daemon.storage.upkeep import NewExecutor
from tests.building import EXECUTOR, NEVER, created, new_execution
from tests.conformance.world import World
from tests.disk.scenarios import MORE, SCENARIOS, Ledger, Scenario, Stage
from tests.disk.simulated import Disk, FailsAt, Operation, PowerCut, faultless
from tests.disk.vfs import installed, short_reads
from tests.integration.storage.opening import open_active

pytestmark = pytest.mark.anyio

FAULTS = {"full": (True, True), "error": (False, False), "errors from then on": (False, True)}
"""Whether the disk is full, or else fails; whether it stays so."""
if os.environ.get("OBELISK_SOAK"):
    SCENARIOS |= MORE
    FAULTS |= {"full for a moment": (True, False)}


class Prepared(NamedTuple):
    """A database as a scenario finds it."""

    directory: Path
    stage: Stage | None


async def prepare(directory: Path, scenario: Scenario) -> Prepared:
    """Make the database that a scenario begins with."""
    directory.mkdir()
    if scenario.is_new:
        return Prepared(directory, None)
    file = directory / "obelisk.db"
    async with open_store(file, pytest.fail, readers=1) as store:
        stage = Stage(World(store))
        await stage.world.activate()
        await store.register_executor(NewExecutor(EXECUTOR, "host"), stage.world.now, NEVER)
        await scenario.prepare(stage)
        assert not stage.ledger.codes
        if scenario.is_killed:
            shutil.copytree(directory, directory / "killed", ignore=shutil.ignore_patterns("*-shm"))
    if scenario.is_killed:
        return Prepared(directory / "killed", stage)
    return Prepared(directory, stage)


class Trial:
    """One run of a scenario on a disk with one fault, and what comes after."""

    def __init__(self, directory: Path, scenario: Scenario, prepared: Prepared, seed: int) -> None:
        shutil.copytree(prepared.directory, directory)
        self._file = directory / "obelisk.db"
        self._scenario = scenario
        self._prepared = prepared
        self._broken: list[OutcomeUnknownError] = []
        self.disk = Disk(directory, seed)
        self.ledger = Ledger()
        self.has_opened = False

    async def run(self, fault: FailsAt) -> None:
        """Run the scenario while the disk may fail."""
        if self._scenario.opens:
            self.disk.faults = fault
        try:
            async with open_store(self._file, self._broken.append, readers=1) as store:
                self.has_opened = True
                self.disk.faults = fault
                await self._act(store)
                if not fault.stays and not self._broken:
                    self.disk.faults = faultless
                    if await store.active_generation() is None:
                        await World(store).activate()
                    assert await store.submit(new_execution(created(), 998)), "the store does not work on"
                self.disk.faults = fault
        except OperatorError as error:
            if not self._scenario.opens or error.code != "database_unusable":
                raise
        self.disk.faults = faultless
        gc.collect()
        assert bool(self._broken) == self.ledger.is_unknown

    async def _act(self, store: SqlStore) -> None:
        stage = Stage(World(store))
        stage.world._runs = 100
        stage.ledger = self.ledger
        if self._prepared.stage is not None:
            known = self._prepared.stage
            stage.held = known.held
            self.ledger.acknowledged.events |= known.ledger.acknowledged.events
        await self._scenario.act(stage)

    async def restart(self) -> None:
        """Start a daemon on what the running system sees, have it write, and cut the power."""
        self.check()
        async with open_store(self._file, pytest.fail, readers=0) as store:
            if await store.active_generation() is None:
                await World(store).activate()
            self.has_opened = True
            new = new_execution(created(), 999)
            assert await store.submit(new)
            self.ledger.acknowledged.events[new.execution_id, 0] = new.created
            self.disk.faults = PowerCut(0)
        gc.collect()
        self.disk.cut_power()
        self.check()

    def check(self) -> None:
        """Compare what is stored with what the scenario was told."""
        try:
            assert check_database(self._file, full=True).damage == []
        except OperatorError:  # the first start didn't come to make it
            if not self._scenario.is_new or self.has_opened:
                raise
            return
        assert self.ledger.acknowledged.lost(self._file) == []
        connection = open_for_reading(self._file)
        stored = set(connection.execute("SELECT execution_id, version FROM event").fetchall())
        connection.close()
        assert not {tuple(row) for row in stored} & set(self.ledger.refused), "what was refused is there"


async def exhaust(directory: Path, scenario: Scenario, *, full: bool, stays: bool) -> int:
    """Let the first operation fail, then the second, and so on until there is none left; give how many there are."""
    prepared = await prepare(directory / "prepared", scenario)
    number = 0
    while True:
        trial = Trial(directory / "disk", scenario, prepared, number)
        fault = FailsAt(number + 1, full=full, stays=stays)
        with installed(trial.disk):
            await trial.run(fault)
            await trial.restart()
        shutil.rmtree(directory / "disk")
        if not fault.has_struck:
            assert trial.ledger.codes == set()
            return number
        number += 1


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("name", SCENARIOS)
async def test_whatever_operation_fails_nothing_is_lost_and_nothing_is_wrong(
    directory: Path, name: str, fault: str
) -> None:
    full, stays = FAULTS[fault]
    assert await exhaust(directory, SCENARIOS[name], full=full, stays=stays) > 0


async def test_what_can_not_be_read_is_an_error_of_the_storage_and_is_read_later(directory: Path) -> None:
    assert await exhaust(directory, MORE["read"], full=False, stays=False) > 0


async def test_a_system_that_reads_less_than_it_is_asked_for_changes_nothing(directory: Path) -> None:
    with short_reads(100) as asked:
        for name in ("start after a kill", "finish"):
            prepared = await prepare(directory / name, SCENARIOS[name])
            trial = Trial(directory / f"{name} again", SCENARIOS[name], prepared, 1)
            with installed(trial.disk):
                await trial.run(FailsAt(1 << 30, full=False, stays=False))
                await trial.restart()
            assert trial.ledger.codes == set()
    assert max(asked) > 100


async def test_a_sync_that_takes_long_holds_back_what_waits_for_it_and_nothing_else(directory: Path) -> None:
    entered, go = threading.Event(), threading.Event()

    def slow(operation: Operation) -> int:
        if operation.kind == "sync":
            entered.set()
            assert go.wait(60)
        return 0

    disk = Disk(directory, 1)
    with installed(disk):
        async with open_active(directory / "obelisk.db", pytest.fail) as store:
            disk.faults = slow
            commits = store.writer.commits
            async with asyncio.TaskGroup() as tasks:
                first = tasks.create_task(store.submit(new_execution(created(), 1)))
                assert await asyncio.to_thread(entered.wait, 60)
                later = [tasks.create_task(store.submit(new_execution(created(), n))) for n in range(2, 9)]
                assert (await store.reads.summaries(ListFilter(limit=10))).rows == []
                assert not any(task.done() for task in (first, *later))
                go.set()
            assert store.writer.commits == commits + 2
            assert len((await store.reads.summaries(ListFilter(limit=10))).rows) == 8
