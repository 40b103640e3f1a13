"""A database that says what it is told to."""

import hashlib
from collections.abc import AsyncIterator

from obelisk_daemon.storage.database import Backup, CheckReport, Damage, DatabaseStats, VacuumReport

STATS = DatabaseStats(
    file_bytes=58_732_544,
    wal_bytes=4_120_032,
    cache_bytes=1_310_720,
    free_bytes=12_288,
    disk_free_bytes=64_424_509_440,
    rows={"execution": 1_200, "event": 9_700, "response": 1_100, "delay": 3, "failure": 17},
    not_counted=["log_line"],
    generations=4,
    component_bytes=2_400_000,
)
DAMAGE = Damage("execution", "E_01HKT8C0G000000000000000A1", "version is 3, and its log says 4")


class FakeDatabase:
    """Give `copy` as a backup, unless there is an `error`; `damage` is what a check finds."""

    def __init__(self) -> None:
        self.copy = b"SQLite format 3\x00" + bytes(100_000)
        self.told_sha256: bytes | None = None
        self.damage: list[Damage] = []
        self.full: list[bool] = []
        self.error: Exception | None = None
        self.closed = 0
        """How many backups were let go of."""

    async def stats(self) -> DatabaseStats:
        return STATS

    async def check(self, *, full: bool) -> CheckReport:
        self.full.append(full)
        return CheckReport(ok=not self.damage, full=full, executions=800, total=1_200, damage=self.damage)

    async def vacuum(self) -> VacuumReport:
        return VacuumReport(before_bytes=58_732_544, after_bytes=58_720_256, freed_bytes=12_288)

    async def back_up(self) -> Backup:
        if self.error is not None:
            raise self.error
        digest = self.told_sha256 or hashlib.sha256(self.copy).digest()
        return Backup(len(self.copy), digest, self._chunks(), self._close)

    def _close(self) -> None:
        self.closed += 1

    async def _chunks(self) -> AsyncIterator[bytes]:
        for start in range(0, len(self.copy), 30_000):
            yield self.copy[start : start + 30_000]
