"""`obelisk-ctl follow`: an execution and its children, live."""

import time
from datetime import UTC, datetime
from typing import Any

import typer

from obelisk_daemon.ctl.executions import IdArgument
from obelisk_daemon.ctl.session import Flag, Session, command, result_exit_code
from obelisk_daemon.ids import parse_execution_id

LOGS = Flag("logs", "Also show what the guests log.")


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "follow", LOGS)(follow)


def follow(session: Session, execution_id: IdArgument) -> int:
    """Show what happens to an execution until it has finished, then its result.

    At a terminal its tree is drawn, with all that it called; elsewhere each event is a line. The exit code is 0 for ok
    and 1 for an error or a failure.
    """
    known, output = parse_execution_id(execution_id), session.output
    if output.screen.is_terminal:
        result = _draw(session, known)
    else:
        from obelisk_daemon.ctl.waiting import follow_events

        show = output.note if output.as_json else output.line
        result = follow_events(session.client, known, show, logs="logs" in session.flags)
    output.document({"execution_id": known, "result": result} if output.as_json else result)
    return result_exit_code(result)


def _draw(session: Session, known: str) -> dict[str, Any]:
    from obelisk_daemon.ctl.client import segment
    from obelisk_daemon.ctl.drawing import drawn
    from obelisk_daemon.ctl.streaming import messages
    from obelisk_daemon.ctl.tree_view import TreeView

    view = TreeView(known, lambda: datetime.fromtimestamp(time.time_ns() / 1e9, UTC))
    logs = "true" if "logs" in session.flags else None
    stream = messages(session.client, f"/v1/executions/{segment(known)}/follow", children="true", logs=logs)
    first = next(stream)  # what is refused is told on an empty screen
    with drawn(session.output.screen, view.lines):
        message = first
        while message.event != "finished":
            view.take(message)
            message = next(stream)
        view.take(message)
    result: dict[str, Any] = message.data["result"]
    return result
