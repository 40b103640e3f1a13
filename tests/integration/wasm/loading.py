"""Components for tests: our small guests, and WAT written in the test."""

from pathlib import Path

from wasmtime import component as wc

from obelisk_daemon.ffqn import Ffqn
from obelisk_daemon.wasm.component import Component
from obelisk_daemon.wasm.engine import Engines
from obelisk_daemon.wasm.recipe import EngineKind

GUESTS = Path(__file__).parent / "guests"
FIBO = Ffqn("testing:fibo/fibo", "fibo")
FIBOA = Ffqn("testing:fibo/workflow", "fiboa")
RUN = Ffqn("test:guest/run", "run")


def load(engines: Engines, name: str, kind: EngineKind = "activity") -> Component:
    handle = wc.Component.from_file(engines.engine(kind), GUESTS / f"{name}.wasm")
    return Component(engines, kind, f"sha256:{name}", handle)


def from_wat(engines: Engines, text: str, kind: EngineKind = "activity") -> Component:
    return Component(engines, kind, "sha256:wat", wc.Component(engines.engine(kind), text))


def computing(body: str, parts: str = "(memory 1)") -> str:
    """Write a component whose `test:guest/run.run: func() -> u32` has the given body."""
    return f"""(component
      (core module $m {parts} (func $run (export "run") (result i32) {body}))
      (core instance $i (instantiate $m))
      (func $run (result u32) (canon lift (core func $i "run")))
      (instance $e (export "run" (func $run)))
      (export "test:guest/run" (instance $e)))"""


def calling(body: str, locals_: str = "") -> str:
    """Write a component that imports `test:host/api.ask: func(n: u32) -> u32` as `$ask`, with a body for `run`."""
    return f"""(component
      (import "test:host/api" (instance $host (export "ask" (func (param "n" u32) (result u32)))))
      (core func $ask (canon lower (func $host "ask")))
      (core module $m
        (import "host" "ask" (func $ask (param i32) (result i32)))
        (func (export "run") (result i32) {locals_} {body}))
      (core instance $i (instantiate $m (with "host" (instance (export "ask" (func $ask))))))
      (func $run (result u32) (canon lift (core func $i "run")))
      (instance $e (export "run" (func $run)))
      (export "test:guest/run" (instance $e)))"""


def counting(turns: int) -> str:
    """Write a loop of so many turns, for `calling` with `COUNTER`."""
    return f"""(local.set $i (i32.const {turns}))
      (loop $again (br_if $again (local.tee $i (i32.sub (local.get $i) (i32.const 1)))))"""


COUNTER = "(local $i i32)"

THINGS = """(component
  (import "test:host/things" (instance $host
    (export "thing" (type $thing (sub resource)))
    (export "[constructor]thing" (func (result (own $thing))))
    (export "both" (func (param "a" (borrow $thing)) (param "b" (borrow $thing)) (result u32)))
    (export "eat" (func (param "a" (own $thing))))))
  (alias export $host "thing" (type $thing))
  (core func $new (canon lower (func $host "[constructor]thing")))
  (core func $both (canon lower (func $host "both")))
  (core func $eat (canon lower (func $host "eat")))
  (core func $drop (canon resource.drop $thing))
  (core module $m
    (import "host" "new" (func $new (result i32)))
    (import "host" "both" (func $both (param i32 i32) (result i32)))
    (import "host" "eat" (func $eat (param i32)))
    (import "host" "drop" (func $drop (param i32)))
    (func (export "run") (result i32) (local $a i32) (local $b i32) (local $sum i32)
      (local.set $a (call $new)) (local.set $b (call $new))
      (local.set $sum (call $both (local.get $a) (local.get $b)))
      (call $drop (local.get $a))
      (call $eat (local.get $b))
      (drop (call $new))
      (local.get $sum)))
  (core instance $i (instantiate $m (with "host" (instance
    (export "new" (func $new)) (export "both" (func $both)) (export "eat" (func $eat)) (export "drop" (func $drop))))))
  (func $run (result u32) (canon lift (core func $i "run")))
  (instance $e (export "run" (func $run)))
  (export "test:guest/run" (instance $e)))"""
"""Makes three things: the host borrows two at once; one is dropped, one given back, one left for the end."""
