"""The database that benches are run on is one that the daemon could have written."""

from datetime import timedelta
from pathlib import Path

import pytest

from obelisk_daemon.clock import Instant
from obelisk_daemon.storage.records import ListFilter
from obelisk_daemon.storage.sqlite.store import open_store
from tests.bench.filling import Filling, fill
from tests.conformance.world import World, check_stored
from tests.fakes.clock import START
from tests.stores import not_expected

pytestmark = pytest.mark.anyio


async def test_every_row_of_a_filled_database_follows_from_its_log(tmp_path: Path) -> None:
    file = tmp_path / "obelisk.db"
    filled = fill(file, Filling(finished=400, live=20, until=Instant(START), span=timedelta(days=1)))
    async with open_store(file, not_expected) as store:
        world = World(store)
        rows = (await store.reads.summaries(ListFilter(limit=1_000))).rows
        for row in rows:
            await check_stored(store, row.execution_id)
        assert sum(row.status == "finished" for row in rows) == 400
        assert len(rows) == 420
        assert len((await store.reads.summaries(ListFilter(parent=filled.workflow))).rows) == 4
        assert (await world.row(filled.failed)).outcome is not None
        assert filled.blocked is not None
        (delay,) = await store.reads.delays(filled.blocked, "", 10)
        assert delay.delay_id.removeprefix("Delay_").startswith(filled.blocked.removeprefix("E_"))
