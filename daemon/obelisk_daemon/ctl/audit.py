"""`obelisk-ctl audit`: who changed what."""

from typing import Annotated, Any, Final

import typer

from obelisk_daemon.ctl.failure import OK
from obelisk_daemon.ctl.output import to_text
from obelisk_daemon.ctl.session import Session, command

_PAGE: Final = 500
_COLUMNS: Final = ("WHEN", "WHO", "ACTION", "SUBJECT", "RESULT", "FROM", "DETAILS")


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "audit")(audit)


def audit(
    session: Session,
    *,
    actor: Annotated[
        str | None, typer.Option("--actor", metavar="NAME", help="A token's name, or unix:uid=NUMBER.")
    ] = None,
    action: Annotated[str | None, typer.Option("--action", metavar="NAME", help="Such as cancel.")] = None,
    subject: Annotated[str | None, typer.Option("--subject", metavar="ID", help="What it was done to.")] = None,
    after: Annotated[str | None, typer.Option("--after", metavar="TIME", help="From this time on.")] = None,
    before: Annotated[str | None, typer.Option("--before", metavar="TIME", help="Until before this time.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="How many at most.")] = 50,
    cursor: Annotated[int | None, typer.Option("--cursor", min=1, help="Go on after this one.")] = None,
) -> int:
    """Show who changed what, the newest first. Times are as in RFC 3339, such as 2027-01-31T00:00:00Z.

    A result of ? says that the daemon ended before there was one.
    """
    filters = {"actor": actor, "action": action, "subject": subject, "after": after, "before": before}
    found: list[dict[str, Any]] = []
    following = cursor
    while len(found) < limit:
        wanted = min(limit - len(found), _PAGE)
        page = session.client.get("/v1/audit", **filters, limit=wanted, cursor=following).document
        found += page["entries"]
        following = page.get("next")
        if following is None:
            break
    if session.output.as_json:
        session.output.document({"entries": found} | ({} if following is None else {"next": following}))
        return OK
    session.output.table(_COLUMNS, [_row(entry) for entry in found])
    if following is not None:
        session.output.note(f"there are more: --cursor {following}")
    return OK


def _row(entry: dict[str, Any]) -> tuple[str, ...]:
    result = "?" if "status" not in entry else f"{entry['status']} {entry.get('code', '')}".rstrip()
    params: dict[str, Any] = entry.get("params", {})
    details = [f"{name}={value if isinstance(value, str) else to_text(value)}" for name, value in params.items()]
    if entry.get("left_out"):
        details.append(f"{entry['left_out']} refusals before were not kept")
    who = f"{entry['actor']} ({entry['role']})" if entry.get("role") else entry["actor"]
    return entry["at"], who, entry["action"], entry["subject"], result, entry.get("peer", ""), " ".join(details)
