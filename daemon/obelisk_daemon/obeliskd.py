"""The command line of the daemon: `obeliskd` runs it, `check` looks at a manifest, `schema` says what one may hold.

`replay` replays a saved log, `check-db` looks for damage in a database, `copy-db` moves one to PostgreSQL.
"""

import argparse
import asyncio
import gc
import os
import resource
import socket
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, NoReturn

import msgspec
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
_RUNNING: Final = """Run the daemon in the foreground until SIGTERM or SIGINT.

It exits with 0 after a clean stop, 64 for a wrong command line, 70 for a bug, 74 when the database failed so that only
a restart can tell what it holds, and 78 when the manifest, the state directory or an address can't be used."""


class _Parser(argparse.ArgumentParser):
    """Reads the command line. Typer, as obelisk-ctl has it, loads pydantic: a tenth of a second of each start."""

    def error(self, message: str) -> NoReturn:
        """Refuse a command line; the exit code is that of sysexits."""
        _warn(f"obeliskd: {message}\nTry 'obeliskd --help'.")
        sys.exit(os.EX_USAGE)


class _Arguments(argparse.Namespace):
    """What a command line may say; a command reads those that it has."""

    act: "Callable[[_Arguments], int]"
    manifest: Path
    state_dir: str | None
    listen: list[Listen] | None
    dev: bool
    database: str
    full: bool
    as_json: bool
    source: str
    target: str
    password_file: str | None
    password_env: str | None
    host: str | None
    log: Path
    component: Path
    cache_dir: Path | None


def _parser() -> _Parser:
    parser = _Parser(prog="obeliskd", description=_RUNNING, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.set_defaults(act=run)
    parser.add_argument("--version", action="version", version=f"obeliskd {__version__}")
    parser.add_argument("--manifest", "-m", type=Path, default=_DEFAULT, help="the manifest; %(default)s if left out")
    listen = "unix:PATH or 127.0.0.1:PORT, also several times; wins over the manifest"
    parser.add_argument("--listen", type=_listen, action="append", metavar="ADDRESS", help=listen)
    _add_surroundings(parser)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")

    def command(act: "Callable[[_Arguments], int]", name: str) -> argparse.ArgumentParser:
        help_text = (act.__doc__ or "").strip()
        added = commands.add_parser(name, description=help_text, help=help_text.partition(";")[0].rstrip("."))
        added.set_defaults(act=act)
        return added

    _add_commands(command)
    return parser


def _add_commands(command: "Callable[[Callable[[_Arguments], int], str], argparse.ArgumentParser]") -> None:
    checking = command(check, "check")
    checking.add_argument(
        "manifest", type=Path, nargs="?", default=_DEFAULT, help="the manifest; %(default)s if left out"
    )
    _add_surroundings(checking)
    looking = command(check_db, "check-db")
    looking.add_argument("database", metavar="FILE|URL", help="a database, such as a backup; daemons may be using it")
    looking.add_argument("--full", action="store_true", help="compare every row with the logs, not only a sample")
    _add_json(looking, "print one JSON document and nothing else")
    copying = command(copy_db, "copy-db")
    copying.add_argument("source", help="sqlite: and the state directory of a stopped daemon, or a backup")
    copying.add_argument("target", help="postgresql://USER@HOST/NAME of an empty database; no password")
    copying.add_argument("--password-file", metavar="FILE", help="where the password of the target is")
    copying.add_argument("--password-env", metavar="NAME", help="the environment variable that has it")
    copying.add_argument("--host", help="[daemon] host from now on; this machine's name if left out")
    _add_json(copying, "print a JSON document a line: progress, then all")
    command(schema, "schema")
    replaying = command(replay, "replay")
    replaying.add_argument(
        "--log", type=Path, required=True, metavar="FILE", help="what `obelisk-ctl events ID --export FILE` wrote"
    )
    replaying.add_argument("--component", type=Path, required=True, metavar="FILE", help="the workflow to replay it on")
    replaying.add_argument(
        "--cache-dir", type=Path, metavar="DIR", help="where compiled components are kept; ~/.cache/obelisk if left out"
    )
    _add_json(replaying, "print one JSON document and nothing else")


def _add_surroundings(parser: argparse.ArgumentParser) -> None:
    state_dir = "where the database and the cache are; wins over the manifest"
    parser.add_argument("--state-dir", metavar="DIR", help=state_dir)
    dev = "allow components without a digest, and take their files as they are"
    parser.add_argument("--dev", action="store_true", help=dev)


def _add_json(parser: argparse.ArgumentParser, meaning: str) -> None:
    parser.add_argument("--json", dest="as_json", action="store_true", help=meaning)


def _listen(text: str) -> Listen:
    try:
        return parse_listen(text)
    except FormError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def run(arguments: _Arguments) -> int:
    """Run the daemon."""
    from obelisk_daemon.clock import SystemClock
    from obelisk_daemon.daemon_log import configure
    from obelisk_daemon.offline import Options, begin
    from obelisk_daemon.supervisor import run_daemon
    from obelisk_daemon.systemd import handover

    _allow_many_files()
    beginning = begin(Options(arguments.manifest, _surroundings(arguments), arguments.dev))
    configure(beginning.settings.log)
    try:
        # with uvloop's loop a step of a workflow takes a sixth less of the processor
        with (
            handover(os.environ, SystemClock(), os.getpid()) as systemd,
            asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
        ):
            return runner.run(run_daemon(beginning, systemd))
    except (ManifestError, OperatorError) as error:
        return _refuse(error)


def check(arguments: _Arguments) -> int:
    """Check a manifest and every component it names; exit with 0, or with 78 and all that is wrong."""
    from obelisk_daemon.offline import Options, begin, check_manifest

    options = Options(arguments.manifest, _surroundings(arguments), arguments.dev)
    beginning = begin(options)
    try:
        if beginning.problem is not None:
            raise beginning.problem
        cache = Path(beginning.settings.state_dir) / "cache"
        with tempfile.TemporaryDirectory(prefix="obeliskd-check-") as scratch:
            cache_dir = cache if os.access(cache, os.W_OK) else Path(scratch)
            candidate = asyncio.run(check_manifest(options, beginning.source, cache_dir))
    except (ManifestError, OperatorError) as error:
        return _refuse(error)
    if candidate.warnings:
        _warn(render(candidate.warnings))
    stubs = f", {len(candidate.stubs)} stubs" if candidate.stubs else ""
    _tell(f"{arguments.manifest}: {len(candidate.components)} components{stubs}, no errors")
    return 0


def check_db(arguments: _Arguments) -> int:
    """Look for damage in a database; exit with 0, 1 if there is any, or 65 if it is no database of this version."""
    from obelisk_daemon.supervisor.moving import check as look

    named = arguments.database
    database = _target(named, None, None) if "://" in named else Path(named)
    try:
        report = look(database, full=arguments.full)
    except OperatorError as error:
        _warn(f"obeliskd: {error}")
        return os.EX_DATAERR
    if arguments.as_json:
        _tell(msgspec.json.encode(report).decode())
    else:
        for one in report.damage:
            _tell(f"{one.table} {one.subject}: {one.message}".lstrip())
        told = "no damage" if report.ok else "damaged"
        _tell(f"{named}: {told}, {report.executions:,} of {report.total:,} executions compared with their logs")
    return 0 if report.ok else 1


def copy_db(arguments: _Arguments) -> int:
    """Copy a database of SQLite to PostgreSQL, as a whole and verified; exit with 0, or 65 and nothing copied."""
    from obelisk_daemon.supervisor.moving import Move, move

    database = _target(arguments.target, arguments.password_file, arguments.password_env)

    def told(table: str, done: int, total: int) -> None:
        if arguments.as_json:
            _tell(msgspec.json.encode({"table": table, "done": done, "total": total}).decode())

    try:
        report = move(Move(arguments.source, database, arguments.host or socket.gethostname(), told), os.environ)
    except OperatorError as error:
        return _fail(error, os.EX_DATAERR, as_json=arguments.as_json)
    _tell(msgspec.json.encode(report).decode() if arguments.as_json else report.summary)
    return 0


def schema(_arguments: _Arguments) -> int:
    """Print the JSON schema of the manifest, for editors: obeliskd schema > obelisk.schema.json."""
    from obelisk_config.schema import schema_text

    sys.stdout.write(schema_text())
    return 0


def replay(arguments: _Arguments) -> int:
    """Replay a saved log on a component, without a daemon; exit with 0 if the component goes on with the log.

    It exits with 1 if the component diverges from it, 65 if one of the files is no good, and 78 if the cache can't be
    used.
    """
    from obelisk_daemon.execution.saved_log import read_document
    from obelisk_daemon.offline import replay_saved
    from obelisk_daemon.wasm.user_cache import user_cache_dir

    try:
        saved, code = read_document(_read_data(arguments.log)), _read_data(arguments.component)
        report = asyncio.run(replay_saved(saved, code, arguments.cache_dir or user_cache_dir(os.environ)))
    except ObeliskError as error:
        is_bad_data = isinstance(error, CallerError | ComponentError)
        return _fail(error, os.EX_DATAERR if is_bad_data else os.EX_CONFIG, as_json=arguments.as_json)
    _tell(msgspec.json.encode(report).decode() if arguments.as_json else f"{report.execution_id} {report.summary}")
    return 0 if report.passed else 1


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


def _surroundings(arguments: _Arguments) -> Surroundings:
    return Surroundings(os.environ, arguments.state_dir, tuple(arguments.listen or ()))


def _target(url: str, file: str | None, variable: str | None) -> Postgresql:
    password = FileSecret(file) if file else EnvSecret(variable) if variable else None
    try:
        return parse_postgresql(url, password, Path.cwd())
    except FormError as error:
        cure = "say where it is: --password-file FILE, or --password-env NAME" if error.code else error.hint
        _parser().error(f"argument target: {error}; {cure}" if cure else f"argument target: {error}")


def _tell(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _warn(text: str) -> None:
    sys.stderr.write(f"{text}\n")


def _refuse(error: ManifestError | OperatorError) -> int:
    _warn(render(error.diagnostics) if isinstance(error, ManifestError) else f"obeliskd: {error}")
    return os.EX_CONFIG


def _fail(error: ObeliskError, code: int, *, as_json: bool) -> int:
    if as_json:
        _tell(msgspec.json.encode({"error": {"code": error.code, "message": str(error)}}).decode())
    _warn(f"obeliskd: {error}")
    return code


def main(words: Sequence[str] | None = None) -> None:
    """Run the command of a command line, and exit with its code."""
    arguments = _parser().parse_args(words, namespace=_Arguments())
    if arguments.act is run:
        gc.disable()  # until the daemon is up: all that it loads and reads by then stays
        # structlog would load it, and a daemon that draws nothing need not spend a twentieth of a second and 4 MiB
        sys.modules["rich"] = None  # type: ignore[assignment]
    try:
        code = arguments.act(arguments)
    except KeyboardInterrupt:  # SIGINT while a manifest is checked
        code = _INTERRUPTED
    sys.exit(code)


if __name__ == "__main__":
    main()
