"""The manifest `obelisk.toml` as a value: read, checked, resolved. It knows nothing of the daemon.

`load` gives a manifest or raises all that is wrong with it. `draft` gives what could be read along with the errors,
so that later checks (files, links) can report theirs in the same run.
"""

from pathlib import Path

from obelisk_config.database import parse_postgresql
from obelisk_config.diagnostics import Diagnostic, ManifestError, Severity, Span, has_errors, in_order, render
from obelisk_config.difference import ComponentChange, Difference, SettingChange, compare, restart_only
from obelisk_config.document import Document, KeyPath
from obelisk_config.listening import check_listeners
from obelisk_config.listening import listen as parse_listen
from obelisk_config.model import (
    AllowedHost,
    Backoff,
    ComponentKind,
    ComponentSpec,
    ComponentStub,
    CredentialSecret,
    Daemon,
    Database,
    EnvSecret,
    Executor,
    Failure,
    FileSecret,
    FunctionSettings,
    InlineStub,
    Limits,
    Listen,
    Log,
    Manifest,
    Postgresql,
    QueueLimits,
    Retention,
    Role,
    SecretSource,
    Sqlite,
    StubParameter,
    StubSource,
    StubSpec,
    TcpListen,
    Tls,
    Token,
    UnixListen,
    WhenFull,
    WitStub,
)
from obelisk_config.place import at
from obelisk_config.resolve import Draft, Surroundings, resolve
from obelisk_config.rules import FormError, nearest
from obelisk_config.secrets import secret_variable
from obelisk_config.syntax import MAX_BYTES, parse
from obelisk_config.units import format_duration, format_size, parse_duration, parse_size

__all__ = [
    "MAX_BYTES",
    "AllowedHost",
    "Backoff",
    "ComponentChange",
    "ComponentKind",
    "ComponentSpec",
    "ComponentStub",
    "CredentialSecret",
    "Daemon",
    "Database",
    "Diagnostic",
    "Difference",
    "Document",
    "Draft",
    "EnvSecret",
    "Executor",
    "Failure",
    "FileSecret",
    "FormError",
    "FunctionSettings",
    "InlineStub",
    "KeyPath",
    "Limits",
    "Listen",
    "Log",
    "Manifest",
    "ManifestError",
    "Postgresql",
    "QueueLimits",
    "Retention",
    "Role",
    "SecretSource",
    "SettingChange",
    "Severity",
    "Span",
    "Sqlite",
    "StubParameter",
    "StubSource",
    "StubSpec",
    "Surroundings",
    "TcpListen",
    "Tls",
    "Token",
    "UnixListen",
    "WhenFull",
    "WitStub",
    "at",
    "check_listeners",
    "compare",
    "draft",
    "format_duration",
    "format_size",
    "has_errors",
    "in_order",
    "load",
    "nearest",
    "parse_duration",
    "parse_listen",
    "parse_postgresql",
    "parse_size",
    "render",
    "restart_only",
    "secret_variable",
]


def draft(data: bytes, file: Path, surroundings: Surroundings = Surroundings()) -> Draft:  # noqa: B008
    """Read a manifest as far as possible. `file` names it in messages; relative paths in it start beside it.

    Raises:
        ManifestError: it is no TOML at all, so nothing more can be said about it.
    """
    return resolve(parse(data, str(file)), file, surroundings)


def load(data: bytes, file: Path, surroundings: Surroundings = Surroundings()) -> Manifest:  # noqa: B008
    """Read a manifest. Files it names are not looked at.

    Raises:
        ManifestError: with every error in it; the operator must correct them.
    """
    drafted = draft(data, file, surroundings)
    if has_errors(drafted.diagnostics):
        raise ManifestError(drafted.diagnostics)
    return drafted.manifest
