"""Conversion of types with parts, and of resources; the rules are those of `values`."""

import ctypes
import weakref
from collections.abc import Sequence
from typing import Any

from obelisk_daemon.errors import ComponentError
from obelisk_daemon.execution.wit_types import snake
from obelisk_daemon.wasm.abi import (
    ENTRY,
    K_ENUM,
    K_FLAGS,
    K_OPTION,
    K_RECORD,
    K_RESOURCE,
    K_RESULT,
    K_TUPLE,
    K_VARIANT,
    MEM,
    NAME,
    U64,
    VALUE,
    any_to_host,
    flags_new,
    host_delete,
    host_new,
    host_rep,
    host_to_any,
    name_new,
    new_box,
    record_copy,
    record_new,
    take_error,
    tuple_new,
    value_delete,
)
from obelisk_daemon.wasm.values import Conversion, Crossing, Lift, Lower, ValueShapeError


class _RecordTemplate:
    """A record with its names written and its values `false`, copied for each record lowered: one allocation in C.

    Whoever holds the template may copy it; the memory goes with the last holder.
    """

    def __init__(self, names: Sequence[str]) -> None:
        buffer = (ctypes.c_ubyte * VALUE)()
        self.address = ctypes.addressof(buffer)
        record_new(self.address + 8, len(names))
        MEM[self.address] = K_RECORD
        entries = U64[(self.address + 16) >> 3]
        for i, name in enumerate(names):
            text = name.encode()
            name_new(entries + i * ENTRY, len(text), text)
        weakref.finalize(self, _delete_template, buffer)


def _delete_template(buffer: "ctypes.Array[ctypes.c_ubyte]") -> None:
    value_delete(ctypes.addressof(buffer))


def record(fields: Sequence[tuple[str, Conversion]]) -> Conversion:
    """Build the conversion of a record: a dict of all its fields, with their names in snake_case."""
    template = _RecordTemplate([name for name, _ in fields])
    lifts = [(snake(name), i * ENTRY + 16, c.lift) for i, (name, c) in enumerate(fields)]
    lowers = [(snake(name), i * ENTRY + 16, c.lower) for i, (name, c) in enumerate(fields)]
    names = {snake(name) for name, _ in fields}

    def lift(a: int, g: Crossing) -> dict[str, Any]:
        p = U64[(a + 16) >> 3]
        return {name: lift_one(p + offset, g) for name, offset, lift_one in lifts}

    def lower(v: Any, a: int, g: Crossing) -> None:
        if type(v) is not dict or v.keys() != names:
            raise ValueShapeError(f"record of {', '.join(sorted(names))}", v)
        record_copy(a + 8, template.address + 8)
        MEM[a] = K_RECORD
        p = U64[(a + 16) >> 3]
        for name, offset, lower_one in lowers:
            lower_one(v[name], p + offset, g)

    return Conversion(lift, lower, max(8, sum(c.weight for _, c in fields)))


def tuple_of(elements: Sequence[Conversion]) -> Conversion:
    """Build the conversion of a tuple: a list of as many values."""
    lifts = [(i * VALUE, c.lift) for i, c in enumerate(elements)]
    lowers = [c.lower for c in elements]
    n = len(elements)

    def lift(a: int, g: Crossing) -> list[Any]:
        p = U64[(a + 16) >> 3]
        return [lift_one(p + offset, g) for offset, lift_one in lifts]

    def lower(v: Any, a: int, g: Crossing) -> None:
        if (type(v) is not list and type(v) is not tuple) or len(v) != n:
            raise ValueShapeError(f"tuple of {n}", v)
        tuple_new(a + 8, n)
        MEM[a] = K_TUPLE
        p = U64[(a + 16) >> 3]
        for lower_one, x in zip(lowers, v, strict=True):
            lower_one(x, p, g)
            p += VALUE

    return Conversion(lift, lower, max(8, sum(c.weight for c in elements)))


def variant(cases: Sequence[tuple[str, Conversion | None]]) -> Conversion:
    """Build the conversion of a variant: `"case"`, or `{case: payload}` where the case has one."""
    by_text: dict[bytes, tuple[str, Lift | None]] = {
        name.encode(): (snake(name), c.lift if c else None) for name, c in cases
    }
    by_name: dict[str, tuple[bytes, Lower | None]] = {
        snake(name): (name.encode(), c.lower if c else None) for name, c in cases
    }

    def lift(a: int, g: Crossing) -> Any:
        i = (a + 8) >> 3
        p = U64[i + 1]
        name, lift_one = by_text[MEM[p : p + U64[i]].tobytes()]
        return name if lift_one is None else {name: lift_one(U64[i + 2], g)}

    def lower(v: Any, a: int, g: Crossing) -> None:
        name, payload = _case_of(v)
        text, lower_one = by_name.get(name, (None, None))
        if text is None or (lower_one is None) is not (type(v) is str):
            raise ValueShapeError(f"variant of {', '.join(by_name)}", v)
        i = (a + 8) >> 3
        name_new(a + 8, len(text), text)
        if lower_one is None:
            U64[i + 2] = 0
            MEM[a] = K_VARIANT
        else:
            box = U64[i + 2] = new_box()
            MEM[a] = K_VARIANT
            lower_one(payload, box, g)

    return Conversion(lift, lower, 8)


def _case_of(v: Any) -> tuple[str, Any]:
    if type(v) is str:
        return v, None
    if type(v) is dict and len(v) == 1:
        for name, payload in v.items():
            if type(name) is str:
                return name, payload
    raise ValueShapeError("a case, or one case with its payload", v)


def enum(names: Sequence[str]) -> Conversion:
    """Build the conversion of an enum: its name in snake_case."""
    by_text = {name.encode(): snake(name) for name in names}
    by_name = {snake(name): name.encode() for name in names}

    def lift(a: int, g: Crossing) -> str:  # noqa: ARG001
        i = (a + 8) >> 3
        p = U64[i + 1]
        return by_text[MEM[p : p + U64[i]].tobytes()]

    def lower(v: Any, a: int, g: Crossing) -> None:  # noqa: ARG001
        text = by_name.get(v) if type(v) is str else None
        if text is None:
            raise ValueShapeError(f"enum of {', '.join(by_name)}", v)
        name_new(a + 8, len(text), text)
        MEM[a] = K_ENUM

    return Conversion(lift, lower, 8)


def option(inner: Conversion, *, nested: bool) -> Conversion:
    """Build the conversion of an option: None or the value; `{"some": v}` where the value is an option itself."""
    lift_one, lower_one, _ = inner

    def lift(a: int, g: Crossing) -> Any:
        p = U64[(a + 8) >> 3]
        if not p:
            return None
        return {"some": lift_one(p, g)} if nested else lift_one(p, g)

    def lower(v: Any, a: int, g: Crossing) -> None:
        if v is None:
            U64[(a + 8) >> 3] = 0
            MEM[a] = K_OPTION
            return
        if nested:
            if type(v) is not dict or v.keys() != {"some"}:
                raise ValueShapeError('{"some": value}', v)
            v = v["some"]
        box = U64[(a + 8) >> 3] = new_box()
        MEM[a] = K_OPTION
        lower_one(v, box, g)

    return Conversion(lift, lower, 8)


def result(ok: Conversion | None, err: Conversion | None) -> Conversion:
    """Build the conversion of a result: `{"ok": v}` or `{"err": v}`, with None for a side without payload."""
    lift_ok, lift_err = (ok.lift if ok else None), (err.lift if err else None)
    lower_ok, lower_err = (ok.lower if ok else None), (err.lower if err else None)

    def lift(a: int, g: Crossing) -> dict[str, Any]:
        if MEM[a + 8]:
            return {"ok": lift_ok(U64[(a + 16) >> 3], g) if lift_ok else None}
        return {"err": lift_err(U64[(a + 16) >> 3], g) if lift_err else None}

    def lower(v: Any, a: int, g: Crossing) -> None:
        if type(v) is not dict or len(v) != 1 or not ("ok" in v or "err" in v):
            raise ValueShapeError('{"ok": value} or {"err": value}', v)
        is_ok = "ok" in v
        payload = v["ok"] if is_ok else v["err"]
        lower_one = lower_ok if is_ok else lower_err
        if lower_one is None and payload is not None:
            raise ValueShapeError("null, as this side has no payload", v)
        MEM[a + 8] = is_ok
        box = U64[(a + 16) >> 3] = new_box() if lower_one else 0
        MEM[a] = K_RESULT
        if lower_one:
            lower_one(payload, box, g)

    return Conversion(lift, lower, 8)


def flags(names: Sequence[str]) -> Conversion:
    """Build the conversion of flags: a list of their names, in declared order when lifted, in any when lowered."""
    by_text = {name.encode(): snake(name) for name in names}
    by_name = {snake(name): name.encode() for name in names}

    def lift(a: int, g: Crossing) -> list[str]:  # noqa: ARG001
        i = (a + 8) >> 3
        p = U64[i + 1]
        return [
            by_text[MEM[U64[(x + 8) >> 3] : U64[(x + 8) >> 3] + U64[x >> 3]].tobytes()]
            for x in range(p, p + NAME * U64[i], NAME)
        ]

    def lower(v: Any, a: int, g: Crossing) -> None:  # noqa: ARG001
        if type(v) is not list and type(v) is not tuple:
            raise ValueShapeError(f"list of flags {', '.join(by_name)}", v)
        texts = [by_name.get(x) if type(x) is str else None for x in v]
        if None in texts or len(set(texts)) != len(texts):
            raise ValueShapeError(f"list of flags {', '.join(by_name)}, each once", v)
        flags_new(a + 8, len(texts))
        MEM[a] = K_FLAGS
        p = U64[(a + 16) >> 3]
        for text in texts:
            name_new(p, len(text or b""), text)
            p += NAME

    return Conversion(lift, lower, 8)


def resource(resource_id: int, *, owned: bool) -> Conversion:
    """Build the conversion of a handle to a host resource: the number that names it in its guest's table.

    Lifting an owned handle takes it from the guest; lifting a borrowed one gives the borrow back, which wasmtime
    insists on for each call.
    """

    def lift(a: int, g: Crossing) -> int:
        out = ctypes.c_void_p()
        error = any_to_host(g.ctx, U64[(a + 8) >> 3], ctypes.addressof(out))
        if error:
            raise ComponentError("wrong_resource", take_error(error))
        rep: int = host_rep(out.value)
        host_delete(out.value)
        return rep

    def lower(v: Any, a: int, g: Crossing) -> None:
        if type(v) is not int or not 0 <= v < 1 << 32:
            raise ValueShapeError("the number of a resource", v)
        host = host_new(owned, v, resource_id)
        out = ctypes.c_void_p()
        error = host_to_any(g.ctx, host, ctypes.addressof(out))
        host_delete(host)
        if error:
            raise ComponentError("wrong_resource", take_error(error))
        U64[(a + 8) >> 3] = out.value or 0
        MEM[a] = K_RESOURCE

    return Conversion(lift, lower, 8)
