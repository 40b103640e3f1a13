"""The resolved manifest: every default filled in, every name checked, every value in its own type.

All of it except `Manifest` itself (which keeps its document) can be written as JSON by msgspec and read back equal;
the daemon stores it so for each generation.
"""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal, TypeAlias

import msgspec

from obelisk_config.document import Document

ComponentKind: TypeAlias = Literal["activity", "workflow"]
Failure: TypeAlias = Literal["error", "trap", "timeout"]
Scheme: TypeAlias = Literal["http", "https"]
WhenFull: TypeAlias = Literal["reject", "evict-oldest"]
Role: TypeAlias = Literal["read", "operate", "admin"]
"""What somebody may who asks the API; each includes those before it."""


class UnixListen(msgspec.Struct, frozen=True, tag="unix"):
    """Listen on a unix socket; the path is absolute."""

    path: str

    def __str__(self) -> str:
        return f"unix:{self.path}"


class Tls(msgspec.Struct, frozen=True):
    """The PEM files of a certificate and of its key; the paths are absolute."""

    cert: str
    key: str


class TcpListen(msgspec.Struct, frozen=True, tag="tcp"):
    """Listen on an IP address; port 0 lets the machine choose."""

    host: str
    port: int
    tls: Tls | None = None
    trusted_proxy: tuple[str, ...] = ()
    """Networks, the only ones that requests are taken from; empty: from everywhere."""
    hosts: tuple[str, ...] = ()
    """Names beside its address, in lower case."""

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


Listen: TypeAlias = UnixListen | TcpListen


class Log(msgspec.Struct, frozen=True):
    """How the daemon writes its own log."""

    format: Literal["auto", "console", "json"]
    level: Literal["debug", "info", "warning", "error"]


class EnvSecret(msgspec.Struct, frozen=True, tag="env"):
    """A secret in an environment variable of the daemon."""

    variable: str


class FileSecret(msgspec.Struct, frozen=True, tag="file"):
    """A secret in a file; the path is absolute."""

    path: str


class CredentialSecret(msgspec.Struct, frozen=True, tag="credential"):
    """A secret in a file of `$CREDENTIALS_DIRECTORY`, where systemd puts it."""

    name: str


SecretSource: TypeAlias = EnvSecret | FileSecret | CredentialSecret


class Sqlite(msgspec.Struct, frozen=True, tag="sqlite"):
    """SQLite's database in the state directory: that of one daemon."""

    def __str__(self) -> str:
        return "sqlite"


class Postgresql(msgspec.Struct, frozen=True, tag="postgresql"):
    """A PostgreSQL database, which several daemons may share. The URL has no password, and its paths are absolute."""

    url: str
    password: SecretSource | None = None

    def __str__(self) -> str:
        return self.url.partition("?")[0]


Database: TypeAlias = Sqlite | Postgresql


class Daemon(msgspec.Struct, frozen=True):
    """The `[daemon]` table; `state_dir` is absolute."""

    state_dir: str
    database: Database
    listen: tuple[Listen, ...]
    log: Log
    stop_grace: timedelta
    traces: bool
    host: str
    """`auto`: the name of the machine, or `local` where no other host can share the database."""
    manifest: Literal["file", "database"]


class Executor(msgspec.Struct, frozen=True):
    """An executor; labels are sorted. `lease` is the same for all of a manifest."""

    name: str
    labels: tuple[str, ...]
    max_running: int
    lease: timedelta


class QueueLimits(msgspec.Struct, frozen=True):
    """The `[limits]` table: how many executions of all components may wait for their first run."""

    max_pending: int
    when_full: WhenFull


class Retention(msgspec.Struct, frozen=True):
    """The `[retention]` table. `finished` None: for ever; `generations` counts those before the active one."""

    finished: timedelta | None
    generations: int


class Backoff(msgspec.Struct, frozen=True):
    """The wait before a retry: `min(initial * factor**(n-1), max)`, plus up to the part `jitter` (0 to 1) of it."""

    initial: timedelta
    factor: float
    max: timedelta
    jitter: float


class FunctionSettings(msgspec.Struct, frozen=True):
    """What may differ between the functions of a component. Labels are sorted and required of the executor."""

    timeout: timedelta
    max_retries: int
    backoff: Backoff
    retry_on: tuple[Failure, ...]
    labels: tuple[str, ...]
    cancellable: bool = True
    """For a workflow what the manifest says; the daemon adds what the function's name says. An activity always is."""


class Limits(msgspec.Struct, frozen=True):
    """What one run of a guest may use. Sizes are bytes. None: the limit doesn't exist for this kind."""

    memory: int
    host_calls: int
    value: int
    logs: int
    fuel: int | None = None
    http_requests: int | None = None
    http_bytes: int | None = None


class AllowedHost(msgspec.Struct, frozen=True):
    """A place a guest may send requests to. `host` is lower-case ASCII, or `*`, or begins with `*.`; IPv6 is bare."""

    scheme: Scheme
    host: str
    port: int
    methods: tuple[str, ...] | None
    """None: every method."""
    allow_private: bool
    secrets: tuple[str, ...] = ()
    """Names of those that the host puts into headers of requests that go there."""


class ComponentSpec(msgspec.Struct, frozen=True):
    """A component as the manifest declares it. From `on_block` on, all is of workflows only."""

    kind: ComponentKind
    name: str
    path: str
    """Absolute, symbolic links not followed."""
    digest: str | None
    """None only when the manifest leaves it out, which `--dev` alone allows."""
    settings: FunctionSettings
    functions: dict[str, FunctionSettings]
    """Settings of the functions that override some, by ffqn text, already merged."""
    env: dict[str, str]
    allowed_hosts: tuple[AllowedHost, ...]
    allow_private: bool
    limits: Limits
    forward_stdio: bool
    priority: int
    """0 to 9; the higher starts first."""
    max_running: int | None
    """How many of its runs there may be at once, over the whole store. None: any number."""
    max_pending: int | None
    """How many of its executions may wait for their first run. None: only the limit of all components holds."""
    when_full: WhenFull
    on_upgrade: Literal["latest", "replay", "pin", "force"]
    """An activity's is always "latest", a workflow's one of the others."""
    on_block: Literal["hot", "unload"] = "hot"
    max_hot: int = 0
    on_nondeterminism: Literal["pause", "fail"] = "pause"
    on_trap: Literal["fail", "pause"] = "fail"
    max_history_events: int = 0

    @property
    def labels(self) -> tuple[str, ...]:
        """Give the labels that functions without labels of their own require of the executor."""
        return self.settings.labels

    @property
    def secrets(self) -> tuple[str, ...]:
        """Give the names of the secrets that some allowed host may have, sorted."""
        return tuple(sorted({name for host in self.allowed_hosts for name in host.secrets}))

    def settings_for(self, ffqn: str) -> FunctionSettings:
        """Give the settings of a function, named as the component exports it."""
        return self.functions.get(ffqn, self.settings)


class StubParameter(msgspec.Struct, frozen=True):
    """A parameter of a stub written in the manifest. The name has no `%`; the type is WIT that nobody has read yet."""

    name: str
    type: str


class InlineStub(msgspec.Struct, frozen=True, tag="ffqn"):
    """A stub of one function, written in the manifest. `returns` None: it has no result."""

    ffqn: str
    """As a component would export it, so without `%`."""
    params: tuple[StubParameter, ...]
    returns: str | None


class WitStub(msgspec.Struct, frozen=True, tag="wit"):
    """Stubs of all functions of a WIT file; the path is absolute."""

    path: str


class ComponentStub(msgspec.Struct, frozen=True, tag="path"):
    """Stubs of all functions that a component exports; path and digest are as those of `ComponentSpec`."""

    path: str
    digest: str | None


StubSource: TypeAlias = InlineStub | WitStub | ComponentStub


class StubSpec(msgspec.Struct, frozen=True):
    """Functions that are never run: somebody else gives their executions a result."""

    name: str
    """That of the manifest, or else the ffqn of its one function."""
    source: StubSource

    @property
    def kind(self) -> Literal["stub"]:
        """Tell it from components with code."""
        return "stub"

    @property
    def path(self) -> str | None:
        """Give the file that it is read from, if it is."""
        return None if isinstance(self.source, InlineStub) else self.source.path

    @property
    def key(self) -> str:
        """Give the key of the manifest that says what the functions are."""
        match self.source:
            case InlineStub():
                return "ffqn"
            case WitStub():
                return "wit"
            case ComponentStub():
                return "path"


class Token(msgspec.Struct, frozen=True):
    """A `[[token]]`: whoever has the token with this SHA-256 may use the API over TCP, in a role."""

    name: str
    role: Role
    sha256: str
    """In lower-case hexadecimal."""
    expires: datetime | None = None
    """From then on it is refused; it has an offset."""


class Manifest(msgspec.Struct, frozen=True):
    """A manifest as a value. Where a component stands in the file is `document.at(positions[name])`."""

    file: Path
    daemon: Daemon
    executors: tuple[Executor, ...]
    """At least one, in the order of the file, with names of their own."""
    limits: QueueLimits
    components: tuple[ComponentSpec, ...]
    """In the order of the file, activities first."""
    document: Document
    positions: dict[str, tuple[str, int]]
    """By name of a component or stub: `("activity", 0)` for the first `[[activity]]`, and so on."""
    stubs: tuple[StubSpec, ...] = ()
    """In the order of the file."""
    secrets: dict[str, SecretSource] = {}
    """By name, in the order of the file."""
    tokens: tuple[Token, ...] = ()
    """In the order of the file, with names and hashes of their own."""
    retention: Retention = Retention(timedelta(days=30), 100)

    def component(self, name: str) -> ComponentSpec | None:
        """Find a component by its name."""
        return next((component for component in self.components if component.name == name), None)
