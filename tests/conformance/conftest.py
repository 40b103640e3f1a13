"""The stores that keep the promises of the port."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from obelisk_daemon.errors import OutcomeUnknownError
from obelisk_daemon.storage.sql.store import SqlStore
from obelisk_daemon.storage.sqlite.checking import check_database
from obelisk_daemon.storage.sqlite.store import open_store
from tests.conformance.world import World


def not_expected(error: OutcomeUnknownError) -> None:
    raise error


@pytest.fixture(params=["sqlite"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[SqlStore]:
    """Give an empty store of every kind there is."""
    assert request.param == "sqlite"
    async with open_store(tmp_path / "obelisk.db", not_expected) as opened:
        yield opened


@pytest.fixture
async def world(store: SqlStore, tmp_path: Path) -> AsyncIterator[World]:
    """Give the store with a generation that allows the functions of `building`; at the end all of it is checked."""
    made = World(store)
    await made.activate()
    yield made
    assert check_database(tmp_path / "obelisk.db", full=True).damage == []
