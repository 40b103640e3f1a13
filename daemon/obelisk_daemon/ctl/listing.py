"""`obelisk-ctl list`."""

from typing import Annotated, Any, Final

import typer

from obelisk_daemon.ctl.failure import OK
from obelisk_daemon.ctl.filtering import Filters, filtered
from obelisk_daemon.ctl.session import Flag, Session, command

_PAGE: Final = 500


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "list", Flag("all", "All of them, however many."))(filtered(list_executions))


def list_executions(
    session: Session,
    filters: Filters,
    limit: Annotated[int, typer.Option("--limit", min=1, help="How many at most.")] = 50,
    cursor: Annotated[str | None, typer.Option("--cursor", metavar="CURSOR", help="Go on where a list ended.")] = None,
) -> int:
    """List executions, the newest first."""
    found, cursor = _pages(session, filters, None if "all" in session.flags else limit, cursor)
    if session.output.as_json:
        session.output.document({"executions": found} | ({} if cursor is None else {"next": cursor}))
        return OK
    rows = [(row["execution_id"], state_of(row), row["ffqn"], row["created_at"], _tags(row)) for row in found]
    columns = 5 if any(row[4] for row in rows) else 4
    session.output.table(("ID", "STATE", "FUNCTION", "CREATED", "TAGS")[:columns], [row[:columns] for row in rows])
    if cursor is not None:
        session.output.note(f"there are more: --cursor {cursor}")
    return OK


def _pages(
    session: Session, filters: Filters, limit: int | None, cursor: str | None
) -> tuple[list[dict[str, Any]], str | None]:
    """Read pages until there are enough rows, or no more: a page may have none and still not be the last."""
    found: list[dict[str, Any]] = []
    with session.output.progress("looking") as progress:
        while True:
            wanted = _PAGE if limit is None else min(limit - len(found), _PAGE)
            page = session.client.get("/v1/executions", **filters, limit=wanted, cursor=cursor).document
            found += page["executions"]
            cursor = page.get("next")
            if cursor is None or len(found) == limit:
                return found, cursor
            progress.update(text=f"looking, found {len(found)}")


def state_of(row: dict[str, Any]) -> str:
    """Write the state with what a person wants to know next: how it ended, or that it is paused."""
    if "outcome" in row:
        return str(row.get("failure_kind", row["outcome"]))
    return str(row["state"]) if row["lifecycle"] == "active" else f"{row['state']}, {row['lifecycle']}"


def _tags(row: dict[str, Any]) -> str:
    return " ".join(f"{key}={value}" for key, value in row.get("tags", {}).items())
