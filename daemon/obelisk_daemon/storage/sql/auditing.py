"""The rows of the audit log."""

from typing import Final

from obelisk_daemon.storage.audit import KEPT, KEPT_REFUSED, AuditEntry, AuditFilter, AuditOutcome, AuditRow
from obelisk_daemon.storage.sql.connection import Row
from obelisk_daemon.storage.sql.transaction import Transaction

_TIDY_EVERY: Final = 256
"""Rows after which those over the bound go."""
_NEWEST: Final = 2**62


def insert(tx: Transaction, entry: AuditEntry, outcome: AuditOutcome | None = None, left_out: int | None = None) -> int:
    """Add a row, and now and then take out the oldest; give its number. `left_out` is of a refused one."""
    ended = (None, None, None) if outcome is None else (outcome.at, outcome.status, outcome.code)
    written = (entry.at, entry.actor, entry.peer, entry.role, entry.action, entry.subject, entry.params)
    row = tx.execute("audit_insert", (*written, int(left_out is not None), left_out or 0, *ended)).fetchone()
    audit_id = int(row[0])
    if audit_id % _TIDY_EVERY == 0:
        for refused, kept in ((0, KEPT), (1, KEPT_REFUSED)):
            tx.execute("audit_tidy", {"refused": refused, "kept": kept})
    return audit_id


def complete(tx: Transaction, audit_id: int, outcome: AuditOutcome) -> None:
    """Write what became of a row."""
    tx.execute("audit_complete", (outcome.at, outcome.status, outcome.code, audit_id))


def query(chosen: AuditFilter) -> tuple[str, dict[str, object]]:
    """Choose the statement for a filter, with its values."""
    name = "audit_page" if chosen.subject is None else "audit_of_subject"
    values: dict[str, object] = {"limit": chosen.limit, "actor": chosen.actor, "action": chosen.action}
    values |= {"after": chosen.after or 0, "before": _NEWEST if chosen.before is None else chosen.before}
    values["cursor"] = _NEWEST if chosen.cursor is None else chosen.cursor
    return name, values if chosen.subject is None else {**values, "subject": chosen.subject}


def row_of(row: Row) -> AuditRow:
    """Read a row."""
    audit_id, at, actor, peer, role, action, subject, params, refused, left_out, ended_at, status, code = row
    entry = AuditEntry(at=at, actor=actor, peer=peer, role=role, action=action, subject=subject, params=params)
    outcome = None if ended_at is None else AuditOutcome(ended_at, status, code)
    return AuditRow(audit_id, entry, outcome, bool(refused), left_out)
