"""Types and values that nest: as deep as wasmtime lets them, they cross; what comes to too much is refused."""

from pathlib import Path

import pytest
import wasmtime

from obelisk_daemon.errors import ComponentError
from obelisk_daemon.wasm.compile import Compiler
from obelisk_daemon.wasm.engine import Engines
from obelisk_daemon.wasm.guest import Guest, GuestLimits, Returned
from obelisk_daemon.wasm.linker import LinkedComponent
from tests.integration.wasm.loading import RUN

pytestmark = pytest.mark.anyio
DEEPEST = 96


def nested(levels: int, inner: str) -> str:
    """Write types `$t0` to `$t<levels>`, each made of the one before."""
    return "(type $t0 u8)" + "".join(f"(type $t{level} ({inner.format(level - 1)}))" for level in range(1, levels + 1))


def passing_on(levels: int) -> bytes:
    """Make a guest that hands its parameter, lists in lists, to the host."""
    types = nested(levels, "list $t{}")
    return bytes(
        wasmtime.wat2wasm(f"""(component {types}
      (import "test:host/api" (instance $host
        (alias outer 1 $t{levels} (type $t)) (export "take" (func (param "v" $t) (result u32)))))
      (core module $library
        (memory (export "memory") 1) (global $free (mut i32) (i32.const 8))
        (func (export "realloc") (param i32 i32 i32 i32) (result i32)
          (global.get $free)
          (global.set $free (i32.add (global.get $free)
            (i32.and (i32.add (local.get 3) (i32.const 7)) (i32.const -8))))))
      (core instance $l (instantiate $library))
      (core func $take (canon lower (func $host "take") (memory (core memory $l "memory"))))
      (core module $m
        (import "host" "take" (func $take (param i32 i32) (result i32)))
        (func (export "run") (param i32 i32) (result i32) (call $take (local.get 0) (local.get 1))))
      (core instance $i (instantiate $m (with "host" (instance (export "take" (func $take))))))
      (func $run (param "v" $t{levels}) (result u32) (canon lift (core func $i "run")
        (memory (core memory $l "memory")) (realloc (core func $l "realloc"))))
      (instance $e (export "run" (func $run)))
      (export "test:guest/run" (instance $e)))""")
    )


async def test_a_value_that_nests_as_deep_as_types_may_crosses_in_both_directions(
    engines: Engines, tmp_path: Path
) -> None:
    value: object = b"\1\2"
    for _ in range(DEEPEST - 1):
        value = [value]
    seen: list[object] = []

    def take(_guest: Guest, given: object) -> int:
        seen.append(given)
        return 7

    component = await Compiler(engines, tmp_path).load(passing_on(DEEPEST), "activity")
    linked = LinkedComponent(component, lambda *_: take)
    assert await linked.run(RUN, [value], None, GuestLimits()) == Returned(7)
    assert seen == [value]


async def test_types_that_nest_deeper_are_the_components_error(engines: Engines, tmp_path: Path) -> None:
    for levels in (DEEPEST + 10, 1_000, 50_000):
        with pytest.raises(ComponentError, match="type nesting is too deep"):
            await Compiler(engines, tmp_path).load(passing_on(levels), "activity")


async def test_types_that_come_to_too_much_are_refused_before_they_hold_up_the_daemon(
    engines: Engines, tmp_path: Path
) -> None:
    """A few bytes that double at each level, and would take seconds to read."""
    types = nested(18, "tuple $t{0} $t{0}")
    text = f'(component (import "test:host/api" (instance {types} (export "f" (func (param "v" $t18))))))'
    with pytest.raises(
        ComponentError, match=r"with test:host/api\.f, the component's types come to more than"
    ) as caught:
        await Compiler(engines, tmp_path).load(bytes(wasmtime.wat2wasm(text)), "activity")
    assert caught.value.code == "types_too_large"
