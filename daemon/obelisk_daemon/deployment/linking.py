"""Do the components fit together: every import has one export of its type, and every override names a function.

Pure: it compares what was read from the components, and gives diagnostics.
"""

import difflib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Protocol, TypeAlias

from obelisk_config import ComponentSpec, Diagnostic, Manifest, Span, StubSpec
from obelisk_daemon.execution.wit_extensions import (
    PACKAGES,
    SUFFIXES,
    ExtensionKind,
    base_interface,
    extensions_of,
    find_extension,
    is_extension_interface,
)
from obelisk_daemon.execution.wit_text import signature
from obelisk_daemon.execution.wit_types import FunctionType, same_shape
from obelisk_daemon.ffqn import Ffqn

HostFunctions: TypeAlias = Callable[[str, str], "FunctionType | bool | None"]
"""(interface, function) to its type; True: provided, without a check of the type; None or False: not provided."""


Exporter: TypeAlias = ComponentSpec | StubSpec


class Imported(Protocol):
    """A function that a component imports (`wasm.component.Import`)."""

    @property
    def interface(self) -> str:
        """Give `namespace:package/interface[@version]`."""
        ...

    @property
    def function(self) -> str:
        """Give the function's name."""
        ...

    @property
    def type(self) -> FunctionType:
        """Give the type the component expects."""
        ...


class ComponentInterface(Protocol):
    """What a component exports and imports (`wasm.component.Component`)."""

    @property
    def exports(self) -> Mapping[Ffqn, FunctionType]:
        """Give what it exports."""
        ...

    @property
    def imports(self) -> Iterable[Imported]:
        """Give what it imports."""
        ...


def check_links(
    manifest: Manifest,
    interfaces: Mapping[str, ComponentInterface],
    host_functions: HostFunctions,
    *,
    partial: bool = False,
) -> tuple[Diagnostic, ...]:
    """Compare all components. `interfaces` is by the name of the component or stub.

    If one of them is missing there (its file is missing, say), or the manifest is `partial`, no import is said to be
    exported by nobody, since the missing one may export it.
    """
    check = _Check(manifest, interfaces, host_functions)
    declared: tuple[Exporter, ...] = (*manifest.components, *manifest.stubs)
    complete = not partial and all(one.name in interfaces for one in declared)
    return tuple(check.run(complete))


class _Check:
    def __init__(
        self, manifest: Manifest, interfaces: Mapping[str, ComponentInterface], host_functions: HostFunctions
    ) -> None:
        self._document = manifest.document
        self._positions = manifest.positions
        self._host_functions = host_functions
        self._linked = [(one, interfaces[one.name]) for one in manifest.components if one.name in interfaces]
        self._exporting: list[tuple[Exporter, ComponentInterface]] = [
            *self._linked,
            *((one, interfaces[one.name]) for one in manifest.stubs if one.name in interfaces),
        ]
        self._exports: dict[Ffqn, tuple[Exporter, FunctionType]] = {}
        self._extensions: dict[Ffqn, FunctionType] = {}

    def run(self, complete: bool) -> Iterator[Diagnostic]:
        yield from self._collect_exports()
        for component, interface in self._linked:
            yield from self._overrides(component, interface)
            for imported in interface.imports:
                problem = self._import(component, imported, complete)
                if problem is not None:
                    code, message, hint = problem
                    yield Diagnostic(code, message, self._span(component, "path"), hint)

    def _span(self, component: Exporter, *keys: str) -> Span:
        return self._document.at((*self._positions[component.name], *keys))

    def _collect_exports(self) -> Iterator[Diagnostic]:
        for component, interface in self._exporting:
            for ffqn, type_ in interface.exports.items():
                if ffqn.interface.startswith(("wasi:", "obelisk:")):
                    continue
                if is_extension_interface(ffqn.interface):
                    yield self._reserved(component, ffqn)
                    continue
                first, _ = self._exports.setdefault(ffqn, (component, type_))
                if first is not component:
                    line = self._span(first).line
                    yield Diagnostic(
                        "duplicate_export",
                        f"{_owner(component)} exports {ffqn}, as does {_owner(first)} on line {line}",
                        self._span(component, _source(component)),
                        "a function has one component or stub; take one of them out",
                    )
        for ffqn, (component, type_) in self._exports.items():
            self._extensions.update(extensions_of(ffqn, type_, is_stub=component.kind == "stub"))

    def _reserved(self, component: Exporter, ffqn: Ffqn) -> Diagnostic:
        suffix = next(suffix for suffix in PACKAGES if ffqn.interface.partition("/")[0].endswith(suffix))
        return Diagnostic(
            "reserved_package",
            f'"{component.name}" exports {ffqn}, but packages that end with {suffix} are the host\'s own',
            self._span(component, _source(component)),
            f"export {base_interface(ffqn.interface) or 'another package'} only: the host makes its extensions",
        )

    def _overrides(self, component: ComponentSpec, interface: ComponentInterface) -> Iterator[Diagnostic]:
        exports = [str(ffqn) for ffqn in interface.exports]
        for ffqn in component.functions:
            if ffqn not in exports:
                key = self._document.key((*self._positions[component.name], "functions", ffqn))
                hint = _nearest(ffqn, exports) or f"it exports {', '.join(sorted(exports)) or 'no functions'}"
                yield Diagnostic("unknown_function", f'"{component.name}" does not export {ffqn}', key, hint)

    def _import(self, component: ComponentSpec, imported: Imported, complete: bool) -> tuple[str, str, str] | None:
        """Find what is wrong with an import: code, message, hint."""
        ffqn = Ffqn(imported.interface, imported.function)
        if ffqn.interface.startswith("wasi:"):
            return None  # what the host lacks of WASI traps when called: runtimes import much that they never call
        if component.kind == "activity" and not ffqn.interface.startswith("obelisk:log/"):
            return _of_activity(component, ffqn)
        if is_extension_interface(ffqn.interface):
            return self._extension(component, imported, complete)
        exporter, type_ = self._exports.get(ffqn, (None, None))
        host_type = self._host_functions(ffqn.interface, ffqn.function) if type_ is None else type_
        if isinstance(host_type, FunctionType):
            return _compare(component, imported, "the host has" if exporter is None else _has(exporter), host_type)
        if host_type or (exporter is None and not complete and not ffqn.interface.startswith("obelisk:")):
            return None
        return self._unresolved(component, ffqn)

    def _unresolved(self, component: ComponentSpec, ffqn: Ffqn) -> tuple[str, str, str]:
        message = f'"{component.name}" imports {ffqn}, which '
        if ffqn.interface.startswith("obelisk:"):
            hint = "build it against the interfaces under components/wit; another version of them is another name"
            return "unknown_host_function", f"{message}this version of the host does not provide", hint
        near = _nearest(str(ffqn), [str(one) for one in self._exports])
        hint = near or "add the component that exports it"
        return "import_not_exported", f"{message}no component exports", hint

    def _extension(self, component: ComponentSpec, imported: Imported, complete: bool) -> tuple[str, str, str] | None:
        ffqn = Ffqn(imported.interface, imported.function)
        found = find_extension(ffqn.interface, ffqn.function)
        exporter, _ = self._exports.get(found.target, (None, None)) if found else (None, None)
        type_ = self._extensions.get(ffqn)
        if exporter is not None and type_ is not None:
            return _compare(component, imported, f'the host makes for "{exporter.name}"', type_)
        message = f'"{component.name}" imports {ffqn}, '
        if found is None:
            near = _nearest(str(ffqn), [str(one) for one in self._extensions])
            return "unknown_extension", f"{message}which is no generated extension", near or _names(ffqn.interface)
        if exporter is not None:
            return "unknown_extension", f"{message}but {found.target} has no such extension", _why_not(found.kind)
        if not complete:
            return None
        hint = _nearest(str(ffqn), [str(one) for one in self._extensions])
        hint = hint or "add the component that exports it"
        return "import_not_exported", f"{message}but no component exports {found.target}", hint


def _owner(component: Exporter) -> str:
    return f'the stub "{component.name}"' if component.kind == "stub" else f'"{component.name}"'


def _source(component: Exporter) -> str:
    """Give the key that brings in what it exports."""
    return component.key if isinstance(component, StubSpec) else "path"


def _why_not(kind: ExtensionKind) -> str:
    if kind == "schedule":
        return "it is a stub, which nobody runs: submit it to a join set and await it there"
    return "it is no stub: its result is what it returns"


def _names(interface: str) -> str:
    package = interface.partition("/")[0]
    kinds = next(kinds for suffix, kinds in PACKAGES.items() if package.endswith(suffix))
    names = [f"<function>{SUFFIXES[kind]}" for kind in kinds]
    return f"the functions there are {', '.join(names)}"


def _of_activity(component: ComponentSpec, ffqn: Ffqn) -> tuple[str, str, str]:
    message = f'the activity "{component.name}" imports {ffqn}, which only a workflow may call'
    return "import_not_allowed", message, "declare it as [[workflow]], or call it from one"


def _has(exporter: Exporter) -> str:
    return f"{_owner(exporter)} has"


def _compare(
    component: ComponentSpec, imported: Imported, owner: str, type_: FunctionType
) -> tuple[str, str, str] | None:
    if same_shape(imported.type, type_):
        return None
    message = f'"{component.name}" imports {imported.interface}.{imported.function} with another type than {owner}'
    return "import_type_mismatch", message, f"imported {signature(imported.type)}\nexported {signature(type_)}"


def _nearest(word: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(word, list(known), 1, 0.8)
    return f"did you mean {near[0]}?" if near else ""
