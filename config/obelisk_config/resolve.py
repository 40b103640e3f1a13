"""Authored values to the resolved manifest: defaults filled in, layers merged, paths made absolute, names compared."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final, get_args

import msgspec

from obelisk_config import component_keys, keys
from obelisk_config.database import hide_passwords
from obelisk_config.database import located as located_database
from obelisk_config.diagnostics import Diagnostic
from obelisk_config.document import Document
from obelisk_config.forms import HostPattern
from obelisk_config.listening import SOCKET_PATH_BYTES
from obelisk_config.listening import beside as located_beside
from obelisk_config.model import (
    AllowedHost,
    ComponentKind,
    ComponentSpec,
    Daemon,
    Executor,
    FunctionSettings,
    Listen,
    Manifest,
    QueueLimits,
    Retention,
    StubSpec,
    UnixListen,
)
from obelisk_config.place import Place
from obelisk_config.secrets import check_secrets, hide_plain_values, located
from obelisk_config.stubs import resolve_stub
from obelisk_config.tables import Parsed
from obelisk_config.tokens import hide_tokens, tokens
from obelisk_config.units import format_duration

KINDS: Final[tuple[ComponentKind, ...]] = get_args(ComponentKind)
_UNSET: Final[Parsed] = {"env": {}, "digest": None, "max_running": None, "max_pending": None}
"""What the keys of a component stand for that have no default."""


class Surroundings(msgspec.Struct, frozen=True):
    """What the manifest's defaults depend on besides itself: the environment, and the command line, which wins.

    `state_dir` and `listen` are of the command line, relative to the working directory; None and empty: not given.
    """

    variables: Mapping[str, str] = {}
    state_dir: str | None = None
    listen: tuple[Listen, ...] = ()

    def __repr__(self) -> str:
        return f"Surroundings(state_dir={self.state_dir!r}, listen={self.listen!r})"  # variables may be secrets


class Draft(msgspec.Struct, frozen=True):
    """A manifest as far as it can be read, and all that is wrong with it.

    With errors, `manifest` is for finding more of them only: keys with errors have their defaults, and components
    without a usable name or path are missing, as `partial` says.
    """

    manifest: Manifest
    diagnostics: tuple[Diagnostic, ...]
    partial: bool


def resolve(document: Document, file: Path, surroundings: Surroundings) -> Draft:
    """Check a document's values and fill in what it leaves out."""
    reported: list[Diagnostic] = []
    hide_plain_values(document)
    hide_passwords(document)
    hide_tokens(document)
    root = Place(document, (), reported)
    parsed = keys.MANIFEST.parse(document.values, root)
    assert isinstance(parsed, dict), "a document is a table"
    authored = sum(len(parsed.get(kind, ())) for kind in (*KINDS, "stub"))
    components, positions = _components(parsed, root, file)
    stubs = _stubs(parsed, root, file, positions)
    manifest = Manifest(
        file,
        _daemon(parsed.get("daemon", {}), root.child("daemon"), file, surroundings),
        _executors(parsed.get("executor", []), root.child("executor")),
        msgspec.convert(keys.LIMITS.defaults() | parsed.get("limits", {}), QueueLimits),
        components,
        document,
        positions,
        stubs,
        {name: located(source, file.absolute().parent) for name, source in parsed.get("secrets", {}).items()},
        tokens(parsed.get("token", []), root.child("token")),
        msgspec.convert(keys.RETENTION.defaults() | parsed.get("retention", {}), Retention),
    )
    check_secrets(parsed, components, positions, root)
    partial = len(components) + len(stubs) < authored or len(parsed) < len(document.values)
    return Draft(manifest, tuple(reported), partial)


def merge(*layers: Parsed) -> Parsed:
    """Lay tables over one another: of a key in several, the last wins; tables in them are merged in the same way."""
    merged: Parsed = {}
    for layer in layers:
        for name, value in layer.items():
            below = merged.get(name)
            merged[name] = merge(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return merged


def _daemon(authored: Parsed, place: Place, file: Path, surroundings: Surroundings) -> Daemon:
    beside = file.absolute().parent
    given = surroundings.variables.get("STATE_DIRECTORY", "").partition(":")[0]
    state_dir = beside / authored.get("state_dir", given or ".obelisk")
    if surroundings.state_dir is not None:
        state_dir = Path(surroundings.state_dir).absolute()
    if surroundings.listen:
        listen, where = located_beside(Path.cwd(), surroundings.listen), place
    elif "listen" in authored:
        listen, where = located_beside(beside, authored["listen"]), place.child("listen")
    else:
        runtime_dir = surroundings.variables.get("RUNTIME_DIRECTORY", "").partition(":")[0]
        own = state_dir if surroundings.state_dir is not None else beside / (runtime_dir or state_dir)
        listen, where = (UnixListen(str(own / "api.sock")),), place.child("state_dir")
    for number, one in enumerate(listen):
        size = len(os.fsencode(one.path)) if isinstance(one, UnixListen) else 0
        if isinstance(one, UnixListen) and size > SOCKET_PATH_BYTES:
            message = f"the path of the socket has {size} bytes, Linux takes {SOCKET_PATH_BYTES}: {one.path}"
            hint = 'choose a shorter one: listen = ["unix:/run/obelisk/api.sock"]'
            where.child(number).error("listen_path_too_long", message, hint)
    settings = merge(keys.DAEMON.defaults(), authored, {"state_dir": str(state_dir), "listen": listen})
    settings["database"] = located_database(settings["database"], beside)
    return msgspec.convert(settings, Daemon)


def _executors(authored: list[tuple[int | None, Parsed]], place: Place) -> tuple[Executor, ...]:
    """Give the executors, which have names of their own and one lease."""
    executors: list[Executor] = []
    first: dict[str, Place] = {}
    for number, table in authored or [(None, {})]:
        here = place if number is None else place.child(number)
        executor = msgspec.convert(keys.EXECUTOR.defaults() | table, Executor)
        if "name" in table and executor.name in first:
            line = first[executor.name].line
            message = f'"{executor.name}" is also the name of the executor on line {line}'
            here.child("name").error("duplicate_name", message, "choose another")
        elif "name" in table:
            first[executor.name] = here.child("name")
        if executors and executor.lease != executors[0].lease:
            mine, other = format_duration(executor.lease), format_duration(executors[0].lease)
            message = f'lease: "{mine}", and the first executor has "{other}"'
            hint = "they are of one daemon and give one sign of life: write the same lease into each [[executor]]"
            here.child("lease").error("lease_differs", message, hint)
        executors.append(executor)
    return tuple(executors)


def _components(
    parsed: Parsed, root: Place, file: Path
) -> tuple[tuple[ComponentSpec, ...], dict[str, tuple[str, int]]]:
    components: list[ComponentSpec] = []
    positions: dict[str, tuple[str, int]] = {}
    for kind in KINDS:
        below = merge(component_keys.SETTINGS[kind].defaults(), parsed.get("defaults", {}).get(kind, {}))
        _check_backoff(below, parsed.get("defaults", {}).get(kind, {}), root.child("defaults").child(kind))
        for number, authored in parsed.get(kind, []):
            place = root.child(kind).child(number)
            _check_backoff(merge(below, authored), authored, place)
            settings = _functions(kind, merge(below, authored), place)
            name = authored.get("name")
            if name is not None and _is_free(name, positions, place.child("name")) and "path" in authored:
                positions[name] = (kind, number)
                components.append(_component(kind, settings, file))
    return tuple(components), positions


def _stubs(parsed: Parsed, root: Place, file: Path, positions: dict[str, tuple[str, int]]) -> tuple[StubSpec, ...]:
    stubs: list[StubSpec] = []
    for number, authored in parsed.get("stub", []):
        place = root.child("stub").child(number)
        spec = resolve_stub(authored, place, file.absolute().parent)
        if spec is not None and _is_free(spec.name, positions, place.child("name" if "name" in authored else "ffqn")):
            positions[spec.name] = ("stub", number)
            stubs.append(spec)
    return tuple(stubs)


def _is_free(name: str, positions: Mapping[str, tuple[str, int]], place: Place) -> bool:
    """Tell if a component or stub may have a name, and report it if another one has it."""
    if name not in positions:
        return True
    first = place.document.at((*positions[name], place.name)).line
    if place.name == "ffqn":
        message, hint = f"{name} has a stub on line {first} already", "take one of them out"
    else:
        message, hint = f'"{name}" is also the name of the component on line {first}', "choose another"
    place.error("duplicate_name", message, hint)
    return False


def _functions(kind: ComponentKind, settings: Parsed, place: Place) -> Parsed:
    """Lay each function's settings over those of its component."""
    functions = {}
    for ffqn, override in settings.get("functions", {}).items():
        merged = merge({key.name: settings[key.name] for key in component_keys.FUNCTION[kind].keys}, override)
        _check_backoff(merged, override, place.child("functions").child(ffqn))
        functions[ffqn] = _function(merged)
    return settings | {"functions": functions, "settings": _function(settings)}


def _function(settings: Parsed) -> FunctionSettings:
    known = {name: value for name, value in settings.items() if name in FunctionSettings.__struct_fields__}
    return msgspec.convert(known, FunctionSettings)


def _component(kind: ComponentKind, settings: Parsed, file: Path) -> ComponentSpec:
    values: Parsed = _UNSET | settings
    values["kind"] = kind
    values["path"] = str(file.absolute().parent / settings["path"])
    values["allowed_hosts"] = tuple(_allowed(host, settings["allow_private"]) for host in settings["allowed_hosts"])
    known = {name: value for name, value in values.items() if name in ComponentSpec.__struct_fields__}
    return msgspec.convert(known, ComponentSpec)


def _allowed(host: HostPattern, allow_private: bool) -> AllowedHost:
    private = allow_private if host.allow_private is None else host.allow_private
    return AllowedHost(host.scheme, host.host, host.port, host.methods, private, host.secrets)


def _check_backoff(merged: Parsed, authored: Parsed, place: Place) -> None:
    """Report a longest wait below the first one, in the layer that brought it about."""
    initial, longest = merged["backoff"]["initial"], merged["backoff"]["max"]
    if "backoff" in authored and longest < initial:
        message = f'backoff: max ("{format_duration(longest)}") is less than initial ("{format_duration(initial)}")'
        place.child("backoff").error("out_of_range", message, "raise max, or lower initial")
