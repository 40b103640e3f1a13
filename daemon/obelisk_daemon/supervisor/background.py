"""What runs beside the work: signs of life, and reloads on request."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Final

import structlog

from obelisk_daemon.deployment.manifest_file import ManifestFile
from obelisk_daemon.deployment.proposal import Wish
from obelisk_daemon.errors import ObeliskError, StorageUnavailableError
from obelisk_daemon.executor.executor import Executor
from obelisk_daemon.storage.sqlite.store import SqliteStore

_log: Final = structlog.get_logger("obeliskd")


async def heartbeats(store: SqliteStore, members: Sequence[Executor], lease: timedelta) -> None:
    """Renew the leases of all executors, three times in each."""
    while True:
        await asyncio.sleep(lease.total_seconds() / 3)
        try:
            for member in members:
                await heartbeat(store, member)
        except StorageUnavailableError as error:
            _log.error("heartbeat_failed", code=error.code, detail=str(error))


async def heartbeat(store: SqliteStore, member: Executor) -> None:
    """Renew the lease of one executor.

    Raises:
        StorageUnavailableError: the database can't be written now.
    """
    await store.heartbeat(member.services.executor_id, member.services.clock.now())


async def reload_on_request(wanted: asyncio.Event, file: ManifestFile) -> None:
    """Check the manifest each time that `wanted` is set."""
    while True:
        await wanted.wait()
        wanted.clear()
        try:
            verdict = await file.reload(Wish())
        except ObeliskError as error:
            _log.error("reload_failed", code=error.code, detail=str(error))
        except Exception:  # noqa: BLE001 - the edge: a request to look must not end the daemon
            _log.exception("reload_failed")
        else:
            _log.info("reloaded", outcome=verdict.outcome, generation=verdict.generation)
