"""`obelisk-ctl token new`, which makes a token without a daemon, and `ui`, which tells where the web pages are."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Final, get_args

import typer

from obelisk_daemon.ctl.authoring import replace_file
from obelisk_daemon.ctl.durations import parse_seconds
from obelisk_daemon.ctl.failure import BAD_DATA, BAD_MANIFEST, OK, USAGE, CtlError
from obelisk_daemon.ctl.parsing import Group
from obelisk_daemon.ctl.session import Flag, Session, command

_OPEN: Final = Flag("open", "Open it in the browser, whose command line then has the token.")
_ONCE: Final = "it is shown only now: keep it where only its user can read it"


def register(app: typer.Typer) -> None:
    """Add the group and the command."""
    group = typer.Typer(cls=Group, rich_markup_mode=None, help="Make tokens for the API over TCP.")
    command(group, "new")(new)
    app.add_typer(group, name="token")
    command(app, "ui", _OPEN)(ui)


def new(
    session: Session,
    role: Annotated[
        str, typer.Option("--role", metavar="ROLE", help="read, operate (also executions), or admin (everything).")
    ],
    name: Annotated[
        str | None, typer.Option("--name", metavar="NAME", help="What the audit log calls it; made up if left out.")
    ] = None,
    expires: Annotated[
        str | None, typer.Option("--expires", metavar="DURATION", help="For how long it holds, such as 90d.")
    ] = None,
    add_to: Annotated[
        str | None, typer.Option("--add-to", metavar="FILE", help="A manifest to write its table into.")
    ] = None,
) -> int:
    """Make a token. It is shown once; the manifest has only its SHA-256.

    The daemon takes the table up with the manifest, and refuses the token once it is gone from there.
    """
    import secrets

    from obelisk_config import Role
    from obelisk_config.adding import token_table
    from obelisk_config.tokens import new_token, sha256_of

    roles: tuple[Role, ...] = get_args(Role)
    chosen = next((one for one in roles if one == role), None)
    if chosen is None:
        raise CtlError(USAGE, "usage", f"{role!r} is not a role; write {', '.join(roles[:-1])} or {roles[-1]}")
    token = new_token(secrets.token_bytes)
    called = name or f"{role}-{secrets.token_hex(3)}"
    table = token_table(called, chosen, sha256_of(token), _end(expires))
    if add_to is not None:
        _add(Path(add_to), table, called)
    if session.output.as_json:
        told = {"name": called, "role": role, "token": token, "sha256": sha256_of(token), "table": table}
        session.output.document({**told, "added_to": add_to} if add_to is not None else told)
    session.output.note(f"the token of {called}; {_ONCE}")
    session.output.line(token)
    if add_to is None:
        session.output.line(f"\n{table}".rstrip("\n"))
    else:
        session.output.note(f"{add_to}: written; a daemon that runs with it takes it up by itself")
    return OK


def ui(session: Session) -> int:
    """Print the address of the web pages. The token is in its fragment, which browsers send to nobody."""
    client = session.client
    address = client.address
    if address.path is not None:
        message = "a browser can't open a unix socket: name a TCP listener of the daemon, --url http://127.0.0.1:5005"
        raise CtlError(USAGE, "usage", message)
    who = client.get("/v1/me").document
    link = f"{address}/" + (f"#token={client.token}" if client.token else "")
    if session.output.as_json:
        session.output.document({"address": link, **who})
    session.output.note(f"as {who['name']}, in the role {who['role']}")
    session.output.line(link)
    if _OPEN.name in session.flags:
        import webbrowser

        webbrowser.open(link)
    return OK


def _end(expires: str | None) -> datetime | None:
    if expires is None:
        return None
    from obelisk_daemon.clock import SystemClock

    started = datetime.fromtimestamp(SystemClock().now() // 1_000_000, UTC)
    try:
        return started + timedelta(seconds=parse_seconds(expires))
    except OverflowError:
        raise CtlError(
            USAGE, "usage", f"{expires} is too far away; leave --expires out for a token without end"
        ) from None


def _add(file: Path, table: str, name: str) -> None:
    from obelisk_config import FormError, ManifestError, render
    from obelisk_config.adding import add_token

    try:
        text = file.read_bytes().decode()
        changed = add_token(text, name, table, file)
    except ManifestError as error:
        raise CtlError(BAD_MANIFEST, "invalid_manifest", render(error.diagnostics)) from error
    except FormError as error:
        raise CtlError(USAGE, "usage", f"{file}: {error}; choose another with --name") from error
    except (OSError, UnicodeDecodeError) as error:
        raise CtlError(BAD_DATA, "file_unreadable", f"{file} can't be read: {error}") from error
    replace_file(file, changed)
