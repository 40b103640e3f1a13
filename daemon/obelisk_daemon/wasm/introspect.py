"""What a loaded component exports and imports, as WIT types: the only reader of wasmtime-py's type objects."""

from typing import Any, Final

import wasmtime
from wasmtime import component as wc
from wasmtime.component import _types as wt

from obelisk_daemon.errors import ComponentError
from obelisk_daemon.execution.wit_types import (
    EnumType,
    FlagsType,
    FunctionType,
    ListType,
    OptionType,
    Primitive,
    PrimitiveName,
    RecordType,
    ResourceType,
    ResultType,
    TupleType,
    VariantType,
    WitType,
)
from obelisk_daemon.ffqn import Ffqn

_PRIMITIVES: Final[dict[type, PrimitiveName]] = {
    wt.Bool: "bool",
    wt.S8: "s8",
    wt.U8: "u8",
    wt.S16: "s16",
    wt.U16: "u16",
    wt.S32: "s32",
    wt.U32: "u32",
    wt.S64: "s64",
    wt.U64: "u64",
    wt.F32: "f32",
    wt.F64: "f64",
    wt.Char: "char",
    wt.String: "string",
}
_MOST_PARTS: Final = 50_000
"""Of all types together, each written out as often as it is used. wasmtime takes up to a million, which would hold the
loop for 8 s; Python's guests have 1,100."""
_COMPOUND: Final = (
    wt.ListType,
    wt.TupleType,
    wt.RecordType,
    wt.VariantType,
    wt.EnumType,
    wt.FlagsType,
    wt.OptionType,
    wt.ResultType,
    wt.OwnType,
    wt.BorrowType,
)


class Interface:
    """An interface: its functions and named types, and the name of each resource in it as the types name it."""

    __slots__ = ("functions", "name", "resources", "types")

    def __init__(self, name: str) -> None:
        self.name = name
        self.functions: list[tuple[str, FunctionType]] = []
        self.resources: list[tuple[str, str]] = []
        self.types: list[tuple[str, WitType]] = []
        """Without resources. Those of `wasi:` are left out: nothing asks for them, and they are many."""


class Introspection:
    """Reads one component. A resource is named `<interface>.<name>` after the first interface that has it.

    Aliases (`headers`, `trailers` and `fields`, or a `pollable` used by another interface) so get one name.
    """

    def __init__(self, engine: wasmtime.Engine, handle: wc.Component) -> None:
        self._engine = engine
        self._resources: list[tuple[Any, str]] = []
        self._place = ""
        self._parts = 0
        component = handle.type
        self.imports = [self._import(name, e.ty) for name, e in component.imports(engine).items()]
        self.exports: dict[Ffqn, FunctionType] = {}
        self.exported: list[Interface] = []
        for name, extern in component.exports(engine).items():
            item = extern.ty
            # componentize-py exports one more instance, `exports`, and QuickJS a function, `init`: not the author's.
            if isinstance(item, wt.ComponentInstanceType) and ":" in name and "/" in name:
                self._export(name, item)

    def _import(self, name: str, item: Any) -> Interface:
        interface = Interface(name)
        if isinstance(item, wt.ValType):
            return interface
        if not isinstance(item, wt.ComponentInstanceType):
            raise ComponentError(
                "unsupported_import",
                f"the component imports {name!r}, which is not an interface: import functions by interfaces only",
            )
        items = [(n, e.ty) for n, e in item.exports(self._engine).items()]
        for n, t in items:
            if isinstance(t, wc.ResourceType):
                interface.resources.append((n, self._resource_name(t) or self._add_resource(name, n, t)))
        self._fill(interface, items)
        return interface

    def _fill(self, interface: Interface, items: list[tuple[str, Any]]) -> None:
        for n, t in items:
            if isinstance(t, wt.FuncType):
                interface.functions.append((n, self._function(f"{interface.name}.{n}", t)))
            elif not interface.name.startswith("wasi:") and (type(t) in _PRIMITIVES or isinstance(t, _COMPOUND)):
                self._place = f"the type {interface.name}.{n}"
                interface.types.append((n, self._type(t)))

    def _add_resource(self, interface: str, name: str, resource: Any) -> str:
        full = f"{interface}.{name}"
        self._resources.append((resource, full))
        return full

    def _resource_name(self, resource: Any) -> str | None:
        return next((name for known, name in self._resources if known == resource), None)

    def _export(self, name: str, instance: Any) -> None:
        interface = Interface(name)
        self._fill(interface, [(n, e.ty) for n, e in instance.exports(self._engine).items()])
        self.exported.append(interface)
        self.exports.update((Ffqn(name, function), of) for function, of in interface.functions)

    def _function(self, place: str, function: Any) -> FunctionType:
        self._place = place
        result = function.result
        return FunctionType(
            tuple((name, self._type(t)) for name, t in function.params),
            None if result is None else self._type(result),
        )

    def _type(self, t: Any) -> WitType:
        self._parts += 1
        if self._parts > _MOST_PARTS:
            raise ComponentError(
                "types_too_large", f"with {self._place}, the component's types come to more than {_MOST_PARTS:_} parts"
            )
        name = _PRIMITIVES.get(type(t))
        if name is not None:
            return Primitive(name)
        match t:
            case wt.ListType():
                return ListType(self._type(t.element))
            case wt.TupleType():
                return TupleType(tuple(self._type(e) for e in t.elements))
            case wt.RecordType():
                return RecordType(tuple((n, self._type(f)) for n, f in t.fields))
            case wt.VariantType():
                return VariantType(tuple((n, self._maybe(c)) for n, c in t.cases))
            case wt.EnumType():
                return EnumType(tuple(t.names))
            case wt.FlagsType():
                return FlagsType(tuple(t.names))
            case wt.OptionType():
                return OptionType(self._type(t.payload))
            case wt.ResultType():
                return ResultType(self._maybe(t.ok), self._maybe(t.err))
            case wt.OwnType() | wt.BorrowType():
                return self._handle(t.ty, owned=isinstance(t, wt.OwnType))
        raise ComponentError(
            "unsupported_type",
            f"{self._place} uses {type(t).__name__}, which this daemon doesn't support: "
            "streams, futures and error contexts can't cross",
        )

    def _maybe(self, t: Any) -> WitType | None:
        return None if t is None else self._type(t)

    def _handle(self, resource: Any, *, owned: bool) -> ResourceType:
        name = self._resource_name(resource)
        if name is None:
            raise ComponentError(
                "guest_resource",
                f"{self._place} uses a resource that the component defines itself: only resources of the host can "
                "cross, so export plain values instead",
            )
        return ResourceType(name, owned)
