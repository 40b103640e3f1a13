"""`obelisk-ctl manifest`: what is active and was, what a change would do, and making it."""

import json
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import urlencode

import typer

from obelisk_daemon.ctl.authoring import pin
from obelisk_daemon.ctl.failure import BAD_DATA, BAD_MANIFEST, CHANGES, FAILED, OK, CtlError
from obelisk_daemon.ctl.parsing import Group
from obelisk_daemon.ctl.session import Flag, Session, command

_TOML: Final = "application/toml"
_LEAVES: Final = (
    Flag("allow_remove", "Let components go that have unfinished executions."),
    Flag("allow_break", "Let calls fail of functions that go or change."),
)
_PLAN_CODES: Final = {"unchanged": OK, "changes": CHANGES, "refused": BAD_MANIFEST}


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(cls=Group, rich_markup_mode=None, help="See, plan and change what the daemon runs.")
    command(group, "status")(status)
    command(group, "plan", *_LEAVES)(plan)
    command(group, "reload", *_LEAVES)(reload)
    command(group, "rollback", *_LEAVES)(rollback)
    command(group, "history")(history)
    command(group, "show")(show)
    command(group, "diff")(diff)
    command(group, "pin")(pin)
    app.add_typer(group, name="manifest")


def status(session: Session) -> int:
    """Show the active generation, where files differ from it, and why the file's last content was refused."""
    from obelisk_daemon.ctl.manifest_text import origin

    document = session.client.get("/v1/manifest").document
    output = session.output
    if output.as_json:
        output.document(document)
        return OK
    refused = document.get("refused")
    behind = [one for one in document["hosts"] if one.get("generation") != document["generation"]]
    older = [f"{one['unfinished']} of {one['ffqn']} on {one['digest'][:19]}" for one in document["older_code"]]
    output.fields(
        {
            "generation": f"{document['generation']}, active since {document['activated_at']} ({origin(document)})",
            "file": document["file"],
            "drift": "\n".join(f"{one['subject']}: {one['message']} ({one['path']})" for one in document["drift"]),
            "hosts": "" if len(document["hosts"]) == 1 else ", ".join(one["host"] for one in document["hosts"]),
            "hosts behind": "\n".join(map(runs, behind)),
            "older code": "\n".join(older),
            "refused": None if refused is None else f"at the stage {refused['stage']}:\n{refused['text']}",
        }
    )
    return OK


def plan(
    session: Session,
    file: Annotated[
        str | None, typer.Argument(metavar="[FILE]", help="Another manifest than the daemon's own file.")
    ] = None,
) -> int:
    """Show what a manifest would change, and change nothing.

    Workflows whose code changes are replayed on the new code. The exit code is 0 if nothing changes, 2 if something
    does, and 78 if it would be refused. The token that is printed makes sure that a reload does just this:
    `manifest reload --plan TOKEN`.
    """
    from obelisk_daemon.ctl.manifest_text import plan_lines

    query = dict.fromkeys(sorted(session.flags), "true") | ({} if file is None else {"name": Path(file).name})
    body = None if file is None else _read(file)
    path = "/v1/manifest/plan" + (f"?{urlencode(query)}" if query else "")
    with session.output.progress("checking, compiling and replaying"):
        report = session.client.send(path, body, _TOML).document
    if session.output.as_json:
        session.output.document(report)
    for line in plan_lines(report):
        session.output.line(line)
    return _PLAN_CODES[report["outcome"]]


def reload(
    session: Session,
    token: Annotated[
        str | None, typer.Option("--plan", metavar="TOKEN", help="Refuse if anything changed since this plan.")
    ] = None,
) -> int:
    """Have the daemon check its manifest now, and wait for the verdict.

    The exit code is 0 if it is active, or nothing had changed, and 78 if it was refused.
    """
    wish: dict[str, object] = dict.fromkeys(session.flags, True)
    return _decided(session, "reload", wish | ({} if token is None else {"plan": token}))


def rollback(
    session: Session,
    number: Annotated[
        int | None, typer.Argument(metavar="[N]", min=1, help="The generation; the one before if left out.")
    ] = None,
) -> int:
    """Make a new generation of an old one, with its manifest and its code as they were then.

    The file stays as it is; the daemon takes it up again when it changes.
    """
    if number is None:  # said once and for all: a repeated request must not go back again
        number = session.client.get("/v1/manifest").document["generation"] - 1
        if number < 1:
            raise CtlError(FAILED, "nothing_before", "there is no generation before the active one")
    wish: dict[str, object] = dict.fromkeys(session.flags, True)
    return _decided(session, "rollback", wish | {"generation": number})


def history(
    session: Session, limit: Annotated[int, typer.Option("--limit", min=1, help="How many at most.")] = 50
) -> int:
    """List the generations, the newest first."""
    from obelisk_daemon.ctl.manifest_text import origin

    document = session.client.get("/v1/manifest/generations", limit=min(limit, 500)).document
    if session.output.as_json:
        session.output.document(document)
        return OK
    rows = [
        (
            str(row["generation"]),
            "active" if row["generation"] == document["active"] else "",
            row["activated_at"],
            origin(row),
            row["content_hash"][:12],
        )
        for row in document["generations"]
    ]
    session.output.table(("GENERATION", "STATE", "ACTIVATED", "CAUSE", "CONTENT"), rows)
    return OK


def show(
    session: Session,
    number: Annotated[int | None, typer.Argument(metavar="[N]", min=1, help="The active one if left out.")] = None,
) -> int:
    """Print the manifest of a generation as it was accepted."""
    document = session.client.get(f"/v1/manifest/generations/{number or 0}").document
    if session.output.as_json:
        session.output.document(document)
    for line in document["manifest"].splitlines():
        session.output.line(line)
    return OK


def diff(
    session: Session,
    before: Annotated[int, typer.Argument(metavar="A", min=1, help="A generation.")],
    after: Annotated[int, typer.Argument(metavar="B", min=1, help="Another one.")],
) -> int:
    """Show what changed from generation A to generation B. The exit code is 0 if nothing did, and 2 otherwise."""
    from obelisk_daemon.ctl.manifest_text import difference_lines

    document = session.client.get("/v1/manifest/diff", **{"from": before, "to": after}).document
    lines = list(difference_lines(document))
    if session.output.as_json:
        session.output.document(document)
    for line in lines or ["no differences"]:
        session.output.line(line)
    return CHANGES if lines else OK


def _decided(session: Session, what: str, wish: dict[str, object]) -> int:
    path, body = f"/v1/manifest/{what}", json.dumps(wish).encode()
    with session.output.progress("checking, compiling and replaying"):
        report: dict[str, Any] = session.client.send(path, body, "application/json").document
    refused = report["outcome"] == "refused"
    if session.output.as_json:
        session.output.document(report)
    if report.get("text"):
        session.output.note(report["text"])
    if refused:
        stage = f" at the stage {report['stage']}" if "stage" in report else ""
        session.output.line(f"refused{stage}; generation {report['generation']} stays active")
    elif report["outcome"] == "unchanged":
        session.output.line(f"unchanged: {report['message']}")
    else:
        session.output.line(f"generation {report['generation']} is active")
    for one in report.get("behind", ()):
        session.output.line(f"host {runs(one)}: until it follows, it takes nothing of what changed")
    return BAD_MANIFEST if refused else OK


def runs(host: dict[str, Any]) -> str:
    """Say which generation a host runs."""
    return (
        f"{host['host']} runs generation {host['generation']}" if host.get("generation") else f"{host['host']} starts"
    )


def _read(file: str) -> bytes:
    try:
        return Path(file).read_bytes()
    except OSError as error:
        raise CtlError(BAD_DATA, "file_unreadable", f"{file} can't be read: {error.strerror}") from error
