"""What is kept of who changed what: one row for each request, noted before it is carried out and completed after."""

from typing import Final, Protocol

import msgspec

from obelisk_daemon.clock import Instant

KEPT: Final = 100_000
"""Rows of requests that were carried out; the oldest go."""
KEPT_REFUSED: Final = 10_000
"""Rows of refused ones, counted by themselves, so that nobody can push out the others."""


class AuditEntry(msgspec.Struct, frozen=True, kw_only=True):
    """Who wants what. `subject` is an id, or else the path; `params` is a JSON object without secrets and values."""

    at: Instant
    actor: str
    peer: str
    role: str
    """Empty for somebody who is not known."""
    action: str
    """The operation's id in the API's description."""
    subject: str
    params: str = "{}"


class AuditOutcome(msgspec.Struct, frozen=True):
    """What the client was answered: the HTTP status, and the problem's code or the verdict."""

    at: Instant
    status: int
    code: str = ""


class AuditRow(msgspec.Struct, frozen=True):
    """A row. Without an outcome, the daemon ended before there was one: what was asked may have happened or not."""

    audit_id: int
    entry: AuditEntry
    outcome: AuditOutcome | None
    refused: bool = False
    left_out: int = 0
    """Of a refused one: how many refusals before it were not kept."""


class AuditFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which rows are wanted: from `after` on, until before `before`, and older than the row `cursor`."""

    limit: int
    actor: str | None = None
    action: str | None = None
    subject: str | None = None
    after: Instant | None = None
    before: Instant | None = None
    cursor: int | None = None


class AuditLog(Protocol):
    """Keeps the rows."""

    async def audit_begin(self, entry: AuditEntry) -> int:
        """Note what will be carried out; give its number.

        Raises:
            StorageUnavailableError: it can't be noted, so it must not be carried out.
        """
        ...

    async def audit_end(self, audit_id: int, outcome: AuditOutcome) -> None:
        """Note what became of it.

        Raises:
            StorageUnavailableError: it can't be noted.
        """
        ...

    async def audit_refused(self, entry: AuditEntry, outcome: AuditOutcome, left_out: int) -> None:
        """Note what was refused.

        Raises:
            StorageUnavailableError: it can't be noted.
        """
        ...

    async def audit_rows(self, chosen: AuditFilter) -> list[AuditRow]:
        """Read a page, newest first."""
        ...
