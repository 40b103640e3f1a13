"""The trial of other code: whether an execution's log replays there, found out by the run that would go on from it."""

import structlog

from obelisk_daemon.execution.divergence import HOST_ABI
from obelisk_daemon.execution.events import ComponentUpgraded
from obelisk_daemon.executor.run import Services
from obelisk_daemon.storage.records import Held

_log = structlog.get_logger("workflow")


class Trial:
    """What a run finds out about the code it was locked with. There is nothing to find out where it is the same."""

    def __init__(self, services: Services, held: Held) -> None:
        self.is_open = held.locked.upgrade_from is not None
        """Whether it is still to be told how the trial ended."""
        self._services = services
        self._execution_id = held.execution_id
        self._digest = held.locked.digest
        self._misfitting: ComponentUpgraded | None = None

    def give_up(self) -> None:
        """Tell nothing: the code is not run at all."""
        self.is_open = False

    def fail(self, version: int | None, message: str) -> None:
        """End it: the log does not replay."""
        self._misfitting = ComponentUpgraded(False, self._digest, HOST_ABI, version, message)

    def ending(self, *, is_replaying: bool) -> ComponentUpgraded | None:
        """Give how it ended, for the next append: once, as soon as it is known."""
        if not self.is_open or (is_replaying and self._misfitting is None):
            return None
        self.is_open = False
        tried = self._misfitting or ComponentUpgraded(True, self._digest, HOST_ABI)
        self._services.metrics.executions.upgrades.inc("ok" if tried.ok else "failed")
        _log.info("upgraded" if tried.ok else "upgrade_failed", execution_id=self._execution_id, detail=tried.message)
        return tried
