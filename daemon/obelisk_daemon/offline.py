"""What `obeliskd` does without a daemon: read how it is to start, check a manifest, replay a saved log."""

import socket
from collections.abc import Iterator
from pathlib import Path

import msgspec

from obelisk_config import Daemon as DaemonSettings
from obelisk_config import (
    Database,
    Diagnostic,
    Executor,
    Manifest,
    ManifestError,
    Postgresql,
    Severity,
    Sqlite,
    Surroundings,
    TcpListen,
    draft,
    has_errors,
    in_order,
)
from obelisk_daemon.api.certificates import load
from obelisk_daemon.deployment.checking import Candidate, check
from obelisk_daemon.deployment.rehearsal import ReplayReport, rehearse, report_of
from obelisk_daemon.errors import OperatorError
from obelisk_daemon.execution.saved_log import SavedLog
from obelisk_daemon.wasm.compile import Compiler
from obelisk_daemon.wasm.engine import Engines


class Options(msgspec.Struct, frozen=True):
    """What the command line says."""

    manifest: Path
    surroundings: Surroundings
    dev: bool = False


class Beginning(msgspec.Struct, frozen=True):
    """How a daemon is to start: what the manifest's file says of it, or why that can't be read."""

    options: Options
    settings: DaemonSettings
    """As the file has them; of an unreadable one the defaults, since the database is looked for there."""
    executors: tuple[Executor, ...]
    source: bytes = b""
    problem: ManifestError | OperatorError | None = None
    tells_database: bool = False
    """Whether the file could be read as far as that; if not, the settings have SQLite's, which may be another."""

    @property
    def state_dir(self) -> Path:
        """Give the state directory, with symbolic links followed, as messages name it."""
        return Path(self.settings.state_dir).resolve()

    def on(self, database: Database) -> "Beginning":
        """Give the same on the database that is opened."""
        return msgspec.structs.replace(self, settings=msgspec.structs.replace(self.settings, database=database))

    @property
    def is_shared(self) -> bool:
        """Tell if other hosts may be on the database, too."""
        return isinstance(self.settings.database, Postgresql)

    @property
    def host(self) -> str:
        """Give the name of this host among those that share its database.

        A state directory belongs to one daemon, whatever its machine is called by now.
        """
        if self.settings.host != "auto":
            return self.settings.host
        return socket.gethostname() if self.is_shared else "local"


def begin(options: Options) -> Beginning:
    """Read the manifest as far as it takes to open the database: that may have a generation to fall back on."""
    try:
        source = options.manifest.read_bytes()
    except OSError as error:
        message = f"the manifest {options.manifest} can't be read: {error.strerror}; name it with --manifest"
        return _unread(options, b"", OperatorError("manifest_unreadable", message))
    try:
        manifest = draft(source, options.manifest, options.surroundings).manifest
    except ManifestError as error:
        # Its own state_dir can't be read either: with --state-dir or under systemd, what ran before is found.
        return _unread(options, source, error)
    return Beginning(options, manifest.daemon, manifest.executors, source, tells_database=_tells_database(manifest))


def _unread(options: Options, source: bytes, problem: ManifestError | OperatorError) -> Beginning:
    defaults = draft(b"", options.manifest, options.surroundings).manifest
    return Beginning(options, defaults.daemon, defaults.executors, source, problem)


def _tells_database(manifest: Manifest) -> bool:
    """Tell SQLite that is meant from a database that is wrongly written, for which it stands in."""
    daemon = manifest.document.values.get("daemon", {})
    written = daemon.get("database", "sqlite") if isinstance(daemon, dict) else None
    return written == "sqlite" or manifest.daemon.database != Sqlite()


async def check_manifest(options: Options, source: bytes, cache_dir: Path) -> Candidate:
    """Check a manifest completely, without a daemon. Secrets may be missing: only the daemon needs them.

    Raises:
        ManifestError: the manifest can't be used.
    """
    engines = Engines()
    try:
        compiler = Compiler(engines, cache_dir)
        surroundings = options.surroundings
        checked = await check(source, options.manifest, surroundings, compiler, dev=options.dev, need_secrets=False)
    finally:
        engines.close()
    unusable = tuple(_unusable_certificates(checked.manifest))
    if has_errors(unusable):
        raise ManifestError((*checked.warnings, *unusable))
    return msgspec.structs.replace(checked, warnings=in_order((*checked.warnings, *unusable)))


def _unusable_certificates(manifest: Manifest) -> Iterator[Diagnostic]:
    """Look at the files of listeners; that they may not be read is no error, as perhaps only the daemon may."""
    for number, listen in enumerate(manifest.daemon.listen):
        if not isinstance(listen, TcpListen) or listen.tls is None:
            continue
        try:
            load(listen.tls)
        except OperatorError as error:
            severity: Severity = "warning" if isinstance(error.__cause__, PermissionError) else "error"
            span = manifest.document.at(("daemon", "listen", number, "tls"))
            hint = "cert is a PEM file with the certificate and its chain, key one with its key, without a password"
            yield Diagnostic(error.code, str(error), span, hint, severity)


async def replay_saved(saved: SavedLog, code: bytes, cache_dir: Path) -> ReplayReport:
    """Replay a saved log on a component, without a daemon.

    Raises:
        ComponentError: the component can't be used.
        CallerError: it can't be replayed on this log.
        OperatorError: the cache or the compiler can't be used.
    """
    engines = Engines()
    try:
        component = await Compiler(engines, cache_dir).load(code, "workflow")
        return report_of(saved, component.digest, await rehearse(saved, component, saved.functions))
    finally:
        engines.close()
