"""`obelisk-ctl why`."""

from collections.abc import Iterator
from typing import Any, Final

import typer

from obelisk_daemon.ctl.executions import IdArgument, path_of
from obelisk_daemon.ctl.failure import OK
from obelisk_daemon.ctl.session import Session, command

_INDENT: Final = "  "


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "why")(why)


def why(session: Session, execution_id: IdArgument) -> int:
    """Say in plain words why an execution is not running, with the commands that would help.

    Of a workflow that waits for a child, the child's own reasons follow, and those of its child, down to the last one.
    """
    document = session.client.get(f"{path_of(execution_id)}/why").document
    if session.output.as_json:
        session.output.document(document)
    for line in lines(document):
        session.output.line(line)
    return OK


def lines(document: dict[str, Any]) -> Iterator[str]:
    """Write the state, and below it the reasons; those of a child stand below what its parent waits for."""
    lifecycle = "" if document["lifecycle"] == "active" else f", {document['lifecycle']}"
    yield f"{document['execution_id']}  {document['state']}{lifecycle}"
    depths: dict[str | None, int] = {}
    for reason in document["reasons"]:
        depth = depths.setdefault(reason.get("execution_id"), len(depths) + 1)
        yield f"{_INDENT * depth}{reason['text']}"
        for line in reason.get("commands", []):
            yield f"{_INDENT * (depth + 1)}$ {line}"
