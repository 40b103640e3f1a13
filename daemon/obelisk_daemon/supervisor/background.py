"""What runs beside the work: reloads on request."""

import asyncio
from typing import Final

import structlog

from obelisk_daemon.deployment.manifest_file import ManifestFile
from obelisk_daemon.deployment.proposal import Wish
from obelisk_daemon.errors import ObeliskError

_log: Final = structlog.get_logger("obeliskd")


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
