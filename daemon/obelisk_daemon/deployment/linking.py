"""Do the components fit together: every import has one export of its type, and every override names a function.

Pure: it compares what was read from the components, and gives diagnostics.
"""

import difflib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final, Protocol, TypeAlias

from obelisk_config import ComponentSpec, Diagnostic, Manifest, Span
from obelisk_daemon.execution.wit_text import signature
from obelisk_daemon.execution.wit_types import FunctionType
from obelisk_daemon.ffqn import Ffqn

HostFunctions: TypeAlias = Callable[[str, str], "FunctionType | bool | None"]
"""(interface, function) to its type; True: provided, without a check of the type; None or False: not provided."""

_EXTENSIONS: Final = ("-obelisk-ext", "-obelisk-schedule", "-obelisk-stub")


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
    """Compare all components. `interfaces` is by component name.

    If one of them is missing there (its file is missing, say), or the manifest is `partial`, no import is said to be
    exported by nobody, since the missing one may export it.
    """
    check = _Check(manifest, interfaces, host_functions)
    complete = not partial and all(component.name in interfaces for component in manifest.components)
    return tuple(check.run(complete))


class _Check:
    def __init__(
        self, manifest: Manifest, interfaces: Mapping[str, ComponentInterface], host_functions: HostFunctions
    ) -> None:
        self._document = manifest.document
        self._positions = manifest.positions
        self._host_functions = host_functions
        self._linked = [(one, interfaces[one.name]) for one in manifest.components if one.name in interfaces]
        self._exports: dict[Ffqn, tuple[ComponentSpec, FunctionType]] = {}

    def run(self, complete: bool) -> Iterator[Diagnostic]:
        yield from self._collect_exports()
        for component, interface in self._linked:
            yield from self._overrides(component, interface)
            for imported in interface.imports:
                problem = self._import(component, imported, complete)
                if problem is not None:
                    code, message, hint = problem
                    yield Diagnostic(code, message, self._span(component, "path"), hint)

    def _span(self, component: ComponentSpec, *keys: str) -> Span:
        return self._document.at((*self._positions[component.name], *keys))

    def _collect_exports(self) -> Iterator[Diagnostic]:
        for component, interface in self._linked:
            for ffqn, type_ in interface.exports.items():
                if ffqn.interface.startswith(("wasi:", "obelisk:")):
                    continue
                first, _ = self._exports.setdefault(ffqn, (component, type_))
                if first is not component:
                    line = self._span(first).line
                    yield Diagnostic(
                        "duplicate_export",
                        f'"{component.name}" exports {ffqn}, as does "{first.name}" on line {line}',
                        self._span(component, "path"),
                        "a function has one component; take one of them out",
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
        exporter, type_ = self._exports.get(ffqn, (None, None))
        host_type = self._host_functions(ffqn.interface, ffqn.function) if type_ is None else type_
        if isinstance(host_type, FunctionType):
            return _compare(component, imported, exporter, host_type)
        if host_type or (exporter is None and not complete and not ffqn.interface.startswith("obelisk:")):
            return None
        return self._unresolved(component, ffqn)

    def _unresolved(self, component: ComponentSpec, ffqn: Ffqn) -> tuple[str, str, str]:
        message = f'"{component.name}" imports {ffqn}, which '
        if ffqn.interface.startswith("obelisk:"):
            hint = "build it against the interfaces under components/wit; another version of them is another name"
            return "unknown_host_function", f"{message}this version of the host does not provide", hint
        package = ffqn.interface.partition("/")[0]
        if package.endswith(_EXTENSIONS):
            hint = "the generated extensions come in a later version; call the function itself"
            return "import_not_exported", f"{message}is not provided", hint
        near = _nearest(str(ffqn), [str(one) for one in self._exports])
        hint = near or "add the component that exports it"
        return "import_not_exported", f"{message}no component exports", hint


def _of_activity(component: ComponentSpec, ffqn: Ffqn) -> tuple[str, str, str]:
    message = f'the activity "{component.name}" imports {ffqn}, which only a workflow may call'
    return "import_not_allowed", message, "declare it as [[workflow]], or call it from one"


def _compare(
    component: ComponentSpec, imported: Imported, exporter: ComponentSpec | None, type_: FunctionType
) -> tuple[str, str, str] | None:
    if imported.type == type_:
        return None
    owner = "the host" if exporter is None else f'"{exporter.name}"'
    message = f'"{component.name}" imports {imported.interface}.{imported.function} with another type than {owner} has'
    return "import_type_mismatch", message, f"imported {signature(imported.type)}\nexported {signature(type_)}"


def _nearest(word: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(word, list(known), 1, 0.8)
    return f"did you mean {near[0]}?" if near else ""
