"""What `obeliskd` does without a daemon: read how it is to start, check a manifest, replay a saved log."""

from pathlib import Path

import msgspec

from obelisk_config import Daemon as DaemonSettings
from obelisk_config import ManifestError, Surroundings, draft
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
    source: bytes = b""
    problem: ManifestError | OperatorError | None = None

    @property
    def state_dir(self) -> Path:
        """Give the state directory, with symbolic links followed, as messages name it."""
        return Path(self.settings.state_dir).resolve()


def begin(options: Options) -> Beginning:
    """Read the manifest as far as it takes to open the database: that may have a generation to fall back on."""
    try:
        source = options.manifest.read_bytes()
    except OSError as error:
        message = f"the manifest {options.manifest} can't be read: {error.strerror}; name it with --manifest"
        return Beginning(options, _settings(options, b""), problem=OperatorError("manifest_unreadable", message))
    try:
        return Beginning(options, _settings(options, source), source)
    except ManifestError as error:
        # Its own state_dir can't be read either: with --state-dir or under systemd, what ran before is found.
        return Beginning(options, _settings(options, b""), source, error)


def _settings(options: Options, source: bytes) -> DaemonSettings:
    return draft(source, options.manifest, options.surroundings).manifest.daemon


async def check_manifest(options: Options, source: bytes, cache_dir: Path) -> Candidate:
    """Check a manifest completely, without a daemon. Secrets may be missing: only the daemon needs them.

    Raises:
        ManifestError: the manifest can't be used.
    """
    engines = Engines()
    try:
        compiler = Compiler(engines, cache_dir)
        surroundings = options.surroundings
        return await check(source, options.manifest, surroundings, compiler, dev=options.dev, need_secrets=False)
    finally:
        engines.close()


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
