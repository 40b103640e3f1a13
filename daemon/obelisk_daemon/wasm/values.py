"""Conversion of numbers, text and lists between wasmtime's values and plain values (`execution.wit_types`).

`lift(address, crossing)` reads a value and never frees: arguments of a host call belong to wasmtime and die when the
callback returns, so they are lifted inside it. `lower(value, address, crossing)` writes one, after checking its
shape: a wrong value is a clean error, since wasmtime aborts the process on some (a surrogate as a char, text that
isn't UTF-8).

A parent is written before its children, and every box and list starts as `false`: so the tree is a valid value at each
moment, and one delete of its root frees a half-written one too.
"""

from collections.abc import Callable
from typing import Any, Final, NamedTuple, TypeAlias

from obelisk_daemon.errors import CallerError
from obelisk_daemon.execution.wit_types import PrimitiveName
from obelisk_daemon.wasm.abi import (
    F32,
    F64,
    I8,
    I16,
    I32,
    I64,
    K_BOOL,
    K_CHAR,
    K_F32,
    K_F64,
    K_LIST,
    K_S8,
    K_S16,
    K_S32,
    K_S64,
    K_STRING,
    K_U8,
    K_U16,
    K_U32,
    K_U64,
    MEM,
    U16,
    U32,
    U64,
    VALUE,
    list_new,
    name_new,
)


class Crossing:
    """What a conversion knows of the guest: its store, and how many bytes may still be lifted in this call."""

    __slots__ = ("ctx", "left")
    ctx: int
    left: int


Lift: TypeAlias = Callable[[int, Crossing], Any]
Lower: TypeAlias = Callable[[Any, int, Crossing], None]


class Conversion(NamedTuple):
    """Both ways of one type."""

    lift: Lift
    lower: Lower
    weight: int
    """Bytes that one value counts for at least, in a list."""


class ValueShapeError(CallerError):
    """A value for a guest isn't of its WIT type; nothing has reached the guest. `wit_json` names the place."""

    def __init__(self, expected: str, value: object) -> None:
        super().__init__("wrong_value_shape", f"expected {expected}, got {type(value).__name__} {value!r:.80}")


class ValueSizeError(Exception):
    """A guest gave a value over its limit."""


NAN: Final = float("nan")
_INTEGERS: Final[dict[PrimitiveName, tuple[int, memoryview, int, int, int]]] = {
    "s8": (K_S8, I8, 0, -(1 << 7), (1 << 7) - 1),
    "u8": (K_U8, MEM, 0, 0, (1 << 8) - 1),
    "s16": (K_S16, I16, 1, -(1 << 15), (1 << 15) - 1),
    "u16": (K_U16, U16, 1, 0, (1 << 16) - 1),
    "s32": (K_S32, I32, 2, -(1 << 31), (1 << 31) - 1),
    "u32": (K_U32, U32, 2, 0, (1 << 32) - 1),
    "s64": (K_S64, I64, 3, -(1 << 63), (1 << 63) - 1),
    "u64": (K_U64, U64, 3, 0, (1 << 64) - 1),
}


def primitive(name: PrimitiveName) -> Conversion:
    """Build the conversion of a type without parts."""
    if name in _INTEGERS:
        return _integer(name)
    match name:
        case "bool":
            return _boolean()
        case "f32":
            return _float(K_F32, F32, 2)
        case "f64":
            return _float(K_F64, F64, 3)
        case "char":
            return _char()
        case _:
            return _string()


def _integer(name: PrimitiveName) -> Conversion:
    kind, view, shift, low, high = _INTEGERS[name]

    def lift(a: int, g: Crossing) -> int:  # noqa: ARG001 - all lifts are called alike
        return view[(a + 8) >> shift]

    def lower(v: Any, a: int, g: Crossing) -> None:  # noqa: ARG001
        if type(v) is not int or not low <= v <= high:
            raise ValueShapeError(name, v)
        view[(a + 8) >> shift] = v
        MEM[a] = kind

    return Conversion(lift, lower, 8)


def _boolean() -> Conversion:
    def lift(a: int, g: Crossing) -> bool:  # noqa: ARG001
        return MEM[a + 8] != 0

    def lower(v: Any, a: int, g: Crossing) -> None:  # noqa: ARG001
        if v is not True and v is not False:
            raise ValueShapeError("bool", v)
        MEM[a + 8] = v
        MEM[a] = K_BOOL

    return Conversion(lift, lower, 8)


def _float(kind: int, view: "memoryview[float]", shift: int) -> Conversion:
    def lift(a: int, g: Crossing) -> float:  # noqa: ARG001
        v = view[(a + 8) >> shift]
        return v if v == v else NAN  # one NaN for all: the bits of another would be a difference in replay

    def lower(v: Any, a: int, g: Crossing) -> None:  # noqa: ARG001
        if type(v) is not float:
            raise ValueShapeError("float", v)
        view[(a + 8) >> shift] = v
        MEM[a] = kind

    return Conversion(lift, lower, 8)


def _char() -> Conversion:
    def lift(a: int, g: Crossing) -> str:  # noqa: ARG001
        return chr(U32[(a + 8) >> 2])

    def lower(v: Any, a: int, g: Crossing) -> None:  # noqa: ARG001
        if type(v) is not str or len(v) != 1 or 0xD800 <= ord(v) < 0xE000:
            raise ValueShapeError("char", v)
        U32[(a + 8) >> 2] = ord(v)
        MEM[a] = K_CHAR

    return Conversion(lift, lower, 8)


def _string() -> Conversion:
    def lift(a: int, g: Crossing) -> str:
        i = (a + 8) >> 3
        n = U64[i]
        g.left -= n
        if g.left < 0:
            raise ValueSizeError
        p = U64[i + 1]
        return str(MEM[p : p + n], "utf-8")

    def lower(v: Any, a: int, g: Crossing) -> None:  # noqa: ARG001
        if type(v) is not str:
            raise ValueShapeError("string", v)
        try:
            b = v.encode()
        except UnicodeEncodeError:
            raise ValueShapeError("string without surrogates", v) from None
        name_new(a + 8, len(b), b)
        MEM[a] = K_STRING

    return Conversion(lift, lower, 8)


def bytes_list() -> Conversion:
    """Build the conversion of `list<u8>`, which is bytes.

    wasmtime holds each byte as a whole value: they are read and written by a strided view, in one go.
    """

    def lift(a: int, g: Crossing) -> bytes:
        i = (a + 8) >> 3
        n = U64[i]
        if not n:
            return b""
        g.left -= n
        if g.left < 0:
            raise ValueSizeError
        p = U64[i + 1] + 8
        return MEM[p : p + (n << 5) : VALUE].tobytes()

    def lower(v: Any, a: int, g: Crossing) -> None:  # noqa: ARG001
        if type(v) is not bytes:
            if not isinstance(v, bytearray | memoryview):
                raise ValueShapeError("bytes for list<u8>", v)
            v = bytes(v)
        n = len(v)
        list_new(a + 8, n)
        MEM[a] = K_LIST
        if n:
            p = U64[(a + 16) >> 3]
            MEM[p : p + (n << 5) : VALUE] = b"\x02" * n
            MEM[p + 8 : p + 8 + (n << 5) : VALUE] = v

    return Conversion(lift, lower, 8)


def any_list(element: Conversion) -> Conversion:
    """Build the conversion of `list<element>`."""
    lift_one, lower_one, weight = element

    def lift(a: int, g: Crossing) -> list[Any]:
        i = (a + 8) >> 3
        n = U64[i]
        if not n:
            return []
        g.left -= n * weight
        if g.left < 0:
            raise ValueSizeError
        p = U64[i + 1]
        return [lift_one(x, g) for x in range(p, p + n * VALUE, VALUE)]

    def lower(v: Any, a: int, g: Crossing) -> None:
        if type(v) is not list and type(v) is not tuple:
            raise ValueShapeError("list", v)
        list_new(a + 8, len(v))
        MEM[a] = K_LIST
        p = U64[(a + 16) >> 3]
        for x in v:
            lower_one(x, p, g)
            p += VALUE

    return Conversion(lift, lower, 8)
