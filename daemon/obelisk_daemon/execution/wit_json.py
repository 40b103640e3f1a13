"""Plain values (`wit_types`) from JSON and to JSON, by the rules of DESIGN.md section 7.

Input is checked against the WIT type; nothing is ever rounded away: a number is taken for another kind of number only
where it stays the same number. The one exception is a decimal fraction for `f32`, which has to be the nearest one.
Output needs no type, since a plain value has the shape of its JSON.
"""

import json
import math
import struct
from collections.abc import Sequence
from typing import Any, Final

from obelisk_daemon.errors import CallerError
from obelisk_daemon.execution.wit_text import to_wit
from obelisk_daemon.execution.wit_types import (
    BYTES,
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
    snake,
)

_RANGES: Final = {
    **{f"s{bits}": (-(1 << bits - 1), (1 << bits - 1) - 1) for bits in (8, 16, 32, 64)},
    **{f"u{bits}": (0, (1 << bits) - 1) for bits in (8, 16, 32, 64)},
}
_EXACT: Final = 1 << 53
"""Below it every whole number is a float of its own: above, a float may have been another number before."""
_SPECIAL: Final = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
_F32: Final = struct.Struct("<f")  # in the standard size, it refuses what is too large
_SHOWN: Final = 60


class _Mismatch(Exception):  # noqa: N818 - becomes a CallerError once its path is known
    """What doesn't fit; each level on the way out adds its part of the path."""

    def __init__(self, expected: str, found: object, hint: str = "") -> None:
        super().__init__()
        self.expected = expected
        self.found = found
        self.hint = hint
        self.path: list[str] = []


def params_from_json(function: FunctionType, params: object) -> list[Any]:
    """Check the parameters of a call, one JSON array, and give them as plain values.

    Raises:
        CallerError: `type_check_failed`, naming the parameter, the place inside it, the WIT type and what was found.
    """
    if not isinstance(params, list):
        raise CallerError(
            "type_check_failed", f"parameters are one JSON array of ({_names(function)}), got {_show(params)}"
        )
    if len(params) != len(function.params):
        raise CallerError(
            "type_check_failed", f"expected {len(function.params)} parameters ({_names(function)}), got {len(params)}"
        )
    return [from_json(t, value, f"parameter {name}") for (name, t), value in zip(function.params, params, strict=True)]


def result_from_json(function: FunctionType, value: object) -> Any:
    """Check what a function returns; None where it returns nothing.

    Raises:
        CallerError: `type_check_failed`.
    """
    if function.result is not None:
        return from_json(function.result, value, "result")
    if value is not None:
        raise CallerError("type_check_failed", f"result: the function returns nothing: null, got {_show(value)}")
    return None


def from_json(wit: WitType, value: object, path: str) -> Any:
    """Check one JSON value against its type and give it as a plain value; `path` names it in an error.

    Raises:
        CallerError: `type_check_failed`.
    """
    try:
        return _read(wit, value)
    except _Mismatch as mismatch:
        place = path + "".join(reversed(mismatch.path))
        hint = f" ({mismatch.hint})" if mismatch.hint else ""
        raise CallerError(
            "type_check_failed", f"{place}: expected {mismatch.expected}, got {_show(mismatch.found)}{hint}"
        ) from None


def _names(function: FunctionType) -> str:
    return ", ".join(f"{name}: {to_wit(t)}" for name, t in function.params)


def _show(value: object) -> str:
    text = json.dumps(value, default=str)
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "..."


def _read(wit: WitType, value: Any) -> Any:
    match wit:
        case Primitive():
            return _read_primitive(wit, value)
        case ListType():
            return _read_bytes(value) if wit == BYTES else _read_list(wit, value)
        case TupleType():
            return _read_tuple(wit, value)
        case RecordType():
            return _read_record(wit, value)
        case VariantType():
            return _read_variant(wit, value)
        case EnumType():
            return _name_in(wit, wit.names, value)
        case FlagsType():
            return _read_flags(wit, value)
        case OptionType():
            return _read_option(wit, value)
        case ResultType():
            return _read_result(wit, value)
        case ResourceType():
            raise _Mismatch(to_wit(wit), value, "a resource has no JSON")


def _read_primitive(wit: Primitive, value: Any) -> Any:
    if wit.name in _RANGES:
        return _read_integer(wit.name, value)
    match wit.name:
        case "bool":
            if not isinstance(value, bool):
                raise _Mismatch("bool", value)
            return value
        case "f32" | "f64":
            return _read_float(wit.name, value)
    if not isinstance(value, str):
        raise _Mismatch(wit.name, value)
    if wit.name == "char" and len(value) != 1:
        raise _Mismatch("char", value, "a string of one character")
    if not value.isascii() and any("\ud800" <= c <= "\udfff" for c in value):
        raise _Mismatch(wit.name, value, "a lone surrogate is not text")
    return value


def _read_integer(name: str, value: Any) -> int:
    if isinstance(value, float) and value.is_integer() and abs(value) < _EXACT:
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        raise _Mismatch(name, value)
    low, high = _RANGES[name]
    if not low <= value <= high:
        raise _Mismatch(name, value, f"from {low} to {high}")
    return value


def _read_float(name: str, value: Any) -> float:
    if isinstance(value, str) and value in _SPECIAL:
        return _SPECIAL[value]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _Mismatch(name, value, 'or "NaN", "Infinity", "-Infinity"' if isinstance(value, str) else "")
    try:
        number = float(value)
        if name == "f32":
            number = _F32.unpack(_F32.pack(number))[0]
    except OverflowError:
        raise _Mismatch(name, value, "too large") from None
    if isinstance(value, int) and number != value:
        raise _Mismatch(name, value, "it can't be held exactly")
    return number


def _read_bytes(value: Any) -> bytes:
    if not isinstance(value, list):
        raise _Mismatch("list<u8>", value)
    try:
        if all(type(byte) is int for byte in value):
            return bytes(value)
    except ValueError:
        pass  # one is out of range: found below, with its index
    return bytes(_read_list(BYTES, value))


def _read_list(wit: ListType, value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise _Mismatch(to_wit(wit), value)
    element = wit.element
    read: list[Any] = []
    try:
        for item in value:
            read.append(_read(element, item))  # noqa: PERF401 - its length says where the bad one is
    except _Mismatch as mismatch:
        mismatch.path.append(f"[{len(read)}]")
        raise
    return read


def _read_tuple(wit: TupleType, value: Any) -> list[Any]:
    if not isinstance(value, list) or len(value) != len(wit.elements):
        raise _Mismatch(to_wit(wit), value, f"an array of {len(wit.elements)}")
    read: list[Any] = []
    try:
        for element, item in zip(wit.elements, value, strict=True):
            read.append(_read(element, item))
    except _Mismatch as mismatch:
        mismatch.path.append(f"[{len(read)}]")
        raise
    return read


def _read_record(wit: RecordType, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _Mismatch(to_wit(wit), value)
    given = {snake(name): item for name, item in value.items()}
    if len(given) != len(value):
        raise _Mismatch(to_wit(wit), value, "a field is given twice, with - and with _")
    read = {}
    for kebab, field in wit.fields:
        name = snake(kebab)
        if name not in given and not isinstance(field, OptionType):
            raise _Mismatch(to_wit(wit), value, f"field {name} is missing")
        try:
            read[name] = _read(field, given.pop(name, None))
        except _Mismatch as mismatch:
            mismatch.path.append(f".{name}")
            raise
    if given:
        raise _Mismatch(to_wit(wit), value, f"unknown field {', '.join(sorted(given))}")
    return read


def _read_variant(wit: VariantType, value: Any) -> Any:
    if isinstance(value, str):
        bare = tuple(name for name, payload in wit.cases if payload is None)
        return _name_in(wit, bare, value)
    if not isinstance(value, dict) or len(value) != 1:
        raise _Mismatch(to_wit(wit), value)
    ((given, item),) = value.items()
    name = snake(given)
    payload = next((p for case, p in wit.cases if snake(case) == name), None)
    if payload is None:
        raise _Mismatch(to_wit(wit), value, "no such case with a payload")
    try:
        return {name: _read(payload, item)}
    except _Mismatch as mismatch:
        mismatch.path.append(f".{name}")
        raise


def _name_in(wit: WitType, names: Sequence[str], value: Any) -> str:
    if isinstance(value, str):
        name = snake(value)
        if any(snake(known) == name for known in names):
            return name
    raise _Mismatch(to_wit(wit), value)


def _read_flags(wit: FlagsType, value: Any) -> list[str]:
    if not isinstance(value, list):
        raise _Mismatch(to_wit(wit), value, "an array of names")
    given = {_name_in(wit, wit.names, item) for item in value}
    if len(given) != len(value):
        raise _Mismatch(to_wit(wit), value, "a name is given twice")
    return [snake(name) for name in wit.names if snake(name) in given]


def _read_option(wit: OptionType, value: Any) -> Any:
    if value is None:
        return None
    if not isinstance(wit.inner, OptionType):
        return _read(wit.inner, value)
    if not isinstance(value, dict) or value.keys() != {"some"}:
        raise _Mismatch(to_wit(wit), value, 'null or {"some": value}')
    return {"some": _read(wit.inner, value["some"])}


def _read_result(wit: ResultType, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict) or len(value) != 1 or not value.keys() <= {"ok", "err"}:
        raise _Mismatch(to_wit(wit), value, '{"ok": value} or {"err": value}')
    side = "ok" if "ok" in value else "err"
    payload = wit.ok if side == "ok" else wit.err
    item = value[side]
    if payload is None:
        if item is not None:
            raise _Mismatch(to_wit(wit), value, f"{side} has no payload: null")
        return {side: None}
    try:
        return {side: _read(payload, item)}
    except _Mismatch as mismatch:
        mismatch.path.append(f".{side}")
        raise


def to_json(value: Any) -> Any:
    """Turn a plain value into what a JSON encoder takes: bytes become numbers, NaN and infinities strings."""
    match value:
        case dict():
            return {name: to_json(item) for name, item in value.items()}
        case list() | tuple():
            return [to_json(item) for item in value]
        case bytes():
            return list(value)
        case float() if not math.isfinite(value):
            return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value


def same(left: Any, right: Any) -> bool:
    """Compare two plain values of one type exactly: NaN equals itself, 0.0 differs from -0.0."""
    match left, right:
        case (float(), float()):
            alike = left == right and math.copysign(1, left) == math.copysign(1, right)
            return alike or (math.isnan(left) and math.isnan(right))
        case (dict(), dict()):
            return left.keys() == right.keys() and all(same(item, right[name]) for name, item in left.items())
        case (list() | tuple(), list() | tuple()):
            return len(left) == len(right) and all(map(same, left, right))
    return type(left) is type(right) and bool(left == right)
