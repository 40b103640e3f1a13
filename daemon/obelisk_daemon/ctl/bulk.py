"""`obelisk-ctl bulk`."""

import json
import sys
from typing import Annotated, Any, Final

import typer

from obelisk_daemon.ctl.failure import FAILED, OK, USAGE, CtlError
from obelisk_daemon.ctl.filtering import Filters, filtered
from obelisk_daemon.ctl.session import Flag, Session, command

_ACTIONS: Final = {"cancel": "cancelled", "pause": "paused", "resume": "resumed", "retry": "retried"}
_SHOWN: Final = 20


def register(app: typer.Typer) -> None:
    """Add the command."""
    flags = (
        Flag("dry_run", "Only count."),
        Flag("force", "Cancel also what may not be cancelled, all the way down."),
        Flag("yes", "Don't ask."),
    )
    command(app, "bulk", *flags)(filtered(bulk))


def bulk(
    session: Session,
    filters: Filters,
    action: Annotated[str, typer.Argument(metavar="ACTION", help="cancel, pause, resume or retry.")],
) -> int:
    """Cancel, pause, resume or retry all executions that fit the filters.

    They are counted first, and at a terminal you are asked. It can be repeated: each is retried once, and only those
    at the top level are.
    """
    if action not in _ACTIONS:
        raise CtlError(USAGE, "usage", f"{action!r} is no action; there are {', '.join(_ACTIONS)}")
    wish: dict[str, Any] = {"action": action, "filter": dict(filters), "force": "force" in session.flags}
    counted = _run(session, wish | {"dry_run": True}, "counting", None)
    if "dry_run" in session.flags:
        session.output.line(f"{counted['matched']} would be {_ACTIONS[action]}")
        if session.output.as_json:
            session.output.document(counted)
        return OK
    if not _agreed(session, f"{action} {counted['matched']} executions?"):
        session.output.note("nothing was done")
        return FAILED
    wish["filter"]["created_before"] = counted["as_of"]
    done = _run(session, wish, action, counted["matched"])
    _show(session, done, _ACTIONS[action])
    return FAILED if done["refused"] else OK


def _agreed(session: Session, question: str) -> bool:
    if "yes" in session.flags or session.output.as_json or not sys.stdin.isatty():
        return True
    sys.stderr.write(f"{question} [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _run(session: Session, wish: dict[str, Any], text: str, total: int | None) -> dict[str, Any]:
    """Call until there is no more to do; give the sum of what was done."""
    done: dict[str, Any] = {"matched": 0, "changed": 0, "unchanged": 0, "refused": []}
    with session.output.progress(text, total=total) as progress:
        while True:
            part = session.client.post("/v1/executions/bulk", json.dumps(wish).encode()).document
            for name in done:
                done[name] += part[name]
            progress.update(done=done["matched"] if total is not None else None, text=f"{text} {done['matched']}")
            wish["filter"]["created_before"] = done["as_of"] = part["as_of"]
            if "next" not in part:
                return done
            wish["cursor"] = part["next"]
            del done["as_of"]


def _show(session: Session, done: dict[str, Any], what: str) -> None:
    output = session.output
    if output.as_json:
        output.document(done)
        return
    refused = done["refused"]
    output.line(f"{done['changed']} {what}, {done['unchanged']} were already, {len(refused)} refused")
    for one in refused[:_SHOWN]:
        output.line(f"{one['execution_id']}  {one['code']}: {one['message']}")
    if len(refused) > _SHOWN:
        output.line(f"and {len(refused) - _SHOWN} more: --json has them all")
