"""`obelisk-ctl queues` and `executors`."""

from typing import Any

import typer

from obelisk_daemon.ctl.failure import OK
from obelisk_daemon.ctl.session import Session, command


def register(app: typer.Typer) -> None:
    """Add the commands."""
    command(app, "queues")(queues)
    command(app, "executors")(executors)


def queues(session: Session) -> int:
    """Show what waits and runs of each component, and its limits."""
    document = session.client.get("/v1/queues").document
    if session.output.as_json:
        session.output.document(document)
        return OK
    lines = [*document["queues"], {"component": "all", **document["total"]}]
    session.output.table(("COMPONENT", "KIND", "PENDING", "RUNNING", "OLDEST", "NEVER STARTED"), [*map(_queue, lines)])
    return OK


def _queue(one: dict[str, Any]) -> tuple[str, ...]:
    return (
        one["component"],
        one.get("kind", ""),
        str(one["pending"]),
        _of(one["running"], one.get("max_running")),
        one.get("oldest_due_at", ""),
        _of(one["never_started"], one.get("max_pending")),
    )


def _of(number: int, limit: int | None) -> str:
    return str(number) if limit is None else f"{number} of {limit}"


def executors(session: Session) -> int:
    """Show the executors: what they offer, and how much of it is taken. Those that are gone stay for an hour."""
    document = session.client.get("/v1/executors").document
    if session.output.as_json:
        session.output.document(document)
        return OK
    rows = [
        (
            one["name"],
            "here" if one["here"] else "elsewhere",
            _of(one["running"], one["max_running"]),
            str(one["hot"]),
            one["seen_at"],
            one["started_at"],
            ", ".join(one["labels"]),
            one["host"],
            one["executor_id"],
        )
        for one in document["executors"]
    ]
    session.output.table(("NAME", "WHERE", "RUNNING", "HOT", "SEEN", "STARTED", "LABELS", "HOST", "ID"), rows)
    return OK
