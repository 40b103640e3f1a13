"""The generated extension interfaces: what a workflow imports to use a function without calling it directly.

For `ns:pkg/ifc@v.f` they are, with the version kept:

- `ns:pkg-obelisk-ext/ifc@v`: `f-submit`, `f-await-next` and `f-get`;
- `ns:pkg-obelisk-schedule/ifc@v`: `f-schedule`, not for stubs;
- `ns:pkg-obelisk-stub/ifc@v`: `f-stub`, for stubs only.

Names and types are those of Obelisk 0.41 (DESIGN.md section 6), so a component built for it links here.
"""

import string
from collections.abc import Mapping
from typing import Final, Literal, TypeAlias

import msgspec

from obelisk_daemon.execution.wit_types import (
    FunctionType,
    OptionType,
    Primitive,
    RecordType,
    ResourceType,
    ResultType,
    VariantType,
    WitType,
)
from obelisk_daemon.ffqn import Ffqn

ExtensionKind: TypeAlias = Literal["submit", "await_next", "get", "schedule", "stub"]

PACKAGES: Final[Mapping[str, tuple[ExtensionKind, ...]]] = {
    "-obelisk-ext": ("submit", "await_next", "get"),
    "-obelisk-schedule": ("schedule",),
    "-obelisk-stub": ("stub",),
}
"""What a package's name ends with, and the extensions in it."""

SUFFIXES: Final[Mapping[ExtensionKind, str]] = {
    "submit": "-submit",
    "await_next": "-await-next",
    "get": "-get",
    "schedule": "-schedule",
    "stub": "-stub",
}
"""What a function's name ends with."""

TYPES_EXECUTION: Final = "obelisk:types/execution@5.0.0"
TYPES_TIME: Final = "obelisk:types/time@5.0.0"
TYPES_JOIN_SET: Final = "obelisk:types/join-set@5.0.0"

_STRING: Final = Primitive("string")
_U32: Final = Primitive("u32")
_U64: Final = Primitive("u64")

EXECUTION_ID: Final = RecordType((("id", _STRING),))
DELAY_ID: Final = EXECUTION_ID
FUNCTION: Final = RecordType((("interface-name", _STRING), ("function-name", _STRING)))
RESPONSE_ID: Final = VariantType((("execution-id", EXECUTION_ID), ("delay-id", DELAY_ID)))
FUNCTION_MISMATCH: Final = RecordType(
    (("specified-function", FUNCTION), ("actual-function", OptionType(FUNCTION)), ("actual-id", RESPONSE_ID))
)
AWAIT_NEXT_ERROR: Final = VariantType((("all-processed", None), ("function-mismatch", FUNCTION_MISMATCH)))
GET_ERROR: Final = VariantType((("function-mismatch", FUNCTION_MISMATCH), ("not-found-in-processed-responses", None)))
STUB_ERROR: Final = VariantType((("execution-not-found", None), ("type-check-error", _STRING), ("conflict", None)))
DURATION: Final = VariantType(
    (("milliseconds", _U64), ("seconds", _U64), ("minutes", _U32), ("hours", _U32), ("days", _U32))
)
DATETIME: Final = RecordType((("seconds", _U64), ("nanoseconds", _U32)))
SCHEDULE_AT: Final = VariantType((("now", None), ("at", DATETIME), ("in", DURATION)))
JOIN_SET: Final = ResourceType(f"{TYPES_JOIN_SET}.join-set", owned=True)
JOIN_SET_BORROW: Final = ResourceType(f"{TYPES_JOIN_SET}.join-set", owned=False)


class Extension(msgspec.Struct, frozen=True):
    """An extension function, and the function it is made for."""

    kind: ExtensionKind
    target: Ffqn


def is_extension_interface(interface: str) -> bool:
    """Tell if the interface is in one of the packages that the host generates."""
    return interface.partition("/")[0].endswith(tuple(PACKAGES))


def base_interface(interface: str) -> str | None:
    """Give the interface that an extension interface is made for, or None if it is no such one."""
    package, slash, rest = interface.partition("/")
    for suffix in PACKAGES:
        base = package.removesuffix(suffix)
        if slash and base != package and base.partition(":")[2]:
            return f"{base}/{rest}"
    return None


def find_extension(interface: str, function: str) -> Extension | None:
    """Read an imported function's name; None if it can't be an extension.

    Whether anybody exports the target, and whether it is a stub where that matters, is for the caller to check.
    """
    base = base_interface(interface)
    if base is None:
        return None
    package = interface.partition("/")[0]
    for suffix, kinds in PACKAGES.items():
        if package.endswith(suffix):
            return _named(base, function, kinds)
    return None


def extension_interface(interface: str, kind: ExtensionKind) -> str:
    """Give the interface with the extensions of this kind for the functions of an interface."""
    package, _, rest = interface.partition("/")
    suffix = next(suffix for suffix, kinds in PACKAGES.items() if kind in kinds)
    return f"{package}{suffix}/{rest}"


def extension_type(kind: ExtensionKind, base: FunctionType) -> FunctionType:
    """Give the type of an extension of a function of type `base`.

    `await_next` and `get` give the base's result inside a `result`. `stub` takes it after the execution id; without
    one it takes the execution id only.
    """
    match kind:
        case "submit":
            return FunctionType(((_free("join-set", base), JOIN_SET_BORROW), *base.params), EXECUTION_ID)
        case "await_next":
            return FunctionType((("join-set", JOIN_SET_BORROW),), ResultType(base.result, AWAIT_NEXT_ERROR))
        case "get":
            return FunctionType((("execution-id", EXECUTION_ID),), ResultType(base.result, GET_ERROR))
        case "schedule":
            return FunctionType(((_free("schedule-at", base), SCHEDULE_AT), *base.params), EXECUTION_ID)
        case "stub":
            params: tuple[tuple[str, WitType], ...] = (("execution-id", EXECUTION_ID),)
            if base.result is not None:
                params = (*params, ("execution-result", base.result))
            return FunctionType(params, ResultType(None, STUB_ERROR))


def extension_kinds(*, is_stub: bool) -> tuple[ExtensionKind, ...]:
    """Give the extensions that a function has: a stub is never scheduled, and only a stub is given its result."""
    return ("submit", "await_next", "get", "stub" if is_stub else "schedule")


def extensions_of(ffqn: Ffqn, base: FunctionType, *, is_stub: bool) -> dict[Ffqn, FunctionType]:
    """Give all extensions of a function with their types."""
    return {
        Ffqn(extension_interface(ffqn.interface, kind), ffqn.function + SUFFIXES[kind]): extension_type(kind, base)
        for kind in extension_kinds(is_stub=is_stub)
    }


def _named(base: str, function: str, kinds: tuple[ExtensionKind, ...]) -> Extension | None:
    for kind in kinds:
        name = function.removesuffix(SUFFIXES[kind])
        if name and name != function:
            return Extension(kind, Ffqn(base, name))
    return None


def _free(name: str, base: FunctionType) -> str:
    """Choose a parameter's name: WIT has no two alike, so `join-set-a` beside the function's own `join-set`."""
    taken = {param for param, _ in base.params}
    names = (name, *(f"{name}-{letter}" for letter in string.ascii_lowercase))
    return next((one for one in names if one not in taken), name)
