"""The entry point of `obelisk-ctl`."""

import os
import sys
from collections.abc import Sequence
from typing import Annotated, NoReturn

import typer

from obelisk_daemon.ctl import (
    audit,
    authoring,
    bulk,
    capacity,
    catalog,
    database,
    delays,
    executions,
    explaining,
    following,
    listing,
    manifest,
    replaying,
    shells,
    status,
    steering,
    submitting,
    tokens,
    top,
    why,
    wit,
)
from obelisk_daemon.ctl.credentials import Files
from obelisk_daemon.ctl.failure import FAILED, OK, USAGE, CtlError
from obelisk_daemon.ctl.output import Output
from obelisk_daemon.ctl.parsing import Group
from obelisk_daemon.ctl.session import CaFileOption, JsonOption, Shared, TimeoutOption, TokenFileOption, UrlOption

PROGRAM = "obelisk-ctl"


def make_app() -> typer.Typer:
    """Put the commands together."""
    app = typer.Typer(
        name=PROGRAM,
        cls=Group,
        add_completion=False,  # typer's scripts don't complete words with a colon; ctl.shells has ours
        help="Operate obeliskd, the durable workflow engine.",
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    )
    app.callback(invoke_without_command=True)(_options)
    for module in (
        status,
        submitting,
        listing,
        executions,
        capacity,
        bulk,
        why,
        steering,
        delays,
        following,
        top,
        explaining,
        replaying,
        catalog,
        wit,
        authoring,
        manifest,
        database,
        tokens,
        shells,
        audit,
    ):
        module.register(app)
    return app


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run a command and exit with its code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given[:1] == [shells.COMPLETE]:
        sys.stdout.writelines(f"{line}\n" for line in shells.complete(make_app(), given[1:]))
        sys.exit(OK)
    try:
        code = make_app()(given, prog_name=PROGRAM, standalone_mode=False)
    except typer.TyperException as error:
        Output(as_json="--json" in given).failure(CtlError(USAGE, "usage", _explained(error)))
        code = USAGE
    except typer.Abort:
        code = FAILED
    sys.exit(code)


def _explained(error: typer.TyperException) -> str:
    context = getattr(error, "ctx", None)
    path = PROGRAM if context is None else context.command_path
    near = getattr(error, "possibilities", None)
    said = f"{error.message}. Did you mean {' or '.join(near)}?" if near else error.format_message()
    return f"{said}\nTry '{path} --help'."


def _options(
    context: typer.Context,
    *,
    as_json: JsonOption = False,
    url: UrlOption = None,
    timeout: TimeoutOption = None,
    token_file: TokenFileOption = None,
    ca_file: CaFileOption = None,
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
) -> None:
    context.obj = Shared(as_json, url, timeout, Files(token_file, ca_file))
    if version:
        from obelisk_daemon import __version__

        Output(as_json=False).line(f"{PROGRAM} {__version__}")
        raise typer.Exit(OK)
    if context.invoked_subcommand is None:
        sys.stderr.write(context.get_help() + os.linesep)
        raise typer.Exit(USAGE)


if __name__ == "__main__":
    main()
