"""A power cut at any operation of the disk takes nothing that was acknowledged, and leaves no damage."""

import gc
import os
import random
import sqlite3
from pathlib import Path
from typing import NamedTuple

import pytest

from obelisk_daemon.errors import OperatorError, OutcomeUnknownError, StorageUnavailableError
from obelisk_daemon.storage.sql.store import SqlStore
from obelisk_daemon.storage.sqlite import checkpoints, schema
from obelisk_daemon.storage.sqlite.checking import check_database
from obelisk_daemon.storage.sqlite.connection import raw_of
from obelisk_daemon.storage.sqlite.store import open_store
from tests.disk.load import Load
from tests.disk.simulated import Disk, PowerCut
from tests.disk.vfs import installed

pytestmark = pytest.mark.anyio

CUTS = 20_000 if os.environ.get("OBELISK_SOAK") else 400
LIVES = 8
"""Cuts that one database goes through, each at most so many operations after the one before."""
MOST_OPERATIONS = 400


class Cut(NamedTuple):
    """What a power cut did. `lost` are acknowledged writes."""

    lost: list[str]
    damage: list[object]
    acknowledged: int


@pytest.fixture(autouse=True)
def _moved_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have what was committed moved beside the commits after some rows, as it would be after some thousands."""
    monkeypatch.setattr(checkpoints, "_CHANGES", 25)


async def checkpoint_often(store: SqlStore, pages: int) -> None:
    """Have a checkpoint come after so many pages, as it would after some thousands."""
    await store.writer.queue(lambda tx: raw_of(tx).execute(f"PRAGMA wal_autocheckpoint = {pages}")).durable()


async def live_until_cut(file: Path, load: Load, chance: random.Random, cut: PowerCut) -> None:
    """Run a daemon's store until the power goes."""
    try:
        async with open_store(file, lambda _: None, readers=1) as store:
            await checkpoint_often(store, chance.choice([10, 40, 1_000]))
            while True:
                await load.drive(store, 10)
    except (StorageUnavailableError, OutcomeUnknownError, OperatorError, sqlite3.OperationalError):
        assert cut.has_come


async def cut_again_and_again(directory: Path, seed: int, lives: int = LIVES) -> list[Cut]:
    """Live on one disk, from nothing on, through so many power cuts."""
    chance, load, cuts = random.Random(seed), Load(seed), []
    directory.mkdir()
    disk, file = Disk(directory, seed), directory / "obelisk.db"
    with installed(disk):
        for _ in range(lives):
            disk.faults = cut = PowerCut(chance.randint(1, MOST_OPERATIONS))
            await live_until_cut(file, load, chance, cut)
            gc.collect()
            disk.cut_power()
            cuts.append(look(file, load))
            if cuts[-1].lost or cuts[-1].damage:
                break
    return cuts


def look(file: Path, load: Load) -> Cut:
    """Compare what a cut has left with what was acknowledged."""
    acknowledged = load.acknowledged
    try:
        report = check_database(file, full=True)
    except OperatorError:  # there was no database yet
        return Cut([f"all of {acknowledged.writes}"] if acknowledged.writes else [], [], acknowledged.writes)
    return Cut([] if report.damage else acknowledged.lost(file), list(report.damage), acknowledged.writes)


@pytest.mark.parametrize("seed", range(CUTS // LIVES))
async def test_a_power_cut_loses_nothing_that_was_acknowledged(directory: Path, seed: int) -> None:
    for number, cut in enumerate(await cut_again_and_again(directory / "disk", seed)):
        assert (cut.lost, cut.damage) == ([], []), f"seed {seed}, cut {number}"


async def test_the_disk_shows_that_a_commit_without_a_sync_is_lost(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With what a daemon must not do, to see that the test above could fail."""
    normal = tuple(one.replace("synchronous = FULL", "synchronous = NORMAL") for one in schema._PRAGMAS)
    assert normal != schema._PRAGMAS
    monkeypatch.setattr(schema, "_PRAGMAS", normal)
    lives = [await cut_again_and_again(directory / str(seed), seed) for seed in range(10)]
    assert sum(bool(cut.lost) for cuts in lives for cut in cuts) >= 3
    assert all(cut.damage == [] for cuts in lives for cut in cuts)
