"""What a start runs: what the file says, or else what ran before."""

from typing import Final

import msgspec
import structlog

from obelisk_daemon.deployment.activation import Origin
from obelisk_daemon.deployment.checking import Refusal
from obelisk_daemon.deployment.deployer import Deployer
from obelisk_daemon.deployment.manifest_file import ManifestFile
from obelisk_daemon.deployment.proposal import Active
from obelisk_daemon.errors import ObeliskError
from obelisk_daemon.offline import Beginning

_log: Final = structlog.get_logger("obeliskd")


async def first_generation(deployer: Deployer, file: ManifestFile, beginning: Beginning) -> Active:
    """Find what to run, and set the deployer's restart-only settings to those that hold.

    Raises:
        ManifestError: neither can be used.
        OperatorError: the file can't be read, and nothing ran before.
    """
    before = await _last(deployer)
    problem, verdict = beginning.problem, None
    if problem is None:
        verdict = await deployer.propose(beginning.source, Origin("start"))
        problem = Refusal(verdict.stage or "seen", verdict.diagnostics) if verdict.outcome == "refused" else None
    if problem is not None:
        if before is None:
            raise problem
        _log.error("fallen_back", generation=before.generation.number, detail=str(problem))
    else:
        for warning in deployer.active.candidate.warnings:
            _log.warning("manifest_warning", code=warning.code, detail=warning.message)
    settings = beginning.settings if problem is None else deployer.active.candidate.manifest.daemon
    deployer.running = msgspec.structs.replace(settings, state_dir=beginning.settings.state_dir)
    file.begin(beginning.source, verdict, problem)
    return deployer.active


async def _last(deployer: Deployer) -> Active | None:
    try:
        return await deployer.resume()
    except (Refusal, ObeliskError) as error:
        _log.error("last_generation_unusable", code=error.code, detail=str(error))
        return None
