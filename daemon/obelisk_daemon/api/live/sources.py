"""Where the daemon's stream reads what it tells: the API's own services."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from obelisk_daemon.api import describing
from obelisk_daemon.api.live.documents import DriftNow, GenerationChange, generation_change
from obelisk_daemon.api.services import DaemonStatus, ManifestControl
from obelisk_daemon.ids import ExecutionId
from obelisk_daemon.storage.port import ExecutionReader
from obelisk_daemon.storage.records import Summary


class HasStatus(Protocol):
    """What knows the state of the daemon."""

    def status(self) -> DaemonStatus:
        """Describe the daemon now."""
        ...


class ServiceSources:
    """Reads of the store, the engine and the manifest."""

    def __init__(self, reader: ExecutionReader, engine: HasStatus, manifest: ManifestControl) -> None:
        self._reader = reader
        self._engine = engine
        self._manifest = manifest

    async def summaries_of(self, chosen: Sequence[ExecutionId]) -> list[Summary]:
        """Read the rows of executions."""
        return await self._reader.summaries_of(chosen)

    async def counts(self) -> Mapping[str, int]:
        """Count the unfinished executions by status and lifecycle."""
        return await self._reader.counts()

    def running(self) -> tuple[int, int]:
        """Count the runs of this daemon, and its workflows in memory."""
        status = self._engine.status()
        return status.running, status.hot

    async def drift(self) -> DriftNow:
        """Compare the files with what is active."""
        of = await self._manifest.file_state()
        refused = None if of.refusal is None else of.refusal.summary
        return DriftNow(drift=describing.drift(of), manifest_refused=refused)

    async def generation(self) -> GenerationChange:
        """Describe what is active."""
        return generation_change(await self._manifest.show(None))
