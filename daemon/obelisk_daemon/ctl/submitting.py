"""`obelisk-ctl submit`."""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Final, NoReturn

import typer

from obelisk_daemon.ctl.failure import BAD_DATA, OK, USAGE, CtlError
from obelisk_daemon.ctl.output import to_text
from obelisk_daemon.ctl.session import Flag, Session, command, result_exit_code
from obelisk_daemon.ids import ExecutionId, IdSource, parse_submitted_id

WAIT: Final = Flag("wait", "Wait for the result and print it.")
FOLLOW: Final = Flag("follow", "Show what happens, then the result.")
_MILLISECOND: Final = 1_000_000


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "submit", WAIT, FOLLOW)(submit)


def submit(
    session: Session,
    ffqn: Annotated[str, typer.Argument(help="The function: its full name, or interface.function where unique.")],
    params: Annotated[str, typer.Argument(help="A JSON array, @FILE to read one, or - for stdin.")] = "[]",
    execution_id: Annotated[
        str | None, typer.Option("--id", metavar="E_...", help="The execution's id; a new one if left out.")
    ] = None,
    *,
    due_at: Annotated[
        str | None, typer.Option("--at", metavar="TIME", help="Start at this time, such as 2026-01-31T12:00:00Z.")
    ] = None,
    due_in: Annotated[
        str | None, typer.Option("--in", metavar="DURATION", help="Start after this long, such as 1h30m.")
    ] = None,
    labels: Annotated[
        list[str] | None, typer.Option("--label", metavar="LABEL", help="What an executor must offer; may be repeated.")
    ] = None,
    priority: Annotated[
        int | None,
        typer.Option("--priority", min=0, metavar="0-9", help="The higher, the sooner it is run."),
    ] = None,
    tags: Annotated[
        list[str] | None,
        typer.Option("--tag", metavar="KEY=VALUE", help="What it is to be found by; may be repeated."),
    ] = None,
) -> int:
    """Call a function durably.

    Submitting again with the same --id, function, parameters and options finds the execution that is there. With
    --wait or --follow the exit code is 0 for ok and 1 for an error or a failure; it is 75 when the queue is full.
    """
    if due_at is not None and due_in is not None:
        raise CtlError(USAGE, "usage", "give --at or --in, not both")
    known = new_id() if execution_id is None else parse_submitted_id(execution_id)
    options: dict[str, object] = {"due_at": due_at, "due_in": due_in, "labels": labels or None, "priority": priority}
    options["tags"] = _tags(tags or ())
    body = _body(ffqn, _read(params), options)
    session.client.put(f"/v1/executions/{known}", body)
    return made(session, known)


def made(session: Session, known: ExecutionId) -> int:
    """Print the id of an execution that was made, or with --wait or --follow what becomes of it."""
    output = session.output
    if session.flags:
        return _until_finished(session, known)
    if output.as_json:
        output.document({"execution_id": known})
    output.line(known)
    return OK


def _until_finished(session: Session, known: ExecutionId) -> int:
    from obelisk_daemon.ctl.waiting import await_result, follow_events

    output = session.output
    if not output.as_json:
        output.note(known)
    if "follow" in session.flags:
        result = follow_events(session.client, known, output.note if output.as_json else output.line)
    else:
        result = await_result(session.client, known)
    output.document({"execution_id": known, "result": result} if output.as_json else result)
    return result_exit_code(result)


def new_id() -> ExecutionId:
    """Make the id of an execution, so that asking for it twice makes it once."""
    import secrets
    import time

    return IdSource(lambda: time.time_ns() // _MILLISECOND, secrets.randbits).execution()


def _tags(texts: Sequence[str]) -> dict[str, str] | None:
    """Read tags; their form is the daemon's to check."""
    tags: dict[str, str] = {}
    for text in texts:
        key, is_tag, value = text.partition("=")
        if not is_tag:
            raise CtlError(USAGE, "usage", f"--tag {text!r} is not KEY=VALUE")
        if tags.setdefault(key, value) != value:
            raise CtlError(USAGE, "usage", f"--tag {key} is given twice, with different values")
    return tags or None


def _read(params: str) -> str:
    try:
        if params == "-":
            return sys.stdin.read()
        return Path(params[1:]).read_text(encoding="utf-8") if params.startswith("@") else params
    except (OSError, UnicodeDecodeError) as error:
        raise CtlError(BAD_DATA, "invalid_params", f"can't read the parameters from {params}: {error}") from error


def _body(ffqn: str, params: str, options: Mapping[str, object]) -> bytes:
    """Put the parameters in as they were written: reading and writing them again could change a number."""
    try:
        parsed = json.loads(params, parse_constant=_refuse_constant)
        rest = "".join(f', "{name}": {to_text(text)}' for name, text in options.items() if text is not None)
        body = f'{{"ffqn": {to_text(ffqn)}, "params": {params}{rest}}}'.encode()
    except RecursionError as error:
        raise CtlError(BAD_DATA, "invalid_params", "the parameters are nested too deeply") from error
    except ValueError as error:
        raise CtlError(BAD_DATA, "invalid_params", f"the parameters are not JSON: {error}") from error
    if not isinstance(parsed, list):
        raise CtlError(BAD_DATA, "invalid_params", "the parameters are one JSON array, such as '[10, \"text\"]'")
    return body


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f'{name} is written as the string "{name}"')
