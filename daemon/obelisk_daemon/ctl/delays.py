"""`obelisk-ctl delays` and `delay cancel|pause|resume`."""

from typing import Annotated, Any, Final, TypeAlias

import typer

from obelisk_daemon.ctl.executions import IdArgument, path_of
from obelisk_daemon.ctl.failure import OK
from obelisk_daemon.ctl.parsing import Group
from obelisk_daemon.ctl.session import Session, command

_PAGE: Final = 500
DelayArgument: TypeAlias = Annotated[
    str, typer.Argument(metavar="DELAY_ID", help="The delay's id, as `obelisk-ctl delays` prints it.")
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    command(app, "delays")(delays)
    group = typer.Typer(cls=Group, rich_markup_mode=None, help="Cancel, pause or resume a delay.")
    command(group, "cancel")(cancel)
    command(group, "pause")(pause)
    command(group, "resume")(resume)
    app.add_typer(group, name="delay")


def delays(session: Session, execution_id: IdArgument) -> int:
    """List the delays of an execution that are still to end, the next one first."""
    found: list[dict[str, Any]] = []
    cursor: str | None = None
    while True:
        page = session.client.get(f"{path_of(execution_id)}/delays", limit=_PAGE, cursor=cursor).document
        found += page["delays"]
        cursor = page.get("next")
        if cursor is None:
            break
    found.sort(key=lambda delay: str(delay["due_at"]))
    if session.output.as_json:
        session.output.document({"delays": found})
        return OK
    rows = [
        (delay["delay_id"], delay["due_at"], "paused" if delay["paused"] else "", delay["join_set"]) for delay in found
    ]
    session.output.table(("ID", "DUE", "STATE", "JOIN SET"), rows)
    return OK


def cancel(session: Session, delay_id: DelayArgument) -> int:
    """End a delay now; the workflow is told that it was cancelled."""
    done = _post(session, delay_id, "cancel")
    session.output.line(f"{delay_id} {'had ended already' if done['already_ended'] else 'is cancelled'}")
    return OK


def pause(session: Session, delay_id: DelayArgument) -> int:
    """Hold a delay back, also beyond the time it is due."""
    done = _post(session, delay_id, "pause")
    session.output.line(f"{delay_id} is paused; it is due at {done['due_at']}")
    return OK


def resume(session: Session, delay_id: DelayArgument) -> int:
    """Let a paused delay go on; one whose time has come meanwhile ends at once."""
    done = _post(session, delay_id, "resume")
    session.output.line(f"{delay_id} goes on; it is due at {done['due_at']}")
    return OK


def _post(session: Session, delay_id: str, what: str) -> dict[str, Any]:
    from obelisk_daemon.ctl.client import segment
    from obelisk_daemon.ids import parse_delay_id

    done: dict[str, Any] = session.client.post(f"/v1/delays/{segment(parse_delay_id(delay_id))}/{what}").document
    if session.output.as_json:
        session.output.document(done)
    return done
