"""A store in which a generation is active: only what one allows can be submitted."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from obelisk_daemon.errors import OutcomeUnknownError
from obelisk_daemon.storage.sql.store import SqlStore
from obelisk_daemon.storage.sqlite.store import open_store
from tests.conformance.world import World


@asynccontextmanager
async def open_active(file: Path, broken: Callable[[OutcomeUnknownError], object]) -> AsyncIterator[SqlStore]:
    """Open a store; if it is new, its first generation is what the conformance tests use."""
    async with open_store(file, broken) as store:
        if await store.active_generation() is None:
            await World(store).activate()
        yield store
