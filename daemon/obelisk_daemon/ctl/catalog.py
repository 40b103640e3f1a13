"""`obelisk-ctl components` and `functions`."""

import typer

from obelisk_daemon.ctl.failure import OK
from obelisk_daemon.ctl.session import Session, command


def register(app: typer.Typer) -> None:
    """Add the commands."""
    command(app, "components")(components)
    command(app, "functions")(functions)


def components(session: Session) -> int:
    """List the components of the active generation."""
    document = session.client.get("/v1/components").document
    if session.output.as_json:
        session.output.document(document)
        return OK
    rows = [
        (row["name"], row["kind"], row["digest"], _size(row["size"]), ", ".join(row["labels"]))
        for row in document["components"]
    ]
    session.output.table(("NAME", "KIND", "DIGEST", "SIZE", "LABELS"), rows)
    return OK


def functions(session: Session) -> int:
    """List the functions that can be submitted, with their types."""
    document = session.client.get("/v1/functions").document
    if session.output.as_json:
        session.output.document(document)
        return OK
    rows = [(row["ffqn"], row["kind"], row["component"], row["signature"]) for row in document["functions"]]
    session.output.table(("FUNCTION", "KIND", "COMPONENT", "TYPE"), rows)
    return OK


def _size(size: int) -> str:
    if size < 1 << 10:
        return f"{size} B"
    return f"{size / (1 << 10):.1f} KiB" if size < 1 << 20 else f"{size / (1 << 20):.1f} MiB"
