"""In place of wasm: bytes that name a script, what compiles and links them, and manifests that have them."""

import json
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal

import msgspec
from wasmtime import component as wc

from obelisk_config import Surroundings, draft
from obelisk_daemon.deployment.candidate import digest_of
from obelisk_daemon.deployment.planning import Linker
from obelisk_daemon.deployment.stored import Surrounds
from obelisk_daemon.offline import Beginning, Options
from obelisk_daemon.wasm.component import Component
from obelisk_daemon.wasm.engine import Engines
from obelisk_daemon.wasm.recipe import EngineKind, EngineSettings
from tests import guests
from tests.simulation.guests import EXPORTS, Scripted, World
from tests.simulation.programs import APPROVE

CANARY: Final = "a-secret-that-nobody-may-write-down"
LEASE_SECONDS: Final = 3
_CODE: Final = {
    name: f"script {name}".encode() for name in ("flow", "flow-again", "flow-diverging", "work", "work-again", "once")
}
DIVERGING: Final = digest_of(_CODE["flow-diverging"])
"""The code that asks for one more thing at its start, so that no log of the others replays on it."""
_WASM: Final = b"\0asm"
_VARIABLES: Final = {"CANARY": CANARY}


class ScriptedComponent(Component):
    """A component that is a script of `guests`. It imports nothing: it finds the host's functions by itself."""

    def __init__(self, kind: EngineKind, code: bytes) -> None:
        self.kind = kind
        self.digest = digest_of(code)
        self.exports = EXPORTS[code.decode().removeprefix("script ").partition("-")[0]]
        self.interfaces = self.imports = self.exported_interfaces = self.imported_types = ()


class InlineCompiler:
    """In place of a `Compiler`: it compiles wasm at once, and takes scripts as they are."""

    async def load(self, code: bytes, kind: EngineKind) -> Component:
        """Load a component; what was loaded once is the same object the next time."""
        return _loaded(code, kind)


@cache
def _loaded(code: bytes, kind: EngineKind) -> Component:
    if not code.startswith(_WASM):
        return ScriptedComponent(kind, code)
    engines = _engines()
    return Component(engines, kind, digest_of(code), wc.Component(engines.engine(kind), code))


@cache
def _engines() -> Engines:
    return Engines(EngineSettings(tick=None, compute_threads=0))


class ScriptLinker(Linker):
    """Links scripts."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self._world = world
        self._scripts: dict[str, Scripted] = {}

    def link(self, component: Component, types: Any) -> Any:
        """Bind a component."""
        if not isinstance(component, ScriptedComponent):
            return super().link(component, types)
        is_diverging = component.digest == DIVERGING
        return self._scripts.setdefault(component.digest, Scripted(component, self._world, is_diverging=is_diverging))


class Setup(msgspec.Struct, frozen=True):
    """What a manifest says. `flow` and `work` name the code of these components."""

    flow: str = "flow"
    work: str = "work"
    on_upgrade: Literal["replay", "pin", "force"] = "replay"
    on_block: Literal["hot", "unload"] = "hot"
    max_hot: int = 100
    cancellable: bool = True
    max_running: int | None = None
    max_pending: int | None = None
    slots: tuple[int, ...] = (4,)
    has_wasm: bool = False
    """Whether there are real guests, too."""

    def manifest(self, host: str, *, is_shared: bool) -> bytes:
        """Write it for a host. The code lies beside it."""
        database = "postgresql://nowhere/obelisk?sslmode=verify-full" if is_shared else "sqlite"
        flow = {
            "timeout": "4s", "on_upgrade": self.on_upgrade, "on_block": self.on_block, "max_hot": self.max_hot,
            "cancellable": self.cancellable, "max_retries": 1_000, "backoff.max": "1s",
        }  # fmt: skip
        secret = [{"host": "https://api.example.com", "secrets": ["canary"]}]
        patient = {
            "timeout": "3s",
            "max_retries": 1_000,
            "backoff.initial": "50ms",
            "backoff.max": "1s",
            "allowed_hosts": secret,
        }
        if self.max_running is not None:
            patient["max_running"] = self.max_running
        stub = {"ffqn": str(APPROVE), "params": [{"name": "order", "type": "u64"}], "returns": "result<bool, string>"}
        tables = [
            _table("daemon", {"host": host, "database": database}),
            *[
                _table("[executor]", {"name": f"e{n}", "max_running": size, "lease": f"{LEASE_SECONDS}s"})
                for n, size in enumerate(self.slots)
            ],
            _table("[workflow]", {**_file("flow", self.flow), **flow}),
            _table("[activity]", {**_file("work", self.work), **patient}),
            _table("[activity]", {**_file("once", "once"), "timeout": "2s", "max_retries": 1}),
            _table("[stub]", {"name": "approval", **stub}),
            _table("secrets", {"canary": {"env": "CANARY"}}),
        ]
        if self.has_wasm:
            tables += [_wasm("activity", "fibo-activity"), _wasm("workflow", "fibo-workflow")]
        if self.max_pending is not None:
            tables.append(_table("limits", {"max_pending": self.max_pending, "when_full": "evict-oldest"}))
        return "\n".join(tables).encode()


def write_code(directory: Path) -> None:
    """Write all code into a directory."""
    for name, code in _CODE.items():
        (directory / f"{name}.wasm").write_bytes(code)


def beginning(source: bytes, directory: Path) -> Beginning:
    """Say how a daemon is to start, with that in its manifest's file."""
    options = Options(directory / "obelisk.toml", Surroundings(_VARIABLES))
    manifest = draft(source, options.manifest, options.surroundings).manifest
    return Beginning(options, manifest.daemon, manifest.executors, source, tells_database=True)


def surrounds(start: Beginning) -> Surrounds:
    """Say what the manifests of a daemon are read with."""
    options = start.options
    return Surrounds(options.manifest, options.surroundings, start.host, options.dev, start.is_shared)


def _wasm(kind: str, name: str) -> str:
    keys = {"name": name, "path": str(guests.path(name)), "digest": guests.digest(name), "max_retries": 1_000}
    return _table(f"[{kind}]", {**keys, "backoff.max": "1s"})


def _file(name: str, code: str) -> dict[str, object]:
    return {"name": name, "path": f"{code}.wasm", "digest": digest_of(_CODE[code])}


def _table(name: str, keys: dict[str, Any]) -> str:
    """Write a table; JSON is TOML but for objects."""
    return "\n".join([f"[{name}]", *[f"{key} = {_value(value)}" for key, value in keys.items()], ""])


def _value(value: object) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_value(one)}" for key, one in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(_value, value)) + "]"
    return json.dumps(value)
