"""What runs beside the work: reloads on request, and looking for what dead hosts left."""

import asyncio
from typing import Final

import structlog

from obelisk_daemon.deployment.manifest_file import ManifestFile
from obelisk_daemon.deployment.proposal import Wish
from obelisk_daemon.errors import ObeliskError
from obelisk_daemon.executor.executors import Executors
from obelisk_daemon.executor.takeover import take_over
from obelisk_daemon.supervisor.making import Common, tell_quarantined

_log: Final = structlog.get_logger("obeliskd")


async def take_over_from_the_dead(common: Common, executors: Executors, pause: float) -> None:
    """Take over what hosts that died left to others, and complete their cancellations; look every `pause` seconds."""
    while True:
        await asyncio.sleep(pause)
        try:
            recovered = await take_over(common.store, common.clock, common.ids)
            await executors.canceller.resume()
        except ObeliskError as error:
            _log.error("takeover_failed", code=error.code, detail=str(error))
        else:
            if recovered.dead:
                _log.warning("taken_over", executors=list(recovered.dead), lost_runs=recovered.lost_runs)
                tell_quarantined(recovered, common.metrics)
                executors.isolation.look()


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
