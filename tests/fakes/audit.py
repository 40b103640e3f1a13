"""An audit log in memory."""

import msgspec

from obelisk_daemon.errors import StorageUnavailableError
from obelisk_daemon.storage.audit import AuditEntry, AuditFilter, AuditOutcome, AuditRow


class FakeAuditLog:
    """Keeps rows in a list. `is_full` has it refuse every write, as a full disk does."""

    def __init__(self) -> None:
        self.rows: list[AuditRow] = []
        self.is_full = False

    async def audit_begin(self, entry: AuditEntry) -> int:
        return self._add(entry, None)

    async def audit_end(self, audit_id: int, outcome: AuditOutcome) -> None:
        if self.is_full:
            raise StorageUnavailableError("storage_full", "no space left")
        self.rows[audit_id - 1] = msgspec.structs.replace(self.rows[audit_id - 1], outcome=outcome)

    async def audit_refused(self, entry: AuditEntry, outcome: AuditOutcome, left_out: int) -> None:
        self._add(entry, outcome, refused=True, left_out=left_out)

    async def audit_rows(self, chosen: AuditFilter) -> list[AuditRow]:
        return self.rows[::-1][: chosen.limit]

    def _add(self, entry: AuditEntry, outcome: AuditOutcome | None, *, refused: bool = False, left_out: int = 0) -> int:
        if self.is_full:
            raise StorageUnavailableError("storage_full", "no space left")
        self.rows.append(AuditRow(len(self.rows) + 1, entry, outcome, refused, left_out))
        return len(self.rows)
