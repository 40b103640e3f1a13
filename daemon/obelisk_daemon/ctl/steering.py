"""`obelisk-ctl cancel`, `pause`, `resume`, `upgrade`, `retry` and `stub`."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from obelisk_daemon.ctl.executions import IdArgument, path_of
from obelisk_daemon.ctl.failure import BAD_DATA, OK, CtlError
from obelisk_daemon.ctl.output import to_text
from obelisk_daemon.ctl.session import Flag, Session, command
from obelisk_daemon.ctl.submitting import FOLLOW, WAIT, made, new_id


def register(app: typer.Typer) -> None:
    """Add the commands."""
    force = Flag("force", "Also what may not be cancelled, all the way down.")
    command(app, "cancel", force)(cancel)
    command(app, "pause")(pause)
    command(app, "resume")(resume)
    command(app, "upgrade", Flag("force", "Without replaying its log there first."))(upgrade)
    command(app, "retry", WAIT, FOLLOW)(retry)
    command(app, "stub")(stub)


def cancel(session: Session, execution_id: IdArgument) -> int:
    """Ask an execution and its children to end.

    Workflows that may not be cancelled are waited for, unless --force is given.
    """
    body = b'{"force": true}' if session.flags else None
    done = session.client.post(f"{path_of(execution_id)}/cancel", body).document
    if session.output.as_json:
        session.output.document(done)
    elif done["already_finished"]:
        session.output.line(f"{execution_id} had finished already")
    else:
        rest = _rest(done["awaited"], forced=bool(session.flags))
        session.output.line(f"cancellation requested; executions ended: {done['reached']}{rest}")
    return OK


def _rest(awaited: int, *, forced: bool) -> str:
    if not awaited:
        return ""
    why = "are being cancelled by others" if forced else "may not be cancelled (--force ends them, too)"
    return f"; waiting for {awaited} that {why}"


def pause(session: Session, execution_id: IdArgument) -> int:
    """Stop an execution until it is resumed."""
    done = session.client.post(f"{path_of(execution_id)}/pause").document
    if session.output.as_json:
        session.output.document(done)
    session.output.line(f"{execution_id} {'is paused' if done['changed'] else 'was paused already'}")
    return OK


def resume(session: Session, execution_id: IdArgument) -> int:
    """Let a paused execution go on, also one that the daemon paused."""
    done = session.client.post(f"{path_of(execution_id)}/resume").document
    if session.output.as_json:
        session.output.document(done)
    session.output.line(f"{execution_id} {'goes on' if done['changed'] else 'was not paused'}")
    return OK


def upgrade(session: Session, execution_id: IdArgument) -> int:
    """Move a workflow to the current code of its function, if its log replays there.

    It is refused where the code diverges. With --force it is moved unseen: if its log diverges, it is paused when it
    runs next. A pause that the daemon made is lifted.
    """
    path = f"{path_of(execution_id)}/upgrade"
    # a replay may take longer than other requests have
    with session.output.progress("replaying"):
        answer = session.client.post(path, b'{"force": true}') if session.flags else session.client.send(path, None)
    done = answer.document
    if session.output.as_json:
        session.output.document(done)
    came = f"goes on with {done['component_digest']}" if done["changed"] else "is on the current code already"
    session.output.line(f"{execution_id} {came}" + (f": {done['rehearsal']}" if "rehearsal" in done else ""))
    return OK


def retry(
    session: Session,
    execution_id: IdArgument,
    wanted: Annotated[
        str | None, typer.Option("--id", metavar="E_...", help="The new execution's id; a new one if left out.")
    ] = None,
) -> int:
    """Repeat a finished execution as a new one, with the same function and parameters.

    With --wait or --follow the exit code is 0 for ok and 1 for an error or a failure.
    """
    from obelisk_daemon.ids import parse_submitted_id

    known = new_id() if wanted is None else parse_submitted_id(wanted)
    session.client.post(f"{path_of(execution_id)}/retry", to_text({"execution_id": known}).encode())
    return made(session, known)


def stub(
    session: Session,
    execution_id: IdArgument,
    result: Annotated[str, typer.Argument(help="JSON such as '{\"ok\": true}', @FILE to read it, or - for stdin.")],
) -> int:
    """Give a stub's execution its result: an approval, or the answer to a callback.

    The same result again is fine; another one is refused.
    """
    done = session.client.post(f"{path_of(execution_id)}/stub", _json(result)).document
    if session.output.as_json:
        session.output.document(done)
    session.output.line(f"{execution_id} -> {to_text(done['result'])}")
    return OK


def _json(result: str) -> bytes:
    """Check that it is JSON, and send it as it was written: reading and writing it again could change a number."""
    import json

    try:
        text = _read(result)
        json.loads(text)
    except (OSError, UnicodeDecodeError) as error:
        raise CtlError(BAD_DATA, "invalid_result", f"can't read the result from {result}: {error}") from error
    except (ValueError, RecursionError) as error:
        raise CtlError(BAD_DATA, "invalid_result", f"the result is not JSON: {error}") from error
    return text.encode()


def _read(result: str) -> str:
    if result == "-":
        return sys.stdin.read()
    return Path(result[1:]).read_text(encoding="utf-8") if result.startswith("@") else result
