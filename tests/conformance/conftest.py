"""The stores that keep the promises of the port."""

from collections.abc import AsyncIterator

import pytest

from obelisk_daemon.storage.sql.store import SqlStore
from tests.conformance.world import World
from tests.stores import Place


@pytest.fixture
async def store(place: Place) -> AsyncIterator[SqlStore]:
    """Give an empty store of every kind there is."""
    async with place.open() as opened:
        yield opened


@pytest.fixture
async def world(store: SqlStore, place: Place) -> AsyncIterator[World]:
    """Give the store with a generation that allows the functions of `building`; at the end all of it is checked."""
    made = World(store)
    await made.activate()
    yield made
    assert place.damage() == []
