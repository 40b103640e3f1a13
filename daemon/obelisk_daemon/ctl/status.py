"""`obelisk-ctl status`."""

import time
from typing import Annotated, Any, Final

import typer

from obelisk_daemon.ctl.durations import parse_seconds
from obelisk_daemon.ctl.failure import OK, TIMED_OUT, UNREACHABLE, CtlError
from obelisk_daemon.ctl.session import Session, command

_PAUSE: Final = 0.1


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "status")(status)


def status(
    session: Session,
    wait: Annotated[
        str | None, typer.Option("--wait", metavar="DURATION", help="Wait this long for a ready daemon, such as 30s.")
    ] = None,
) -> int:
    """Show the daemon: version, generation, what runs."""
    document = _read(session) if wait is None else _wait_until_ready(session, parse_seconds(wait))
    output = session.output
    if output.as_json:
        output.document(document)
        return OK
    counts, pauses = document.pop("executions"), document.pop("automatic_pauses")
    drift = [f"{one['subject']}: {one['message']}" for one in document.pop("drift", ())]
    executors = [_executor(one) for one in document.pop("executors")]
    output.fields(
        {"address": str(session.client.address)}
        | document
        | {"ready": "yes" if document["ready"] else "no"}
        | {"executors": "\n".join(executors)}
        | {"executions": _counted(counts) or "none unfinished"}
        | {"paused by the daemon": _counted(pauses)}
        | {"drift": "\n".join(drift)}
    )
    return OK


def _counted(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.items())


def _executor(one: dict[str, Any]) -> str:
    labels = f", labels {', '.join(one['labels'])}" if one["labels"] else ""
    return f"{one['name']}: {one['running']} of {one['max_running']} running{labels}"


def _read(session: Session) -> dict[str, Any]:
    document: dict[str, Any] = session.client.get("/v1/status").document
    return document


def _wait_until_ready(session: Session, seconds: float) -> dict[str, Any]:
    give_up = time.monotonic() + seconds
    with session.output.progress("waiting for the daemon") as shown:
        while True:
            try:
                document = _read(session)
                if document["ready"]:
                    return document
                reason = f"the daemon is not ready: {document['not_ready']}"
                shown.update(text=document["not_ready"])
            except CtlError as error:
                if error.exit_code != UNREACHABLE:
                    raise
                reason = str(error)
            if time.monotonic() >= give_up:
                raise CtlError(TIMED_OUT, "timed_out", f"waited {seconds:g} s, but {reason}")
            time.sleep(_PAUSE)
