"""WIT types as immutable values: what a function takes and gives, without any wasmtime handle.

They are read from a component once, stored as part of its description, and drive three things: the check of
parameters, the conversion to and from JSON (`wit_json`), and the codec over wasmtime's values (`wasm.values`).

A value of a WIT type inside the daemon is a *plain value*, in the same shape as its JSON (DESIGN.md section 7), with
three exceptions that keep it lossless and fast: `list<u8>` is `bytes`, NaN and infinities are Python floats, and a host
resource is the `int` that names it in its guest's table. So:

- bool, int, float; str for string and char;
- list for list and tuple; a list of names, in declared order, for flags;
- dict for a record, with snake_case names in declared order;
- a case without payload is its snake_case name, one with payload is `{case: value}`;
- a result is `{"ok": v}` or `{"err": v}`, v None without payload;
- an option is None or the value, and `{"some": v}` directly inside another option.
"""

from typing import Final, Literal, TypeAlias

import msgspec

PrimitiveName: TypeAlias = Literal[
    "bool", "s8", "u8", "s16", "u16", "s32", "u32", "s64", "u64", "f32", "f64", "char", "string"
]


class Primitive(msgspec.Struct, frozen=True, tag="primitive"):
    """A type without parts."""

    name: PrimitiveName


class ListType(msgspec.Struct, frozen=True, tag="list"):
    """`list<element>`; `list<u8>` is held as bytes."""

    element: "WitType"


class TupleType(msgspec.Struct, frozen=True, tag="tuple"):
    """`tuple<...>`."""

    elements: tuple["WitType", ...]


class RecordType(msgspec.Struct, frozen=True, tag="record"):
    """A record: (WIT name, type) in declared order."""

    fields: tuple[tuple[str, "WitType"], ...]


class VariantType(msgspec.Struct, frozen=True, tag="variant"):
    """A variant: (WIT name, payload or None) in declared order."""

    cases: tuple[tuple[str, "WitType | None"], ...]


class EnumType(msgspec.Struct, frozen=True, tag="enum"):
    """An enum: WIT names in declared order."""

    names: tuple[str, ...]


class FlagsType(msgspec.Struct, frozen=True, tag="flags"):
    """Flags: WIT names in declared order."""

    names: tuple[str, ...]


class OptionType(msgspec.Struct, frozen=True, tag="option"):
    """`option<inner>`."""

    inner: "WitType"


class ResultType(msgspec.Struct, frozen=True, tag="result"):
    """`result<ok, err>`; a missing side has no payload."""

    ok: "WitType | None" = None
    err: "WitType | None" = None


class ResourceType(msgspec.Struct, frozen=True, tag="resource"):
    """A handle. It can't cross between components, and has no JSON."""

    name: str
    owned: bool


WitType: TypeAlias = (
    Primitive
    | ListType
    | TupleType
    | RecordType
    | VariantType
    | EnumType
    | FlagsType
    | OptionType
    | ResultType
    | ResourceType
)


class FunctionType(msgspec.Struct, frozen=True):
    """A function: (WIT name, type) of each parameter, and the result if it has one."""

    params: tuple[tuple[str, WitType], ...]
    result: WitType | None = None


BYTES: Final = ListType(Primitive("u8"))


def snake(name: str) -> str:
    """Write a WIT name as it stands in JSON: `execution-failed` becomes `execution_failed`; a `%` escape is dropped."""
    return name.removeprefix("%").replace("-", "_")


def same_shape(one: FunctionType, other: FunctionType) -> bool:
    """Tell if the two have the same types, whatever their parameters are called: values cross by position."""
    return one.result == other.result and [of for _, of in one.params] == [of for _, of in other.params]
