"""`obelisk-ctl replay`, and `events --export`."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from obelisk_daemon.ctl.executions import path_of
from obelisk_daemon.ctl.failure import BAD_DATA, FAILED, OK, USAGE, CtlError
from obelisk_daemon.ctl.session import Session, command


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "replay")(replay)


def replay(
    session: Session,
    execution_id: Annotated[
        str | None, typer.Argument(metavar="ID", help="The workflow's id; left out with --log.")
    ] = None,
    component: Annotated[
        str | None,
        typer.Option("--component", metavar="FILE", help="Replay on this component, not on the current one."),
    ] = None,
    log: Annotated[
        str | None, typer.Option("--log", metavar="FILE", help="Replay what `events --export` wrote, without a daemon.")
    ] = None,
) -> int:
    """Replay a workflow's log without changing anything: does the code go on with it?

    The exit code is 0 if the code ends as the log does, waits at the same place, or would go on after the log's end.
    It is 1 if it diverges: then the version is shown, what the log has there, and what the code asked for.
    """
    if log is not None:
        if execution_id is not None or component is None:
            raise CtlError(USAGE, "usage", "with --log give --component FILE, and no ID")
        return _without_daemon(session, log, component)
    if execution_id is None:
        raise CtlError(USAGE, "usage", "give the ID of a workflow, or --log FILE and --component FILE")
    code = None if component is None else _read(component)
    with session.output.progress("replaying"):
        report = session.client.send(f"{path_of(execution_id)}/replay", code).document
    if session.output.as_json:
        session.output.document(report)
    session.output.line(f"{execution_id} {report['summary']}")
    return OK if report["passed"] else FAILED


def export_log(session: Session, execution_id: str, file: str) -> int:
    """Write an execution's log to a file, or to stdout for `-`."""
    document = session.client.get(f"{path_of(execution_id)}/export").document
    text = json.dumps(document, ensure_ascii=False, indent=1) + "\n"
    if file == "-":
        sys.stdout.write(text)
        return OK
    try:
        Path(file).write_text(text, "utf-8")
    except OSError as error:
        raise CtlError(FAILED, "not_written", f"can't write {file}: {error.strerror}") from error
    events: list[Any] = document["events"]
    if session.output.as_json:
        session.output.document({"execution_id": execution_id, "file": file, "events": len(events)})
    session.output.line(f"wrote {len(events)} events of {execution_id} to {file}")
    return OK


def _without_daemon(session: Session, log: str, component: str) -> int:
    """Have the daemon's own program do it, since it has the engine; what it prints is our output."""
    arguments = ["--log", log, "--component", component, *(["--json"] if session.output.as_json else [])]
    # isolated from the current directory, where a file could have the name of one of our modules
    done = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-P", "-m", "obelisk_daemon.obeliskd", "replay", *arguments], check=False
    )
    return done.returncode if done.returncode >= 0 else FAILED


def _read(component: str) -> bytes:
    try:
        return Path(component).read_bytes()
    except OSError as error:
        raise CtlError(BAD_DATA, "file_unreadable", f"{component} can't be read: {error.strerror}") from error
