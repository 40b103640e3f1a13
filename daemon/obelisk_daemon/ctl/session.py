"""What every command shares: the options `--json`, `--url` and `--timeout`, the client, and how errors end it."""

import functools
import inspect
import os
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, cast

import typer

from obelisk_daemon.ctl.address import find_address
from obelisk_daemon.ctl.credentials import Files, find_credentials
from obelisk_daemon.ctl.durations import parse_seconds
from obelisk_daemon.ctl.failure import BAD_DATA, FAILED, OK, CtlError
from obelisk_daemon.ctl.output import Output
from obelisk_daemon.ctl.parsing import Command
from obelisk_daemon.errors import CallerError

if TYPE_CHECKING:  # the client is only imported when a request is made
    from obelisk_daemon.ctl.client import Client

JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]
UrlOption = Annotated[
    str | None, typer.Option("--url", metavar="URL", help="The daemon: unix:/path or http://HOST:PORT. [OBELISK_URL]")
]
TokenFileOption = Annotated[
    str | None,
    typer.Option("--token-file", metavar="FILE", help="The token for a daemon over TCP. [or OBELISK_TOKEN]"),
]
CaFileOption = Annotated[
    str | None,
    typer.Option("--ca-file", metavar="FILE", help="Certificates to trust for https. [OBELISK_CA_FILE]"),
]
TimeoutOption = Annotated[
    str | None, typer.Option("--timeout", metavar="DURATION", help="Give up after this long, such as 30s.")
]


class Shared(NamedTuple):
    """The options that stand before the command's name or after it."""

    as_json: bool = False
    url: str | None = None
    timeout: str | None = None
    files: Files = Files()


class Flag(NamedTuple):
    """An option that is given or not; the command asks its session for it."""

    name: str
    help: str


class Session:
    """One run of a command. `flags` holds the names of the command's own flags that were given."""

    def __init__(self, shared: Shared, flags: frozenset[str] = frozenset()) -> None:
        self.shared = shared
        self.flags = flags
        self.output = Output(as_json=shared.as_json)

    @functools.cached_property
    def client(self) -> "Client":
        """Find the daemon, once.

        Raises:
            CtlError: there is none, or an option is wrong.
        """
        from obelisk_daemon.ctl.client import Client, Times

        address = find_address(self.shared.url, os.environ)
        credentials = find_credentials(address, self.shared.files, os.environ)
        times = Times(time.monotonic, time.sleep)
        return Client(address, times, deadline=self.deadline, note=self.output.note, credentials=credentials)

    @functools.cached_property
    def deadline(self) -> float | None:
        """When, by the monotonic clock, the command gives up."""
        if self.shared.timeout is None:
            return None
        return time.monotonic() + parse_seconds(self.shared.timeout)


def command(app: typer.Typer, name: str, *flags: Flag) -> Callable[[Callable[..., int]], Callable[..., int]]:
    """Register a function as a command: it gets a `Session` first, and returns the exit code."""

    def register(function: Callable[..., int]) -> Callable[..., int]:
        @functools.wraps(function)
        def run(*, context: typer.Context, as_json: bool, url: str | None, timeout: str | None, **given: Any) -> int:
            before = cast(Shared, context.find_root().obj or Shared())
            token_file, ca_file = given.pop("token_file"), given.pop("ca_file")
            files = Files(token_file or before.files.token, ca_file or before.files.ca)
            shared = Shared(as_json or before.as_json, url or before.url, timeout or before.timeout, files)
            session = Session(shared, frozenset(flag.name for flag in flags if given.pop(flag.name)))
            raise typer.Exit(_carry_out(session, lambda session: function(session, **given)))

        own = list(inspect.signature(function).parameters.values())[1:]
        parameters = [*own, *map(_option, flags), *_SHARED]
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        app.command(name, cls=Command)(run)
        return function

    return register


def _carry_out(session: Session, function: Callable[[Session], int]) -> int:
    try:
        return function(session)
    except CtlError as error:
        session.output.failure(error)
        return error.exit_code
    except CallerError as error:
        session.output.failure(CtlError(BAD_DATA, error.code, str(error)))
        return BAD_DATA


def result_exit_code(result: dict[str, Any]) -> int:
    """Choose the exit code for a result: an error of the function's own is a failure, too."""
    return OK if "ok" in result else FAILED


def _keyword(name: str, annotation: object, default: object) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def _option(flag: Flag) -> inspect.Parameter:
    return _keyword(flag.name, Annotated[bool, typer.Option(f"--{flag.name.replace('_', '-')}", help=flag.help)], False)


_SHARED = (
    _keyword("context", typer.Context, inspect.Parameter.empty),
    _keyword("as_json", JsonOption, False),
    _keyword("url", UrlOption, None),
    _keyword("timeout", TimeoutOption, None),
    _keyword("token_file", Annotated[str | None, typer.Option("--token-file", hidden=True)], None),
    _keyword("ca_file", Annotated[str | None, typer.Option("--ca-file", hidden=True)], None),
)
