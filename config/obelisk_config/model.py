"""The resolved manifest: every default filled in, every name checked, every value in its own type.

All of it except `Manifest` itself (which keeps its document) can be written as JSON by msgspec and read back equal;
the daemon stores it so for each generation.
"""

from datetime import timedelta
from pathlib import Path
from typing import Literal, TypeAlias

import msgspec

from obelisk_config.document import Document

ComponentKind: TypeAlias = Literal["activity", "workflow"]
Failure: TypeAlias = Literal["error", "trap", "timeout"]
Scheme: TypeAlias = Literal["http", "https"]


class UnixListen(msgspec.Struct, frozen=True, tag="unix"):
    """Listen on a unix socket; the path is absolute."""

    path: str

    def __str__(self) -> str:
        return f"unix:{self.path}"


class TcpListen(msgspec.Struct, frozen=True, tag="tcp"):
    """Listen on a loopback address; port 0 lets the machine choose."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


Listen: TypeAlias = UnixListen | TcpListen


class Log(msgspec.Struct, frozen=True):
    """How the daemon writes its own log."""

    format: Literal["auto", "console", "json"]
    level: Literal["debug", "info", "warning", "error"]


class Daemon(msgspec.Struct, frozen=True):
    """The `[daemon]` table; `state_dir` is absolute."""

    state_dir: str
    listen: tuple[Listen, ...]
    log: Log
    stop_grace: timedelta


class Executor(msgspec.Struct, frozen=True):
    """The `[executor]` table; labels are sorted."""

    labels: tuple[str, ...]
    max_running: int
    lease: timedelta


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


class ComponentSpec(msgspec.Struct, frozen=True):
    """A component as the manifest declares it. The last three are of workflows only."""

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
    on_upgrade: Literal["latest", "force"]
    on_block: Literal["hot", "unload"] = "hot"
    max_hot: int = 0
    on_nondeterminism: Literal["pause", "fail"] = "pause"

    @property
    def labels(self) -> tuple[str, ...]:
        """Give the labels that functions without labels of their own require of the executor."""
        return self.settings.labels

    def settings_for(self, ffqn: str) -> FunctionSettings:
        """Give the settings of a function, named as the component exports it."""
        return self.functions.get(ffqn, self.settings)


class Manifest(msgspec.Struct, frozen=True):
    """A manifest as a value. Where a component stands in the file is `document.at(positions[name])`."""

    file: Path
    daemon: Daemon
    executor: Executor
    components: tuple[ComponentSpec, ...]
    """In the order of the file, activities first."""
    document: Document
    positions: dict[str, tuple[str, int]]
    """By component name: `("activity", 0)` for the first `[[activity]]`, and so on."""

    def component(self, name: str) -> ComponentSpec | None:
        """Find a component by its name."""
        return next((component for component in self.components if component.name == name), None)
