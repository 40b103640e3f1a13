"""The stores that keep the promises of the port."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from obelisk_daemon.errors import OutcomeUnknownError
from obelisk_daemon.storage.database import Damage
from obelisk_daemon.storage.postgres.connecting import Target
from obelisk_daemon.storage.postgres.store import open_store as open_postgres
from obelisk_daemon.storage.sql.checking import check_rows
from obelisk_daemon.storage.sql.connection import Connection
from obelisk_daemon.storage.sql.store import SqlStore
from obelisk_daemon.storage.sqlite.store import open_store as open_sqlite
from tests.conformance.world import World


def not_expected(error: OutcomeUnknownError) -> None:
    raise error


@pytest.fixture(params=["sqlite", "postgresql"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[SqlStore]:
    """Give an empty store of every kind there is."""
    if request.param == "sqlite":
        opening: AbstractAsyncContextManager[SqlStore] = open_sqlite(tmp_path / "obelisk.db", not_expected)
    else:
        opening = open_postgres(Target(request.getfixturevalue("postgres")), "test", not_expected)
    async with opening as opened:
        yield opened


@pytest.fixture
async def world(store: SqlStore) -> AsyncIterator[World]:
    """Give the store with a generation that allows the functions of `building`; at the end all of it is checked."""
    made = World(store)
    await made.activate()
    yield made
    assert await store.reads._on_connection(_damage) == []


def _damage(connection: Connection) -> list[Damage]:
    with connection.snapshot():
        return check_rows(connection, full=True).damage
