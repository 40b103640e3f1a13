"""`obelisk-ctl wit`."""

from pathlib import Path
from typing import Annotated, Any

import typer

from obelisk_daemon.ctl.failure import FAILED, OK, CtlError
from obelisk_daemon.ctl.session import Flag, Session, command


def register(app: typer.Typer) -> None:
    """Add the command."""
    extensions = Flag("extensions", "Print the generated interfaces, too: submit, await, get, schedule, stub.")
    command(app, "wit", extensions)(wit)


def wit(
    session: Session,
    target: Annotated[
        str | None, typer.Argument(metavar="COMPONENT|FFQN", help="What to print; all components if left out.")
    ] = None,
    output: Annotated[
        str | None, typer.Option("--output", metavar="DIR", help="Write each package to a file in this directory.")
    ] = None,
) -> int:
    """Print functions as WIT, to generate bindings from.

    The text is complete: as one file it goes into a deps directory that has none of its packages yet. With --output
    each package becomes a file of its own.
    """
    # every function has a dot in its name, and of the components only a stub that is called like its function
    is_function = target is not None and "." in target
    query = {"ffqn" if is_function else "component": target}
    document = session.client.get("/v1/wit", **query, extensions="true" if session.flags else None).document
    written = None if output is None else _write(Path(output), document["packages"])
    if session.output.as_json:
        session.output.document(document)
    elif written is not None:
        for file in written:
            session.output.line(str(file))
    elif document["wit"]:
        session.output.line(document["wit"].rstrip("\n"))
    else:
        session.output.note("none")
    return OK


def _write(directory: Path, packages: list[dict[str, Any]]) -> list[Path]:
    written = []
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for package in packages:
            file = directory / Path(package["file"]).name
            file.write_text(package["text"], "utf-8")
            written.append(file)
    except OSError as error:
        message = f"can't write {error.filename or directory}: {error.strerror}"
        raise CtlError(FAILED, "not_written", message) from error
    return written
