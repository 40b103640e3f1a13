"""WIT text to types: single types as a manifest writes them, and simple WIT files.

Types are structural (`wit_types`), so names are looked up and gone. Everything here may be written by people who
are not trusted: depth and size are bounded, also of what a few lines would expand to.
"""

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, cast

from obelisk_daemon.execution.wit_document import DocumentTree, FunctionTree, Interface, Use, read_document
from obelisk_daemon.execution.wit_interfaces import WitInterface
from obelisk_daemon.execution.wit_syntax import DEEPEST, PRIMITIVES, Generic, Named, Shape, TypeTree, read_type
from obelisk_daemon.execution.wit_tokens import WitError
from obelisk_daemon.execution.wit_types import (
    EnumType,
    FlagsType,
    FunctionType,
    ListType,
    OptionType,
    Primitive,
    PrimitiveName,
    RecordType,
    ResultType,
    TupleType,
    VariantType,
    WitType,
)
from obelisk_daemon.ffqn import Ffqn

_MOST_PARTS: Final = 100_000
"""How many types a text may come to, with all names looked up."""
_ELSEWHERE: Final[Mapping[str, str]] = {
    **{f"i{bits}": f"s{bits}" for bits in (8, 16, 32, 64)},
    **{f"int{bits}": f"s{bits}" for bits in (8, 16, 32, 64)},
    **{f"uint{bits}": f"u{bits}" for bits in (8, 16, 32, 64)},
    **dict.fromkeys(("float32", "float"), "f32"),
    **dict.fromkeys(("float64", "double", "number"), "f64"),
    **dict.fromkeys(("int", "integer"), "s64"),
    **dict.fromkeys(("str", "text"), "string"),
    **dict.fromkeys(("bytes", "byte-array"), "list<u8>"),
    "boolean": "bool",
    "byte": "u8",
    "array": "list",
}
"""What types of WIT are called in other languages, and in older versions of WIT."""


def parse_type(text: str, named: Mapping[str, WitType] | None = None) -> WitType:
    """Read a type, as `wit_text.to_wit` writes it; `named` are types that it may use by name.

    Raises:
        WitError: it is none; the manifest's or the file's author must correct it.
    """
    return _Types(named or {}).resolve(read_type(text))


def parse_function(params: Sequence[tuple[str, str]], returns: str | None) -> FunctionType:
    """Read a function from its parameters, (name, type) each, and the type of its result, None for no result.

    Raises:
        WitError: of the first type that is none; its place is one in the text of that type.
    """
    result = None if returns is None else parse_type(returns)
    return FunctionType(tuple((name, parse_type(text)) for name, text in params), result)


def parse_document(text: str) -> dict[Ffqn, FunctionType]:
    """Read a WIT file with one package; give all functions of its interfaces, in order.

    Worlds are passed over. Resources, asynchronous functions and `use` of other packages are refused.

    Raises:
        WitError: it is none, or has what can't be used.
    """
    return {Ffqn(interface.name, name): of for interface in parse_interfaces(text) for name, of in interface.functions}


def parse_interfaces(text: str) -> tuple[WitInterface, ...]:
    """Read the same as `parse_document`, with the names of types; those that an interface uses are in it, too."""
    return tuple(_Document(read_document(text)).interfaces())


class _Types:
    """Looks up the names in trees of types."""

    def __init__(self, named: Mapping[str, WitType]) -> None:
        self._named = named
        self._parts = 0
        self._depth = 0

    def resolve(self, tree: TypeTree) -> WitType:
        """Give the type that a tree stands for."""
        self._parts += 1
        self._depth += 1
        if self._depth > DEEPEST or self._parts > _MOST_PARTS:
            bound = f"nest more than {DEEPEST} deep" if self._depth > DEEPEST else f"come to more than {_MOST_PARTS:_}"
            raise WitError(f"with all names looked up, the types {bound}", tree.place)
        match tree:
            case Named():
                resolved = self._look_up(tree)
            case Generic():
                resolved = self._generic(tree)
            case Shape():
                resolved = self._shape(tree)
        self._depth -= 1
        return resolved

    def by_name(self, tree: Named) -> WitType | None:
        """Give a type that isn't one of WIT itself, or None."""
        return self._named.get(tree.name)

    def known(self) -> Iterable[str]:
        """Give the names that `by_name` knows."""
        return self._named

    def _look_up(self, tree: Named) -> WitType:
        if tree.name in PRIMITIVES:
            return Primitive(cast("PrimitiveName", tree.name))
        found = self.by_name(tree)
        if found is None:
            raise WitError(f'there is no type "{tree.name[:80]}"{self._meant(tree.name)}', tree.place)
        return found

    def _meant(self, name: str) -> str:
        meant = _ELSEWHERE.get(name.lower())
        near = difflib.get_close_matches(name.lower(), [*PRIMITIVES, *self.known()], 1)
        meant = meant or (near[0] if near else None)
        return f'; did you mean "{meant}"?' if meant else ""

    def _generic(self, tree: Generic) -> WitType:
        arguments = [None if one is None else self.resolve(one) for one in tree.arguments]
        if tree.kind == "result":
            return ResultType(*arguments)
        types = [one for one in arguments if one is not None]
        match tree.kind:
            case "list":
                return ListType(*types)
            case "option":
                return OptionType(*types)
            case _:
                return TupleType(tuple(types))

    def _shape(self, tree: Shape) -> WitType:
        names = tuple(name for name, _ in tree.members)
        match tree.kind:
            case "enum":
                return EnumType(names)
            case "flags":
                return FlagsType(names)
            case "record":
                return RecordType(tuple((name, self.resolve(of)) for name, of in tree.members if of is not None))
            case _:
                cases = ((name, None if of is None else self.resolve(of)) for name, of in tree.members)
                return VariantType(tuple(cases))


class _Document(_Types):
    """Looks up the names in a WIT file, anew wherever one is used, so that all it comes to is counted."""

    def __init__(self, document: DocumentTree) -> None:
        super().__init__({})
        self._document = document
        self._interface: Interface = {}
        self._looking_up: list[tuple[int, str]] = []

    def interfaces(self) -> Iterator[WitInterface]:
        """Look up everything, also what no function uses."""
        document = self._document
        for name, interface in document.interfaces.items():
            self._interface = interface
            types: list[tuple[str, WitType]] = []
            functions: list[tuple[str, FunctionType]] = []
            for item_name, item in interface.items():
                if isinstance(item, FunctionTree):
                    functions.append((item_name, self._function(item)))
                else:
                    types.append((item_name, self.resolve(Named(item_name, item.place))))
            yield WitInterface(f"{document.package}/{name}{document.version}", tuple(types), tuple(functions))

    def by_name(self, tree: Named) -> WitType | None:
        """Give a type of the interface that is looked at, or one that it uses from another."""
        key = (id(self._interface), tree.name)
        item = self._interface.get(tree.name)
        if item is None or isinstance(item, FunctionTree):
            return None
        if key in self._looking_up:
            raise WitError(f'the type "{tree.name}" contains itself', tree.place)
        self._looking_up.append(key)
        resolved = self._used(item) if isinstance(item, Use) else self.resolve(item)
        self._looking_up.pop()
        return resolved

    def known(self) -> Iterable[str]:
        """Give the types of the interface that is looked at."""
        return [name for name, item in self._interface.items() if not isinstance(item, FunctionTree)]

    def _used(self, use: Use) -> WitType:
        other = self._document.interfaces.get(use.interface)
        if other is None:
            raise WitError(f'the file has no interface "{use.interface}"', use.place)
        if isinstance(other.get(use.name), FunctionTree | None):
            raise WitError(f'the interface "{use.interface}" has no type "{use.name}"', use.place)
        here, self._interface = self._interface, other
        resolved = self.resolve(Named(use.name, use.place))
        self._interface = here
        return resolved

    def _function(self, tree: FunctionTree) -> FunctionType:
        params = tuple((name, self.resolve(of)) for name, of in tree.params)
        return FunctionType(params, None if tree.result is None else self.resolve(tree.result))
