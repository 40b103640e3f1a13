"""What a start runs: what the file says, or else what ran before."""

from typing import Final

import msgspec
import structlog

from obelisk_config import ManifestError
from obelisk_daemon.deployment.activation import Origin
from obelisk_daemon.deployment.checking import Refusal
from obelisk_daemon.deployment.deployer import Deployer
from obelisk_daemon.deployment.manifest_file import ManifestFile
from obelisk_daemon.deployment.proposal import Active
from obelisk_daemon.errors import ObeliskError, OperatorError
from obelisk_daemon.offline import Beginning

_log: Final = structlog.get_logger("obeliskd")


async def first_generation(deployer: Deployer, file: ManifestFile, beginning: Beginning) -> Active:
    """Find what to run, and set the deployer's restart-only settings to those that hold.

    Raises:
        ManifestError: neither can be used.
        OperatorError: the file can't be read, and nothing ran before.
    """
    deployer.executors = beginning.executors
    unusable = await _resume(deployer)
    problem, verdict = beginning.problem, None
    if problem is None and (beginning.settings.manifest == "file" or deployer.is_first):
        verdict = await deployer.propose(beginning.source, Origin("start"))
        problem = Refusal(verdict.stage or "seen", verdict.diagnostics) if verdict.outcome == "refused" else None
        if problem is not None and not verdict.diagnostics:
            problem = unusable or OperatorError("manifest_refused", verdict.message)
    if not deployer.has_active:
        raise problem or unusable or OperatorError("no_generation", "nothing is active")
    if problem is not None:
        _log.error("fallen_back", generation=deployer.active.generation.number, detail=str(problem))
    else:
        for warning in deployer.active.candidate.warnings:
            _log.warning("manifest_warning", code=warning.code, detail=warning.message)
    is_own = problem is None or beginning.is_shared
    settings = beginning.settings if is_own else deployer.active.candidate.manifest.daemon
    deployer.running = msgspec.structs.replace(settings, state_dir=beginning.settings.state_dir)
    file.begin(beginning.source, verdict, problem)
    return deployer.active


async def _resume(deployer: Deployer) -> ManifestError | OperatorError | None:
    """Run what is active in the database; give what speaks against it."""
    try:
        await deployer.resume()
    except (Refusal, ObeliskError) as error:
        _log.error("last_generation_unusable", code=error.code, detail=str(error))
        return error if isinstance(error, ManifestError) else OperatorError(error.code, str(error))
    return None
