"""Guests of the executor's tests that `components/` hasn't got, as WAT."""

from typing import Literal

from tests.hostile.guests import writing

LOGGING = """(component
  (import "obelisk:log/log@1.0.0" (instance $log (export "info" (func (param "message" string)))))
  (import "testing:fibo/fibo" (instance $fibo
    (export "fibo" (func (param "n" u8) (result (result u64 (error string)))))))
  (core module $library
    (memory (export "memory") 1)
    (global $free (mut i32) (i32.const 1024))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32)
      (global.set $free (i32.and (i32.add (global.get $free) (i32.const 7)) (i32.const -8)))
      (global.get $free)
      (global.set $free (i32.add (global.get $free) (local.get 3)))))
  (core instance $m (instantiate $library))
  (core func $info (canon lower (func $log "info") (memory (core memory $m "memory"))))
  (core func $fibo (canon lower (func $fibo "fibo")
    (memory (core memory $m "memory")) (realloc (core func $m "realloc"))))
  (core module $main
    (import "host" "memory" (memory 1))
    (import "host" "info" (func $info (param i32 i32)))
    (import "host" "fibo" (func $fibo (param i32 i32)))
    (data (i32.const 0) "beginafter")
    (func (export "run") (param $calls i32) (param $spin i32) (result i64)
      (call $info (i32.const 0) (i32.const 5))
      (block $done
        (loop $next
          (br_if $done (i32.eqz (local.get $calls)))
          (call $fibo (i32.const 10) (i32.const 64))
          (call $info (i32.const 5) (i32.const 5))
          (local.set $calls (i32.sub (local.get $calls) (i32.const 1)))
          (br $next)))
      (if (local.get $spin) (then (loop $for_ever (br $for_ever))))
      (i64.const 7)))
  (core instance $i (instantiate $main (with "host" (instance
    (export "memory" (memory $m "memory")) (export "info" (func $info)) (export "fibo" (func $fibo))))))
  (func $run (param "calls" u32) (param "spin" bool) (result u64) (canon lift (core func $i "run")))
  (instance $e (export "run" (func $run)))
  (export "testing:logging/logging" (instance $e)))"""
"""A workflow: logs `begin`, then `after` each of so many calls of `fibo`; then it spins for ever, or returns 7."""

TRAPPING = """(component
  (core module $main
    (memory (export "memory") 1)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
    (func (export "fiboa") (param i32 i32) (result i32) unreachable))
  (core instance $i (instantiate $main))
  (func $fiboa (param "n" u8) (param "iterations" u32) (result (result u64 (error string)))
    (canon lift (core func $i "fiboa") (memory (core memory $i "memory")) (realloc (core func $i "realloc"))))
  (instance $e (export "fiboa" (func $fiboa)))
  (export "testing:fibo/workflow" (instance $e)))"""
"""The workflow `fiboa`, which traps before it asks for anything."""

LEAVING = """(component
  (import "obelisk:types/join-set@5.0.0" (instance $sets (export "join-set" (type (sub resource)))))
  (alias export $sets "join-set" (type $join-set))
  (import "obelisk:types/execution@5.0.0" (instance $executions
    (type $id (record (field "id" string))) (export "execution-id" (type (eq $id)))))
  (alias export $executions "execution-id" (type $execution-id))
  (import "obelisk:workflow/workflow-support@6.0.0" (instance $support
    (alias outer 1 $join-set (type $set))
    (export "join-set-create" (func (result (own $set))))))
  (import "testing:fibo-obelisk-ext/fibo" (instance $fibo
    (alias outer 1 $join-set (type $set)) (alias outer 1 $execution-id (type $id))
    (export "fibo-submit" (func (param "join-set" (borrow $set)) (param "n" u8) (result $id)))))
  (core module $library
    (memory (export "memory") 1)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024)))
  (core instance $m (instantiate $library))
  (core func $create (canon lower (func $support "join-set-create")))
  (core func $submit (canon lower (func $fibo "fibo-submit")
    (memory (core memory $m "memory")) (realloc (core func $m "realloc"))))
  (core module $main
    (import "host" "create" (func $create (result i32)))
    (import "host" "submit" (func $submit (param i32 i32 i32)))
    (func (export "run") (result i64)
      (call $submit (call $create) (i32.const 10) (i32.const 64))
      (i64.const 7)))
  (core instance $i (instantiate $main (with "host" (instance
    (export "create" (func $create)) (export "submit" (func $submit))))))
  (func $run (result u64) (canon lift (core func $i "run")))
  (instance $e (export "run" (func $run)))
  (export "testing:leaving/leaving" (instance $e)))"""
"""A workflow: asks for a call of `fibo` in a join set, and returns 7 without waiting for it."""

WRITTEN_HERE: dict[str, tuple[Literal["activity", "workflow"], str]] = {
    "logging": ("workflow", LOGGING),
    "trapping": ("workflow", TRAPPING),
    "leaving": ("workflow", LEAVING),
    "printing": ("activity", writing("printing", 600, "a line\\n", 7)),
}
