"""`/v1/audit`: who changed what, when, and what came of it."""

from typing import Annotated, Any, Final, cast

import msgspec
from litestar import get
from litestar.params import QueryParameter

from obelisk_daemon.api.auditing import Audit
from obelisk_daemon.api.problems import PROBLEMS
from obelisk_daemon.api.requests import MAX_NAME, MAX_POSITION, ApiRequest, Limit
from obelisk_daemon.clock import Instant, from_rfc3339, to_rfc3339
from obelisk_daemon.errors import CallerError
from obelisk_daemon.storage.audit import AuditFilter, AuditRow

Text = Annotated[str | None, QueryParameter(max_length=MAX_NAME)]


class AuditDocument(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A request that changes something. Without an outcome, nobody knows if it was carried out: the daemon ended."""

    at: str
    actor: str
    action: str
    subject: str
    role: str = ""
    peer: str = ""
    params: dict[str, Any] = {}
    """What the request said, without secrets and values of guests."""
    ended_at: str | None = None
    status: int | None = None
    code: str = ""
    """Of a problem, or the verdict on a manifest."""
    refused: bool = False
    """The sender was not known, or had not the role."""
    left_out: int = 0
    """Refusals before this one that were not kept: there are at most sixty a minute."""


class AuditList(msgspec.Struct, frozen=True, omit_defaults=True):
    """A page, newest first; `next` is the `cursor` of the page after it, if there is one."""

    entries: list[AuditDocument]
    next: int | None = None


@get("/audit", responses=PROBLEMS, opt={"role": "admin"}, summary="List who changed what, newest first")
async def audit(
    request: ApiRequest,
    actor: Text = None,
    action: Text = None,
    subject: Text = None,
    after: Annotated[str | None, QueryParameter(max_length=MAX_NAME, description="From this time on.")] = None,
    before: Annotated[str | None, QueryParameter(max_length=MAX_NAME, description="Until before this time.")] = None,
    cursor: Annotated[int | None, QueryParameter(ge=1, le=MAX_POSITION)] = None,
    limit: Limit = 50,
) -> AuditList:
    """Give one page. Submitting is not in it: an execution itself says when it was created."""
    chosen = AuditFilter(
        limit=limit,
        actor=actor,
        action=action,
        subject=subject,
        after=_instant(after),
        before=_instant(before),
        cursor=cursor,
    )
    found = await audit_of(request).log.audit_rows(chosen)
    return AuditList([_document(row) for row in found], found[-1].audit_id if len(found) == limit else None)


def audit_of(request: ApiRequest) -> Audit:
    """Give the audit log that the application was made with."""
    return cast(Audit, request.app.state.audit)


def _instant(text: str | None) -> Instant | None:
    if text is None:
        return None
    try:
        return from_rfc3339(text)
    except ValueError as error:
        raise CallerError("invalid_time", str(error)) from None


def _document(row: AuditRow) -> AuditDocument:
    entry, outcome = row.entry, row.outcome
    return AuditDocument(
        at=to_rfc3339(entry.at),
        actor=entry.actor,
        action=entry.action,
        subject=entry.subject,
        role=entry.role,
        peer=entry.peer,
        params=msgspec.json.decode(entry.params, type=dict[str, Any]),
        ended_at=None if outcome is None else to_rfc3339(outcome.at),
        status=None if outcome is None else outcome.status,
        code="" if outcome is None else outcome.code,
        refused=row.refused,
        left_out=row.left_out,
    )


ROUTES: Final = (audit,)
