"""What differs between two resolved manifests, key by key and in the words of an author.

What counts is what holds: a default that is now written out is no change, and neither is another order of components.
"""

from collections.abc import Iterator
from typing import Literal, TypeAlias

import msgspec

from obelisk_config import written
from obelisk_config.model import ComponentSpec, ComponentStub, Executor, Manifest, StubSpec
from obelisk_config.tables import toml_key
from obelisk_config.written import Written

_Spec: TypeAlias = ComponentSpec | StubSpec


class SettingChange(msgspec.Struct, frozen=True):
    """A key with another value. The values are TOML; None: it has neither one nor a default."""

    key: str
    before: str | None
    after: str | None
    restart_only: bool = False
    """A running daemon can't take it over."""


class ComponentChange(msgspec.Struct, frozen=True):
    """A component or stub that came, went or changed; only of one that changed are its settings told."""

    name: str
    kind: Literal["activity", "workflow", "stub"]
    change: Literal["added", "removed", "changed"]
    digest: tuple[str | None, str | None] | None = None
    """Before and after, if they differ. None in it: no such component, or a file that is taken as it is."""
    settings: tuple[SettingChange, ...] = ()


class Difference(msgspec.Struct, frozen=True):
    """All that changed: components in the order of the new manifest, then those that are gone."""

    components: tuple[ComponentChange, ...] = ()
    settings: tuple[SettingChange, ...] = ()
    """Those of the daemon, its executors, `[limits]`, `[retention]`, `[secrets]` and tokens."""

    @property
    def is_empty(self) -> bool:
        """Say whether nothing changed."""
        return not self.components and not self.settings


def compare(before: Manifest | None, after: Manifest) -> Difference:
    """Find what changed. Without a manifest before, every component is added, and nothing else is told."""
    if before is None:
        return Difference(tuple(_added(spec) for spec in _declared(after).values()))
    return Difference(tuple(_components(before, after)), tuple(_settings(before, after)))


def restart_only(difference: Difference) -> tuple[SettingChange, ...]:
    """Give the changes that a running daemon can't take over."""
    return tuple(change for change in difference.settings if change.restart_only)


def _components(before: Manifest, after: Manifest) -> Iterator[ComponentChange]:
    """Compare those of one kind and name: with another kind it is another component."""
    old, new = _declared(before), _declared(after)
    for identity, spec in new.items():
        if identity not in old:
            yield _added(spec)
            continue
        digest = _digests(old[identity], spec)
        settings = tuple(_of_component(old[identity], spec, before, after))
        if digest or settings:
            yield ComponentChange(spec.name, spec.kind, "changed", digest, settings)
    for identity, spec in old.items():
        if identity not in new:
            yield ComponentChange(spec.name, spec.kind, "removed", _digests(spec, None))


def _declared(manifest: Manifest) -> dict[tuple[str, str], _Spec]:
    specs: tuple[_Spec, ...] = (*manifest.components, *manifest.stubs)
    return {(spec.kind, spec.name): spec for spec in specs}


def _added(spec: _Spec) -> ComponentChange:
    return ComponentChange(spec.name, spec.kind, "added", _digests(None, spec))


def _digests(before: _Spec | None, after: _Spec | None) -> tuple[str | None, str | None] | None:
    old, new = _digest(before), _digest(after)
    return (old, new) if old != new else None


def _digest(spec: _Spec | None) -> str | None:
    has = spec.source if isinstance(spec, StubSpec) else spec
    return has.digest if isinstance(has, ComponentSpec | ComponentStub) else None


def _of_component(old: _Spec, new: _Spec, before: Manifest, after: Manifest) -> Iterator[SettingChange]:
    was, now = before.file.absolute().parent, after.file.absolute().parent
    if isinstance(old, ComponentSpec) and isinstance(new, ComponentSpec):
        yield from _changes(written.component(old, was), written.component(new, now))
        yield from _of_functions(old, new)
    elif isinstance(old, StubSpec) and isinstance(new, StubSpec):
        yield from _changes(written.stub(old, was), written.stub(new, now))


def _of_functions(old: ComponentSpec, new: ComponentSpec) -> Iterator[SettingChange]:
    """Compare what holds for single functions, and leave out what changed for them only as for the component."""
    kind = new.kind
    whole = set(_changes(written.function(kind, old.settings), written.function(kind, new.settings)))
    for ffqn in dict.fromkeys((*old.functions, *new.functions)):
        was, now = (written.function(kind, spec.settings_for(ffqn)) for spec in (old, new))
        for change in _changes(was, now):
            if change not in whole:
                yield msgspec.structs.replace(change, key=f"functions.{toml_key(ffqn)}.{change.key}")


def _settings(before: Manifest, after: Manifest) -> Iterator[SettingChange]:
    for change in _changes(written.daemon(before.daemon), written.daemon(after.daemon)):
        yield msgspec.structs.replace(change, restart_only=True)
    old, new = ({one.name: one for one in manifest.executors} for manifest in (before, after))
    for name in dict.fromkeys((*old, *new)):
        yield from _of_executor(name, old.get(name), new.get(name))
    yield from _changes(written.queue_limits(before.limits), written.queue_limits(after.limits))
    yield from _changes(written.retention(before.retention), written.retention(after.retention))
    was, now = (written.secrets(one.secrets, one.file.absolute().parent) for one in (before, after))
    yield from _changes(was, now)
    yield from _changes(written.tokens(before.tokens), written.tokens(after.tokens))


def _of_executor(name: str, old: Executor | None, new: Executor | None) -> Iterator[SettingChange]:
    if old is None or new is None:
        was, now = (None if one is None else written.executor_table(one) for one in (old, new))
        yield SettingChange(f"executor.{name}", was, now, restart_only=True)
        return
    for change in _changes(written.executor(old), written.executor(new)):
        yield msgspec.structs.replace(change, restart_only=change.key.endswith(".lease"))


def _changes(before: Written, after: Written) -> Iterator[SettingChange]:
    for key in dict.fromkeys((*before, *after)):
        if before.get(key) != after.get(key):
            yield SettingChange(key, before.get(key), after.get(key))
