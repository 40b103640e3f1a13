"""Opens a database of PostgreSQL; loaded by a daemon that has one only."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from obelisk_config import Postgresql
from obelisk_daemon.clock import SystemClock
from obelisk_daemon.storage.postgres.connecting import Target
from obelisk_daemon.storage.postgres.keeper import PostgresKeeper
from obelisk_daemon.storage.postgres.store import open_store
from obelisk_daemon.storage.store_clock import StoreClock
from obelisk_daemon.supervisor.opening import Opened, Opening, password_of


@asynccontextmanager
async def open_postgresql(database: Postgresql, opening: Opening) -> AsyncIterator[Opened]:
    """Open it for as long as the context lasts; see `open_database`."""
    password = password_of(database, opening.variables)
    await asyncio.to_thread(password)  # what is missing is told now, and not when the server asks for it
    target, cache = Target(database.url, password), opening.state_dir / "cache"
    name = secrets.token_hex(8)
    async with open_store(target, name, opening.on_broken, metrics=opening.metrics) as store:
        clock = StoreClock(store.time, SystemClock().monotonic)
        await clock.synchronize()
        ticking = asyncio.create_task(clock.run(), name="store clock")
        try:
            keeper = PostgresKeeper(database.url, target, password, cache)
            yield Opened(store, clock, keeper, store.announcer)
        finally:
            ticking.cancel()
            with suppress(asyncio.CancelledError):
                await ticking
