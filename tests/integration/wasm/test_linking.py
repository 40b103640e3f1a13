"""What a component tells of itself, and how its imports are bound."""

import gc

import pytest
from wasmtime import component as wc

from obelisk_daemon.errors import ComponentError
from obelisk_daemon.execution.wit_types import BYTES, FunctionType, OptionType, Primitive, ResourceType, ResultType
from obelisk_daemon.ffqn import Ffqn
from obelisk_daemon.wasm.callbacks import IMPORTS
from obelisk_daemon.wasm.component import Component
from obelisk_daemon.wasm.engine import Engines
from obelisk_daemon.wasm.guest import GuestLimits, Trapped
from obelisk_daemon.wasm.linker import LinkedComponent
from tests.integration.wasm.loading import FIBO, RUN, THINGS, calling, from_wat, load

pytestmark = pytest.mark.anyio


def test_exports_and_imports_are_read_as_wit_types(engines: Engines) -> None:
    component = load(engines, "fibo-workflow")
    fibo = FunctionType((("n", Primitive("u8")),), ResultType(Primitive("u64"), Primitive("string")))
    assert [(str(i), i.type) for i in component.imports] == [("testing:fibo/fibo.fibo", fibo)]
    assert list(component.exports) == [Ffqn("testing:fibo/workflow", "fiboa")]
    echo = load(engines, "echo").exports
    assert echo[Ffqn("test:echo/api", "f-bytes")].result == BYTES
    assert echo[Ffqn("test:echo/api", "f-optopt")].result == OptionType(OptionType(Primitive("string")))


def test_resources_are_named_after_the_interface_that_defines_them(engines: Engines) -> None:
    types = {i.function: i.type for i in from_wat(engines, THINGS).imports}
    assert types["[constructor]thing"].result == ResourceType("test:host/things.thing", owned=True)
    assert types["both"].params[0] == ("a", ResourceType("test:host/things.thing", owned=False))


ROOT_EXPORTS = """(component
  (core module $m (func (export "f") (result i32) i32.const 1))
  (core instance $i (instantiate $m))
  (func $f (result u32) (canon lift (core func $i "f")))
  (instance $e (export "f" (func $f)))
  (export "init" (func $f))
  (export "exports" (instance $e))
  (export "a:b/c@1.2.3" (instance $e)))"""


def test_what_toolchains_export_for_themselves_is_left_out(engines: Engines) -> None:
    assert list(from_wat(engines, ROOT_EXPORTS).exports) == [Ffqn("a:b/c@1.2.3", "f")]


GUEST_RESOURCE = """(component
  (type $thing' (resource (rep i32)))
  (core func $new (canon resource.new $thing'))
  (core module $m (import "" "new" (func $new (param i32) (result i32)))
    (func (export "f") (result i32) (call $new (i32.const 1))))
  (core instance $i (instantiate $m (with "" (instance (export "new" (func $new))))))
  (func $f' (result (own $thing')) (canon lift (core func $i "f")))
  (component $c
    (import "thing" (type $thing (sub resource)))
    (import "f" (func $f (result (own $thing))))
    (export $exported "thing" (type $thing))
    (export "f" (func $f) (func (result (own $exported)))))
  (instance $e (instantiate $c (with "thing" (type $thing')) (with "f" (func $f'))))
  (export "a:b/c" (instance $e)))"""


def test_a_resource_of_the_component_itself_can_not_cross(engines: Engines) -> None:
    with pytest.raises(ComponentError, match=r"a:b/c\.f uses a resource that the component defines itself") as caught:
        from_wat(engines, GUEST_RESOURCE)
    assert caught.value.code == "guest_resource"


def test_an_import_outside_of_interfaces_is_refused(engines: Engines) -> None:
    with pytest.raises(ComponentError, match="imports 'f', which is not an interface") as caught:
        from_wat(engines, '(component (import "f" (func (result u32))))')
    assert caught.value.code == "unsupported_import"


def test_all_missing_imports_are_named_at_once(engines: Engines) -> None:
    with pytest.raises(ComponentError) as caught:
        LinkedComponent(from_wat(engines, THINGS), lambda _i, function, _t: print if function == "eat" else None)
    assert caught.value.code == "missing_import"
    assert "test:host/things.[constructor]thing, test:host/things.both" in str(caught.value)
    assert "eat" not in str(caught.value)


async def test_a_wasi_function_that_nobody_gives_stops_the_guest_only_when_called(engines: Engines) -> None:
    text = calling("(call $ask (i32.const 7))").replace("test:host/api", "wasi:nope/nope@0.2.0")
    linked = LinkedComponent(from_wat(engines, text), lambda *_: None)
    outcome = await linked.run(RUN, [], None, GuestLimits())
    assert isinstance(outcome, Trapped)
    assert (outcome.kind, outcome.message) == (
        "trap",
        "wasi:nope/nope@0.2.0.ask is not available to guests of this daemon",
    )


def test_a_forgotten_linked_component_frees_its_host_functions(engines: Engines) -> None:
    gc.collect()
    before = len(IMPORTS)
    linked = LinkedComponent(from_wat(engines, THINGS), lambda *_: print)
    assert len(IMPORTS) == before + 3
    del linked
    gc.collect()
    assert len(IMPORTS) == before


async def test_a_component_outlives_the_name_it_was_loaded_by(engines: Engines) -> None:
    handle = wc.Component(engines.engine("activity"), calling("(call $ask (i32.const 7))"))
    linked = LinkedComponent(Component(engines, "activity", "sha256:x", handle), lambda *_: lambda _g, n: n)
    del handle
    gc.collect()
    assert (await linked.run(RUN, [], None, GuestLimits())).value == 7  # type: ignore[union-attr]


def test_the_two_kinds_of_engine_have_different_artifacts(engines: Engines) -> None:
    assert engines.config_hash("activity") != engines.config_hash("workflow")
    assert FIBO in load(engines, "fibo-activity", "workflow").exports
