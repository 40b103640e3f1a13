"""Stubs: functions that are never run, and whose types come from the manifest, a WIT file or a component."""

import hashlib
from collections.abc import Iterator, Mapping
from typing import Final, Protocol

import msgspec

from obelisk_config import (
    ComponentStub,
    Diagnostic,
    InlineStub,
    KeyPath,
    Manifest,
    Span,
    StubParameter,
    StubSpec,
    WitStub,
    at,
)
from obelisk_daemon.deployment.candidate import Files
from obelisk_daemon.execution.wit_interfaces import WitInterface
from obelisk_daemon.execution.wit_parse import parse_interfaces, parse_type
from obelisk_daemon.execution.wit_text import signature
from obelisk_daemon.execution.wit_tokens import MAX_CHARACTERS, Place, WitError
from obelisk_daemon.execution.wit_types import FunctionType, WitType
from obelisk_daemon.ffqn import Ffqn

_OURS: Final = ("wasi:", "obelisk:")
_TYPE_HINT: Final = 'a type is written as in WIT, for example "u64", "list<string>", "result<bool, string>"'


class LoadedStub(Protocol):
    """A component that stands for its functions only (`wasm.component.Component`)."""

    @property
    def exported_interfaces(self) -> tuple[WitInterface, ...]:
        """Give what it exports, with the names of types."""
        ...

    @property
    def imported_types(self) -> tuple[WitInterface, ...]:
        """Give the interfaces whose types its exports use."""
        ...


class Stub(msgspec.Struct, frozen=True):
    """The functions of one `[[stub]]`. It is to the others what a component is, but imports nothing."""

    name: str
    exports: Mapping[Ffqn, FunctionType]
    exported_interfaces: tuple[WitInterface, ...]
    imported_types: tuple[WitInterface, ...] = ()

    @property
    def imports(self) -> tuple[()]:
        """Give nothing: a stub has no code."""
        return ()

    @property
    def digest(self) -> str:
        """Identify what it promises: `sha256:<64 hex>` of its signatures as text, whichever way they were given."""
        lines = sorted(f"{ffqn}: {signature(of)}" for ffqn, of in self.exports.items())
        return f"sha256:{hashlib.sha256(chr(10).join(lines).encode()).hexdigest()}"


def read_stubs(
    manifest: Manifest, files: Files, loaded: Mapping[str, LoadedStub]
) -> tuple[dict[str, Stub], tuple[Diagnostic, ...]]:
    """Find the functions of every stub, by name; one with errors is missing in the answer.

    `loaded` are those stubs that are component files, as far as they could be loaded.
    """
    reading = _Reading(manifest, files, loaded)
    stubs = {spec.name: stub for spec in manifest.stubs if (stub := reading.stub(spec)) is not None}
    return stubs, tuple(reading.found)


class _Reading:
    """Reads the stubs of a manifest, and collects what is wrong with them in `found`."""

    def __init__(self, manifest: Manifest, files: Files, loaded: Mapping[str, LoadedStub]) -> None:
        self._manifest = manifest
        self._files = files
        self._loaded = loaded
        self.found: list[Diagnostic] = []

    def stub(self, spec: StubSpec) -> Stub | None:
        """Give a stub, or None with errors, which may have been found before."""
        path = self._manifest.positions[spec.name]
        match spec.source:
            case InlineStub():
                return self._checked(spec, self._inline(spec.source, path))
            case WitStub():
                return self._checked(spec, self._from_wit(spec, (*path, "wit")))
            case ComponentStub():
                loaded = self._loaded.get(spec.name)
                return None if loaded is None else self._checked(spec, *_exported(loaded))

    def _checked(
        self, spec: StubSpec, interfaces: tuple[WitInterface, ...] | None, imported: tuple[WitInterface, ...] = ()
    ) -> Stub | None:
        if interfaces is None:
            return None
        exports = {Ffqn(one.name, name): of for one in interfaces for name, of in one.functions}
        wrong = list(self._wrong_names(spec, exports))
        self.found += wrong
        return None if wrong else Stub(spec.name, exports, interfaces, imported)

    def _wrong_names(self, spec: StubSpec, exports: Mapping[Ffqn, FunctionType]) -> Iterator[Diagnostic]:
        path = (*self._manifest.positions[spec.name], spec.key)
        if not exports:
            message = f'the file of "{spec.name}" has no functions in interfaces'
            hint = "a stub stands for at least one function"
            yield at(self._manifest.document, path, "no_functions", message, hint)
        for ffqn in exports:
            if ffqn.interface.startswith(_OURS):
                message = f'"{spec.name}" exports {ffqn}, but the namespaces wasi and obelisk are the host\'s own'
                yield at(self._manifest.document, path, "reserved_package", message, "choose another namespace")

    def _inline(self, source: InlineStub, path: KeyPath) -> tuple[WitInterface, ...] | None:
        before = len(self.found)
        params = [self._param(param, (*path, "params", number)) for number, param in enumerate(source.params)]
        result = None if source.returns is None else self._type(source.returns, (*path, "returns"))
        if len(self.found) > before:
            return None
        ffqn = Ffqn.parse(source.ffqn)
        of = FunctionType(tuple(param for param in params if param is not None), result)
        return (WitInterface(ffqn.interface, functions=((ffqn.function, of),)),)

    def _param(self, param: StubParameter, path: KeyPath) -> tuple[str, WitType] | None:
        of = self._type(param.type, (*path, "type"))
        return None if of is None else (param.name, of)

    def _type(self, text: str, path: KeyPath) -> WitType | None:
        try:
            return parse_type(text)
        except WitError as error:
            span, where = _inside(self._manifest.document.at(path), text, error.place)
            message = f"{path[-1]}{where}: {error.reason}"
            self.found.append(Diagnostic("bad_wit_type", message, span, _TYPE_HINT))
            return None

    def _from_wit(self, spec: StubSpec, path: KeyPath) -> tuple[WitInterface, ...] | None:
        digest = self._files.digests.get(spec.name)
        if digest is None:
            return None
        document = self._manifest.document
        try:
            text = _text(self._files.by_digest[digest])
            return parse_interfaces(text)
        except _NoTextError as error:
            message = f'the WIT file of "{spec.name}" is no text'
            self.found.append(at(document, path, "bad_wit_file", message, str(error)))
        except WitError as error:
            name = document.values["stub"][path[1]]["wit"]
            message = f"{name}:{error.place.line}:{error.place.column}: {error.reason}"
            self.found.append(at(document, path, "bad_wit_file", message, _excerpt(text, error.place)))
        return None


def _exported(component: LoadedStub) -> tuple[tuple[WitInterface, ...], tuple[WitInterface, ...]]:
    """Leave out what a component exports to the host and not to others, such as `wasi:cli/run`."""
    interfaces = tuple(one for one in component.exported_interfaces if not one.name.startswith(_OURS))
    return interfaces, component.imported_types


class _NoTextError(Exception):
    """A file is not what a WIT file is; the text is the hint."""


def _inside(value: Span, text: str, place: Place) -> tuple[Span, str]:
    """Point into a text of the manifest; where it isn't written as it is, at all of it, and say where in words."""
    raw = value.text[value.column - 1 : value.column - 1 + value.width]
    if raw[1:-1] == text and raw[0] in "'\"" and place.line == 1:
        return msgspec.structs.replace(value, column=value.column + place.column, width=place.width), ""
    return value, f", line {place.line}, column {place.column} of the text"


def _text(data: bytes) -> str:
    if data.startswith(b"\0asm"):
        raise _NoTextError("it is wasm: name a component with path and digest")
    if len(data) > MAX_CHARACTERS:
        raise _NoTextError(f"it has more than {MAX_CHARACTERS:_} bytes, and a WIT file a few thousand")
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise _NoTextError("save it as UTF-8") from None


def _excerpt(text: str, place: Place) -> str:
    """Show the line of a WIT file with a caret under the place."""
    lines = text.split("\n")
    line = lines[place.line - 1].removesuffix("\r") if place.line <= len(lines) else ""
    start = max(0, place.column - 1 - 60)
    shown = line[start : start + 120]
    pad = "".join("\t" if one == "\t" else " " for one in shown[: place.column - 1 - start])
    return f"put this line right\n{shown}\n{pad}{'^' * max(1, min(place.width, 60))}"
