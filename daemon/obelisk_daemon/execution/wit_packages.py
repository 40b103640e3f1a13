"""Which interfaces, types and `use` lines the WIT text of components needs.

A component doesn't tell where it took a type from. What is sure is that it names the type's interface among its
imports or exports, before the one that uses it; so a type of the same name and structure there is taken to be it.
Should that be another one, the text is still right: linking compares structures.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from obelisk_daemon.execution.wit_extensions import (
    AWAIT_NEXT_ERROR,
    EXECUTION_ID,
    GET_ERROR,
    SCHEDULE_AT,
    STUB_ERROR,
    TYPES_EXECUTION,
    TYPES_TIME,
    base_interface,
    extensions_of,
)
from obelisk_daemon.execution.wit_interfaces import (
    Nominal,
    Scope,
    WitComponent,
    WitInterface,
    owner_of,
    package_of,
    parts,
    places,
    resources_in,
)
from obelisk_daemon.execution.wit_types import FunctionType, ResourceType, WitType
from obelisk_daemon.ffqn import Ffqn

_OF_EXTENSIONS: Final[Mapping[WitType, tuple[str, str]]] = {
    EXECUTION_ID: (TYPES_EXECUTION, "execution-id"),
    AWAIT_NEXT_ERROR: (TYPES_EXECUTION, "await-next-extension-error"),
    GET_ERROR: (TYPES_EXECUTION, "get-extension-error"),
    STUB_ERROR: (TYPES_EXECUTION, "stub-error"),
    SCHEDULE_AT: (TYPES_TIME, "schedule-at"),
}


class Book:
    """The interfaces of a text. `shipped` are the packages whose text is there already, such as `obelisk:types`."""

    def __init__(self, shipped: Iterable[str]) -> None:
        self.scopes: dict[str, Scope] = {}
        self.used_packages: dict[str, set[str]] = {}
        """By package: the packages it uses."""
        self._used_interfaces: dict[str, set[str]] = {}
        self._shipped = frozenset(shipped)
        self._reserved: dict[str, set[str]] = {}

    def is_shipped(self, interface: str) -> bool:
        """Tell if the interface's text is there already."""
        return package_of(interface) in self._shipped

    def reserve(self, interface: WitInterface) -> None:
        """Keep the names of functions from being given to types. To be done for all before the first `scope`."""
        self._reserved.setdefault(interface.name, set()).update(name for name, _ in interface.functions)

    def scope(self, interface: str) -> Scope:
        """Give the interface's scope, an empty one at first."""
        if interface not in self.scopes:
            self.scopes[interface] = Scope(interface, frozenset(self._reserved.get(interface, ())))
        return self.scopes[interface]

    def may_use(self, user: str, used: str) -> bool:
        """Tell if an interface may use another one: neither interfaces nor packages may use each other in a circle."""
        if _reaches(self._used_interfaces, used, user):
            return False
        mine, other = package_of(user), package_of(used)
        return mine == other or not _reaches(self.used_packages, other, mine)

    def use(self, scope: Scope, interface: str, name: str, wit: WitType) -> str:
        """Take a type over from another interface."""
        self._used_interfaces.setdefault(scope.name, set()).add(interface)
        if package_of(interface) != package_of(scope.name):
            self.used_packages.setdefault(package_of(scope.name), set()).add(package_of(interface))
        return scope.use(interface, name, wit)


def _reaches(used: Mapping[str, set[str]], start: str, target: str) -> bool:
    seen: set[str] = set()
    waiting = [start]
    while waiting:
        one = waiting.pop()
        if one == target:
            return True
        if one not in seen:
            seen.add(one)
            waiting += used.get(one, ())
    return False


def make_book(components: Sequence[WitComponent], shipped: Iterable[str], *, extensions: bool = False) -> Book:
    """Collect what the exported interfaces of the components need; with `extensions` also the generated ones."""
    book = Book(shipped)
    for component in components:
        for interface in component.exports:
            book.reserve(interface)
    for component in components:
        _ComponentReader(book, component).read(extensions=extensions)
    return book


class _ComponentReader:
    def __init__(self, book: Book, component: WitComponent) -> None:
        self._book = book
        self._component = component
        self._interfaces: dict[str, WitInterface] = {}
        self._origins: dict[tuple[str, WitType], str] = {}
        for interface in (*component.imports, *component.exports):
            self._interfaces.setdefault(interface.name, interface)
            for name, wit in interface.types:
                if isinstance(wit, Nominal):
                    self._origins.setdefault((name, wit), interface.name)

    def read(self, *, extensions: bool) -> None:
        exports = [one for one in self._component.exports if not one.name.startswith(("wasi:", "obelisk:"))]
        for interface in exports:
            self._export(interface)
        if extensions:
            for interface in exports:
                for function, of in interface.functions:
                    if self._can_be_written(of):
                        self._extend(Ffqn(interface.name, function), of)

    def _export(self, interface: WitInterface) -> None:
        scope = self._book.scope(interface.name)
        scope.comments.append(f'/// Of the {self._component.kind} "{self._component.name}".')
        for name, wit in interface.types:
            if all(self._book.is_shipped(owner_of(one)[0]) for one in resources_in(wit)):
                self._declare(interface, name, wit)
        for name, function in interface.functions:
            if not self._can_be_written(function):
                scope.comments.append(f"/// Without {name}, which takes or gives a resource.")
                continue
            scope.functions[name] = function
            for place, wit in places(function):
                self._ensure(interface, wit, place, f"{name}-{place}")

    def _can_be_written(self, function: FunctionType) -> bool:
        resources = [one for _, wit in places(function) for one in resources_in(wit)]
        return all(self._book.is_shipped(owner_of(one)[0]) for one in resources)

    def _declare(self, interface: WitInterface, name: str, wit: WitType) -> str:
        """Put a named type into its interface's scope; answers its name there."""
        scope = self._book.scope(interface.name)
        known = scope.local(name, wit)
        if known is not None:
            return known
        origin = self._origins.get((name, wit), interface.name)
        if origin != interface.name and self._book.may_use(interface.name, origin):
            there = name if self._book.is_shipped(origin) else self._declare(self._interfaces[origin], name, wit)
            return self._book.use(scope, origin, there, wit)
        if isinstance(wit, ResourceType):
            self._use_resource(scope, wit)
        for place, part in parts(wit):
            self._ensure(interface, part, place, f"{name}-{place or 'item'}")
        return scope.define(name, wit)

    def _ensure(self, interface: WitInterface, wit: WitType, place: str, invented: str) -> None:
        """See that all inside a type can be named in the interface's scope."""
        scope = self._book.scope(interface.name)
        if isinstance(wit, ResourceType):
            self._use_resource(scope, wit)
        elif not isinstance(wit, Nominal):
            for inner_place, part in parts(wit):
                self._ensure(interface, part, inner_place or place, f"{invented}-{inner_place}".removesuffix("-"))
        elif not scope.knows(wit):
            names = [name for name, of in interface.types if of == wit]
            self._declare(interface, place if place in names else next(iter(names), invented), wit)

    def _use_resource(self, scope: Scope, resource: ResourceType) -> None:
        interface, name = owner_of(resource)
        self._book.use(scope, interface, name, ResourceType(resource.name, owned=True))

    def _extend(self, ffqn: Ffqn, of: FunctionType) -> None:
        for extension, type_ in extensions_of(ffqn, of, is_stub=self._component.kind == "stub").items():
            if extension.interface not in self._book.scopes:
                comment = f"/// Generated for `{base_interface(extension.interface)}`."
                self._book.scope(extension.interface).comments.append(comment)
            scope = self._book.scope(extension.interface)
            scope.functions[extension.function] = type_
            for place, wit in places(type_):
                self._ensure_extension(scope, ffqn.interface, wit, place)

    def _ensure_extension(self, scope: Scope, base: str, wit: WitType, place: str) -> None:
        if isinstance(wit, ResourceType):
            self._use_resource(scope, wit)
        elif not isinstance(wit, Nominal):
            for inner_place, part in parts(wit):
                self._ensure_extension(scope, base, part, inner_place or place)
        elif not scope.knows(wit):
            interface, name = _OF_EXTENSIONS.get(wit) or (base, self._book.scope(base).name_of(wit, place))
            self._book.use(scope, interface, name, wit)
