"""The command line of the daemon: `obeliskd` runs it, `check` looks at a manifest, `schema` says what one may hold.

`replay` replays a saved log, `check-db` looks for damage in a database, `copy-db` moves one to PostgreSQL.
"""

import asyncio
import gc
import os
import resource
import socket
import sys
import tempfile
from pathlib import Path
from typing import Annotated, Final

import msgspec
import typer
import uvloop

from obelisk_config import (
    EnvSecret,
    FileSecret,
    FormError,
    Listen,
    ManifestError,
    Postgresql,
    Surroundings,
    parse_listen,
    parse_postgresql,
    render,
)
from obelisk_daemon import __version__
from obelisk_daemon.errors import CallerError, ComponentError, ObeliskError, OperatorError

_DEFAULT: Final = Path("obelisk.toml")
_INTERRUPTED: Final = 130
_OPEN_FILES: Final = 65_536
app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

Manifest = Annotated[Path, typer.Option("--manifest", "-m", help="The manifest.", show_default=True)]
StateDir = Annotated[str | None, typer.Option(help="Where the database and the cache are; wins over the manifest.")]
ListenAt = Annotated[
    list[str] | None, typer.Option("--listen", help="unix:PATH or 127.0.0.1:PORT; wins over the manifest.")
]
Dev = Annotated[
    bool, typer.Option("--dev", help="Allow components without a digest, and take their files as they are.")
]


def _print_version(value: bool) -> None:
    if value:
        typer.echo(f"obeliskd {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def run(
    context: typer.Context,
    manifest: Manifest = _DEFAULT,
    state_dir: StateDir = None,
    listen: ListenAt = None,
    dev: Dev = False,
    _version: Annotated[bool, typer.Option("--version", callback=_print_version, is_eager=True)] = False,
) -> None:
    """Run the daemon in the foreground until SIGTERM or SIGINT.

    It exits with 0 after a clean stop, 64 for a wrong command line, 70 for a bug, 74 when the database failed so that
    only a restart can tell what it holds, and 78 when the manifest, the state directory or an address can't be used.
    """
    if context.invoked_subcommand is not None:
        return
    from obelisk_daemon.clock import SystemClock
    from obelisk_daemon.daemon_log import configure
    from obelisk_daemon.offline import Options, begin
    from obelisk_daemon.supervisor import run_daemon
    from obelisk_daemon.systemd import handover

    _allow_many_files()
    gc.disable()  # until the daemon is up: all that it loads and reads by then stays
    beginning = begin(Options(manifest, _surroundings(state_dir, listen), dev))
    configure(beginning.settings.log)
    try:
        # with uvloop's loop a step of a workflow takes a sixth less of the processor
        with (
            handover(os.environ, SystemClock(), os.getpid()) as systemd,
            asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
        ):
            code = runner.run(run_daemon(beginning, systemd))
    except (ManifestError, OperatorError) as error:
        raise _refused(error) from None
    raise typer.Exit(code)


@app.command()
def check(
    manifest: Annotated[Path, typer.Argument(help="The manifest.")] = _DEFAULT,
    state_dir: StateDir = None,
    dev: Dev = False,
) -> None:
    """Check a manifest and every component it names; exit with 0, or with 78 and all that is wrong."""
    from obelisk_daemon.offline import Options, begin, check_manifest

    options = Options(manifest, _surroundings(state_dir, None), dev)
    beginning = begin(options)
    try:
        if beginning.problem is not None:
            raise beginning.problem
        cache = Path(beginning.settings.state_dir) / "cache"
        with tempfile.TemporaryDirectory(prefix="obeliskd-check-") as scratch:
            cache_dir = cache if os.access(cache, os.W_OK) else Path(scratch)
            candidate = asyncio.run(check_manifest(options, beginning.source, cache_dir))
    except (ManifestError, OperatorError) as error:
        raise _refused(error) from None
    if candidate.warnings:
        typer.echo(render(candidate.warnings), err=True)
    stubs = f", {len(candidate.stubs)} stubs" if candidate.stubs else ""
    typer.echo(f"{manifest}: {len(candidate.components)} components{stubs}, no errors")


@app.command()
def check_db(
    database: Annotated[
        str, typer.Argument(metavar="FILE|URL", help="A database, such as a backup; daemons may be using it.")
    ],
    full: Annotated[bool, typer.Option("--full", help="Compare every row with the logs, not only a sample.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")] = False,
) -> None:
    """Look for damage in a database; exit with 0, 1 if there is any, or 65 if it is no database of this version."""
    from obelisk_daemon.supervisor.moving import check

    found = _target(database, None, None) if "://" in database else Path(database)
    try:
        report = check(found, full=full)
    except OperatorError as error:
        typer.echo(f"obeliskd: {error}", err=True)
        raise typer.Exit(os.EX_DATAERR) from None
    if as_json:
        typer.echo(msgspec.json.encode(report).decode())
    else:
        for one in report.damage:
            typer.echo(f"{one.table} {one.subject}: {one.message}".lstrip())
        told = "no damage" if report.ok else "damaged"
        typer.echo(f"{database}: {told}, {report.executions:,} of {report.total:,} executions compared with their logs")
    raise typer.Exit(0 if report.ok else 1)


@app.command()
def copy_db(
    source: Annotated[str, typer.Argument(help="sqlite: and the state directory of a stopped daemon, or a backup.")],
    target: Annotated[str, typer.Argument(help="postgresql://USER@HOST/NAME of an empty database; no password.")],
    password_file: Annotated[str | None, typer.Option(help="Where the password of the target is.")] = None,
    password_env: Annotated[str | None, typer.Option(help="The environment variable that has it.")] = None,
    host: Annotated[
        str | None, typer.Option(help="[daemon] host from now on; this machine's name if left out.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON document a line: progress, then all.")] = False,
) -> None:
    """Copy a database of SQLite to PostgreSQL, as a whole and verified; exit with 0, or 65 and nothing copied."""
    from obelisk_daemon.supervisor.moving import Move, move

    database = _target(target, password_file, password_env)

    def told(table: str, done: int, total: int) -> None:
        if as_json:
            typer.echo(msgspec.json.encode({"table": table, "done": done, "total": total}))

    try:
        report = move(Move(source, database, host or socket.gethostname(), told), os.environ)
    except OperatorError as error:
        if as_json:
            typer.echo(msgspec.json.encode({"error": {"code": error.code, "message": str(error)}}))
        typer.echo(f"obeliskd: {error}", err=True)
        raise typer.Exit(os.EX_DATAERR) from None
    typer.echo(msgspec.json.encode(report).decode() if as_json else report.summary)


@app.command()
def schema() -> None:
    """Print the JSON schema of the manifest, for editors: obeliskd schema > obelisk.schema.json."""
    from obelisk_config.schema import schema_text

    typer.echo(schema_text(), nl=False)


@app.command()
def replay(
    log: Annotated[Path, typer.Option("--log", help="What `obelisk-ctl events ID --export FILE` wrote.")],
    component: Annotated[Path, typer.Option("--component", help="The workflow to replay it on.")],
    cache_dir: Annotated[
        Path | None, typer.Option(help="Where compiled components are kept; ~/.cache/obelisk if left out.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")] = False,
) -> None:
    """Replay a saved log on a component, without a daemon.

    It exits with 0 if the component goes on with the log, 1 if it diverges from it, 65 if one of the files is no good,
    and 78 if the cache can't be used.
    """
    from obelisk_daemon.execution.saved_log import read_document
    from obelisk_daemon.offline import replay_saved
    from obelisk_daemon.wasm.user_cache import user_cache_dir

    try:
        saved, code = read_document(_read_data(log)), _read_data(component)
        report = asyncio.run(replay_saved(saved, code, cache_dir or user_cache_dir(os.environ)))
    except ObeliskError as error:
        if as_json:
            typer.echo(msgspec.json.encode({"error": {"code": error.code, "message": str(error)}}).decode())
        typer.echo(f"obeliskd: {error}", err=True)
        bad_data = isinstance(error, CallerError | ComponentError)
        raise typer.Exit(os.EX_DATAERR if bad_data else os.EX_CONFIG) from None
    typer.echo(msgspec.json.encode(report).decode() if as_json else f"{report.execution_id} {report.summary}")
    raise typer.Exit(0 if report.passed else 1)


def _allow_many_files() -> None:
    """Open more files than the usual 1,024, as far as this user may: each connection is one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _OPEN_FILES if hard == resource.RLIM_INFINITY else min(_OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _read_data(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise CallerError("file_unreadable", f"{file} can't be read: {error.strerror}") from None


def _surroundings(state_dir: str | None, listen: list[str] | None) -> Surroundings:
    try:
        addresses: tuple[Listen, ...] = tuple(parse_listen(text) for text in listen or ())
    except FormError as error:
        raise typer.BadParameter(str(error), param_hint="--listen") from None
    return Surroundings(os.environ, state_dir, addresses)


def _target(url: str, file: str | None, variable: str | None) -> Postgresql:
    password = FileSecret(file) if file else EnvSecret(variable) if variable else None
    try:
        return parse_postgresql(url, password, Path.cwd())
    except FormError as error:
        cure = "say where it is: --password-file FILE, or --password-env NAME" if error.code else error.hint
        raise typer.BadParameter(f"{error}; {cure}" if cure else str(error), param_hint="TARGET") from None


def _refused(error: ManifestError | OperatorError) -> typer.Exit:
    text = render(error.diagnostics) if isinstance(error, ManifestError) else f"obeliskd: {error}"
    typer.echo(text, err=True)
    return typer.Exit(os.EX_CONFIG)


def main() -> None:
    """Run the command; the exit code for wrong usage is that of sysexits."""
    try:
        code = app(standalone_mode=False)
    except typer.TyperException as error:
        typer.echo(f"obeliskd: {error.format_message()}\nTry 'obeliskd --help'.", err=True)
        code = os.EX_USAGE
    except typer.Abort:  # SIGINT while a manifest is checked
        code = _INTERRUPTED
    sys.exit(code)


if __name__ == "__main__":
    main()
