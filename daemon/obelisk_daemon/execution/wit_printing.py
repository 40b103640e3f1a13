"""WIT text: packages of interfaces that `wasm-tools` and the bindings generators of all languages read.

The first package of a text has a header of its own and the others stand in braces, since the tools want exactly one
package that is the file's.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from obelisk_daemon.execution.wit_interfaces import Scope, WitComponent, package_of
from obelisk_daemon.execution.wit_packages import Book, make_book
from obelisk_daemon.execution.wit_types import (
    EnumType,
    FlagsType,
    FunctionType,
    ListType,
    OptionType,
    Primitive,
    RecordType,
    ResourceType,
    ResultType,
    TupleType,
    VariantType,
    WitType,
)

_KEYWORDS: Final = frozenset(
    """as async bool borrow char constructor enum error-context export f32 f64 flags from func future import include
    interface list map option own package record resource result s16 s32 s64 s8 static stream string tuple type u16 u32
    u64 u8 use variant with world""".split()  # noqa: SIM905 - one a line would be a page
)


class WitPackage(msgspec.Struct, frozen=True):
    """A package as a file of its own."""

    name: str
    """`namespace:package[@version]`."""
    text: str


def print_packages(
    components: Sequence[WitComponent], shipped: Mapping[str, str], *, extensions: bool = False
) -> tuple[WitPackage, ...]:
    """Print the exported interfaces of the components, and the packages that these use.

    `shipped` has texts by package name; of these the ones in use are added as they are.
    """
    book = make_book(components, shipped, extensions=extensions)
    by_package: dict[str, list[Scope]] = {}
    for scope in book.scopes.values():
        by_package.setdefault(package_of(scope.name), []).append(scope)
    printed = [WitPackage(name, _package(name, scopes)) for name, scopes in by_package.items()]
    return (*printed, *(WitPackage(name, shipped[name]) for name in _shipped_in_use(book, shipped)))


def one_text(packages: Sequence[WitPackage]) -> str:
    """Put packages into one text."""
    return "\n".join([packages[0].text, *map(_nested, packages[1:])]) if packages else ""


def file_names(packages: Sequence[WitPackage]) -> tuple[str, ...]:
    """Choose a file name for each package: `ns-pkg.wit`, with the version where there are several."""
    plain = [package.name.partition("@")[0].replace(":", "-") for package in packages]
    return tuple(
        f"{name if plain.count(name) == 1 else package.name.replace(':', '_')}.wit"
        for name, package in zip(plain, packages, strict=True)
    )


def identifier(name: str) -> str:
    """Write a name so that it is no keyword."""
    return f"%{name}" if name in _KEYWORDS else name


def _shipped_in_use(book: Book, shipped: Mapping[str, str]) -> list[str]:
    used = set().union(*book.used_packages.values())
    return [name for name in shipped if name in used]


def _nested(package: WitPackage) -> str:
    head, _, body = package.text.partition("\n")
    lines = [f"  {line}" if line else "" for line in body.strip("\n").split("\n")]
    return "\n".join([f"{head.removesuffix(';')} {{", *lines, "}", ""])


def _package(name: str, scopes: Sequence[Scope]) -> str:
    return "\n".join([f"package {_package_name(name)};", *("\n" + _Interface(scope).text() for scope in scopes), ""])


def _package_name(name: str) -> str:
    package, at, version = name.partition("@")
    return ":".join(map(identifier, package.split(":"))) + at + version


class _Interface:
    def __init__(self, scope: Scope) -> None:
        self._scope = scope
        self._package = package_of(scope.name)

    def text(self) -> str:
        scope = self._scope
        name = scope.name.partition("/")[2].partition("@")[0]
        blocks = ["\n".join(self._use(interface, names) for interface, names in scope.uses.items())]
        blocks += [self._definition(name, wit) for name, wit in scope.definitions.items()]
        blocks.append("\n".join(f"{identifier(name)}: {self._function(of)};" for name, of in scope.functions.items()))
        body = "\n\n".join(block for block in blocks if block)
        lines = [f"  {line}" if line else "" for line in body.split("\n")] if body else []
        return "\n".join([*scope.comments, f"interface {identifier(name)} {{", *lines, "}"])

    def _use(self, interface: str, names: Sequence[tuple[str, str]]) -> str:
        package, _, rest = interface.partition("/")
        name, at, version = rest.partition("@")
        path = identifier(name)
        if package_of(interface) != self._package:
            path = f"{':'.join(map(identifier, package.split(':')))}/{path}{at}{version}"
        taken = [identifier(there) + (f" as {identifier(here)}" if here != there else "") for there, here in names]
        return f"use {path}.{{{', '.join(taken)}}};"

    def _definition(self, name: str, wit: WitType) -> str:
        first = next(iter(self._scope.names_of(wit)), name)
        if first != name:
            return f"type {identifier(name)} = {identifier(first)};"
        head = identifier(name)
        match wit:
            case RecordType():
                return _braced(f"record {head}", [f"{identifier(n)}: {self._type(t, n)}" for n, t in wit.fields])
            case VariantType():
                return _braced(f"variant {head}", [identifier(n) + self._payload(t, n) for n, t in wit.cases])
            case EnumType():
                return _braced(f"enum {head}", [*map(identifier, wit.names)])
            case FlagsType():
                return _braced(f"flags {head}", [*map(identifier, wit.names)])
            case _:
                return f"type {head} = {self._type(wit, name)};"

    def _function(self, of: FunctionType) -> str:
        params = ", ".join(f"{identifier(name)}: {self._type(wit, name)}" for name, wit in of.params)
        return f"func({params})" + ("" if of.result is None else f" -> {self._type(of.result, 'result')}")

    def _payload(self, wit: WitType | None, place: str) -> str:
        return "" if wit is None else f"({self._type(wit, place)})"

    def _type(self, wit: WitType, place: str) -> str:
        match wit:
            case Primitive():
                return wit.name
            case ListType():
                return f"list<{self._type(wit.element, place)}>"
            case TupleType():
                return f"tuple<{', '.join(self._type(element, place) for element in wit.elements)}>"
            case OptionType():
                return f"option<{self._type(wit.inner, place)}>"
            case ResultType():
                return self._result(wit, place)
            case ResourceType():
                name = identifier(self._scope.name_of(ResourceType(wit.name, owned=True), ""))
                return name if wit.owned else f"borrow<{name}>"
            case RecordType() | VariantType() | EnumType() | FlagsType():
                return identifier(self._scope.name_of(wit, place))

    def _result(self, wit: ResultType, place: str) -> str:
        if wit.err is None:
            return "result" if wit.ok is None else f"result<{self._type(wit.ok, place)}>"
        return f"result<{'_' if wit.ok is None else self._type(wit.ok, place)}, {self._type(wit.err, 'error')}>"


def _braced(head: str, items: Sequence[str]) -> str:
    return "\n".join([f"{head} {{", *(f"  {item}," for item in items), "}"])
