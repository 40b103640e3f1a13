"""Interfaces with the names of their types, as they are put into WIT text (`wit_packages`, `wit_printing`).

Types are compared by their structure, as everywhere in the daemon. So where an interface has two names for one
structure, the second is printed as an alias of the first, and either may stand where the author wrote the other.
"""

from collections.abc import Iterator
from itertools import chain, count
from typing import Final, TypeAlias

import msgspec

from obelisk_daemon.execution.wit_types import (
    EnumType,
    FlagsType,
    FunctionType,
    ListType,
    OptionType,
    RecordType,
    ResourceType,
    ResultType,
    TupleType,
    VariantType,
    WitType,
)

Nominal: TypeAlias = RecordType | VariantType | EnumType | FlagsType
"""What WIT can't write in place: it needs a name."""


class WitInterface(msgspec.Struct, frozen=True):
    """An interface: (name, type) of its named types and functions, in declared order."""

    name: str
    """`namespace:package/interface[@version]`."""
    types: tuple[tuple[str, WitType], ...] = ()
    functions: tuple[tuple[str, FunctionType], ...] = ()


class WitComponent(msgspec.Struct, frozen=True):
    """What is told of a component in WIT. `imports` are interfaces whose types its exports may use."""

    name: str
    kind: str
    exports: tuple[WitInterface, ...]
    imports: tuple[WitInterface, ...] = ()


class Scope:
    """One interface of the text: what it uses, what it defines, and the local name of each structure."""

    def __init__(self, name: str, reserved: frozenset[str]) -> None:
        self.name: Final = name
        self.comments: list[str] = []
        self.uses: dict[str, list[tuple[str, str]]] = {}
        """By interface: (name there, name here)."""
        self.definitions: dict[str, WitType] = {}
        self.functions: dict[str, FunctionType] = {}
        self._names: dict[WitType, list[str]] = {}
        self._local: dict[tuple[str, WitType], str] = {}
        self._taken = set(reserved)

    def knows(self, wit: WitType) -> bool:
        """Tell if the structure has a name here."""
        return wit in self._names

    def names_of(self, wit: WitType) -> tuple[str, ...]:
        """Give the names of a structure here, the first of which the others are aliases of."""
        return tuple(self._names.get(wit, ()))

    def name_of(self, wit: WitType, place: str) -> str:
        """Choose the name of a structure here: the place's own, such as a parameter's, where it is one of several."""
        names = self._names[wit]
        return place if place in names else names[0]

    def local(self, name: str, wit: WitType) -> str | None:
        """Give the name here of a type that was declared as `name`."""
        return self._local.get((name, wit))

    def use(self, interface: str, name: str, wit: WitType) -> str:
        """Take a type over from another interface; answers its name here."""
        known = self._local.get((name, wit))
        if known is not None:
            return known
        here = self._register(name, wit)
        self._names.setdefault(wit, []).append(here)
        self.uses.setdefault(interface, []).append((name, here))
        return here

    def define(self, name: str, wit: WitType) -> str:
        """Define a type; answers its name here, which is another one where the name is taken."""
        here = self._register(name, wit)
        if isinstance(wit, Nominal):
            self._names.setdefault(wit, []).append(here)
        self.definitions[here] = wit
        return here

    def _register(self, name: str, wit: WitType) -> str:
        names = chain((name,), (f"{name}-n{number}" for number in count(2)))
        here = next(one for one in names if one not in self._taken)
        self._taken.add(here)
        self._local[name, wit] = here
        return here


def parts(wit: WitType) -> Iterator[tuple[str, WitType]]:
    """Give the types directly inside a type, each with the name of its place; empty where it has none."""
    match wit:
        case ListType():
            yield "", wit.element
        case OptionType():
            yield "", wit.inner
        case TupleType():
            yield from (("", element) for element in wit.elements)
        case RecordType():
            yield from wit.fields
        case VariantType():
            yield from ((name, payload) for name, payload in wit.cases if payload is not None)
        case ResultType():
            yield from ((name, side) for name, side in (("", wit.ok), ("error", wit.err)) if side is not None)


def places(function: FunctionType) -> Iterator[tuple[str, WitType]]:
    """Give the types of a function's parameters and of its result, each with the name of its place."""
    yield from function.params
    if function.result is not None:
        yield "result", function.result


def resources_in(wit: WitType) -> Iterator[ResourceType]:
    """Give every resource inside a type."""
    if isinstance(wit, ResourceType):
        yield wit
    for _, part in parts(wit):
        yield from resources_in(part)


def narrowed(interface: WitInterface, function: str) -> WitInterface:
    """Leave one function of an interface, and the types that it needs."""
    functions = tuple((name, of) for name, of in interface.functions if name == function)
    needed = {wit for _, of in functions for _, place in places(of) for wit in _all_in(place)}
    types = tuple((name, wit) for name, wit in interface.types if isinstance(wit, Nominal) and wit in needed)
    return WitInterface(interface.name, types, functions)


def _all_in(wit: WitType) -> Iterator[WitType]:
    yield wit
    for _, part in parts(wit):
        yield from _all_in(part)


def package_of(interface: str) -> str:
    """Give the package of an interface: `ns:pkg/ifc@1.0.0` is in `ns:pkg@1.0.0`."""
    package, _, rest = interface.partition("/")
    _, at, version = rest.partition("@")
    return f"{package}{at}{version}"


def owner_of(resource: ResourceType) -> tuple[str, str]:
    """Give the interface of a resource and its name there."""
    interface, _, name = resource.name.rpartition(".")
    return interface, name
