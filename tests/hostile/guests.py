"""Guests that mean harm, as WAT. Each does one thing as hard as it can, in `test:hostile/<name>.run: func() -> u32`."""

from pathlib import Path
from typing import Literal, NamedTuple

import wasmtime

from obelisk_daemon.deployment.candidate import digest_of
from obelisk_daemon.execution.outcome import FailureKind


class Hostile(NamedTuple):
    """One of them, with the settings it is meant for, how it must end, and what the reason must say."""

    text: str
    kind: Literal["activity", "workflow"]
    ends: FailureKind | None
    """None: it returns, since what was too much has been cut off."""
    says: str
    """In the reason of its failure, or in the last line of its log."""
    timeout: str = "30s"
    limits: str = "{}"
    """As the manifest has them."""

    def entry(self, name: str, directory: Path) -> str:
        """Write the component's file, and give its table of the manifest."""
        file = directory / f"{name}.wasm"
        file.write_bytes(wasmtime.wat2wasm(self.text))
        return f"""[[{self.kind}]]
name = "{name}"
path = "{file}"
digest = "{digest_of(file.read_bytes())}"
timeout = "{self.timeout}"
max_retries = 0
limits = {self.limits}
"""


_SPIN = "(loop $for_ever (br $for_ever))"
_LIBRARY = """
  (core module $library (memory (export "memory") {pages}) {data})
  (core instance $m (instantiate $library))"""
_EXPORT = """
  (func $run (result u32) (canon lift (core func $i "run")))
  (instance $e (export "run" (func $run)))
  (export "test:hostile/{name}" (instance $e)))"""


def alone(name: str, body: str, parts: str = "") -> str:
    """Write a guest that needs nobody."""
    return f"""(component
  (core module $main {parts} (func $run (export "run") (result i32) {body}))
  (core instance $i (instantiate $main)){_EXPORT.format(name=name)}"""


def asking(
    name: str, imports: str, functions: dict[str, tuple[str, str]], body: str, *, pages: int = 1, data: str = ""
) -> str:
    """Write a guest that imports functions: of each the component's function and how it looks to the core module."""
    lowered = "\n".join(f"  (core func ${own} (canon lower {of}))" for own, (of, _) in functions.items())
    wanted = "\n".join(f'    (import "host" "{own}" (func ${own} {core}))' for own, (_, core) in functions.items())
    given = " ".join(f'(export "{own}" (func ${own}))' for own in functions)
    return f"""(component {imports} {_LIBRARY.format(pages=pages, data=data)}
{lowered}
  (core module $main
    (import "host" "memory" (memory {pages}))
{wanted}
    (func (export "run") (result i32) (local $n i32) {body}))
  (core instance $i (instantiate $main (with "host" (instance (export "memory" (memory $m "memory")) {given})))){
        _EXPORT.format(name=name)
    }"""


_LOG = '(import "obelisk:log/log@1.0.0" (instance $log (export "info" (func (param "message" string)))))'
_INFO = {"info": ('(func $log "info") (memory (core memory $m "memory"))', "(param i32 i32)")}
_RANDOM = '(import "wasi:random/random@0.2.3" (instance $random (export "get-random-u64" (func (result u64)))))'
_DRAW = {"draw": ('(func $random "get-random-u64")', "(result i64)")}
_POLL = """
  (import "wasi:io/poll@0.2.3" (instance $poll (export "pollable" (type (sub resource)))))
  (alias export $poll "pollable" (type $pollable))
  (import "wasi:clocks/monotonic-clock@0.2.3" (instance $clock
    (alias outer 1 $pollable (type $p))
    (export "subscribe-duration" (func (param "when" u64) (result (own $p))))))"""
_SUBSCRIBE = {"subscribe": ('(func $clock "subscribe-duration")', "(param i64) (result i32)")}
_STDOUT = """
  (import "wasi:io/error@0.2.3" (instance $errors (export "error" (type (sub resource)))))
  (alias export $errors "error" (type $error))
  (import "wasi:io/streams@0.2.3" (instance $streams
    (export "output-stream" (type $stream (sub resource)))
    (alias outer 1 $error (type $e))
    (type $failure (variant (case "last-operation-failed" (own $e)) (case "closed")))
    (export "stream-error" (type $stream-error (eq $failure)))
    (export "[method]output-stream.blocking-write-and-flush"
      (func (param "self" (borrow $stream)) (param "contents" (list u8)) (result (result (error $stream-error)))))))
  (alias export $streams "output-stream" (type $output-stream))
  (import "wasi:cli/stdout@0.2.3" (instance $stdout
    (alias outer 1 $output-stream (type $s)) (export "get-stdout" (func (result (own $s))))))"""
_WRITE = {
    "stdout": ('(func $stdout "get-stdout")', "(result i32)"),
    "write": (
        '(func $streams "[method]output-stream.blocking-write-and-flush") (memory (core memory $m "memory"))',
        "(param i32 i32 i32 i32)",
    ),
}
_ESCAPES = "\\1b]0;owned\\07\\1b[2J\\1b[31m\\c2\\9b8mhidden\\0d\\0a" * 100
ESCAPES_LENGTH = 35 * 100


def writing(name: str, times: int, data: str, length: int) -> str:
    """Write a guest that writes the same bytes to standard output many times, and returns."""
    body = f"""(local $stdout i32)
      (local.set $stdout (call $stdout))
      {repeat(times, f"(call $write (local.get $stdout) (i32.const 0) (i32.const {length}) (i32.const 60000))")}
      (i32.const 7)"""
    return asking(name, _STDOUT, _WRITE, body, data=f'(data (i32.const 0) "{data}")')


def repeat(times: int, body: str) -> str:
    """Write a loop on the local `$n`."""
    return f"""(local.set $n (i32.const {times}))
      (loop $again {body} (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))"""


def _tables(tables: int) -> str:
    """Write what grows each of so many tables by a million elements, and fills them."""
    declared = "".join(f"(table $t{n} 1 funcref)" for n in range(tables))
    return f"{declared} (func $f) (elem declare func $f)"


def _grown(tables: int) -> str:
    grows = "".join(f"(drop (table.grow $t{n} (ref.func $f) (i32.const 1000000)))" for n in range(tables))
    return f"{grows} (table.get $t0 (table.size $t0)) unreachable"


_MEMORY = """(loop $more
    (if (i32.ne (memory.grow (i32.const 16)) (i32.const -1))
      (then
        (memory.fill
          (i32.mul (i32.sub (memory.size) (i32.const 16)) (i32.const 65536)) (i32.const 1) (i32.const 1048576))
        (br $more))))
  (i32.load (i32.mul (memory.size) (i32.const 65536)))"""
_HEAP = "(type $bytes (array (mut i64))) (rec (type $node (struct (field (ref $bytes)) (field (ref null $node)))))"
_HOARD = """(local $all (ref null $node))
  (loop $more
    (local.set $all (struct.new $node (array.new $bytes (i64.const 1) (i32.const 10000)) (local.get $all)))
    (br $more))
  unreachable"""


def _instances(name: str, count: int) -> str:
    many = " ".join(f"(core instance $x{n} (instantiate $empty))" for n in range(count))
    return alone(name, "(i32.const 7)").replace("(component", f"(component (core module $empty) {many}", 1)


QUICK = "300ms"
SMALL = "{ memory = '16MiB' }"
HOSTILE: dict[str, Hostile] = {
    "spin": Hostile(alone("spin", f"{_SPIN} unreachable"), "activity", "timed_out", "longer than 0.3 s", QUICK),
    "spin-at-start": Hostile(
        alone("spin-at-start", "(i32.const 7)", f"(func $first {_SPIN}) (start $first)"),
        "activity", "timed_out", "longer than 0.3 s", QUICK,
    ),
    "spin-workflow": Hostile(
        alone("spin-workflow", f"{_SPIN} unreachable"), "workflow", "out_of_fuel", "fuel",
        limits="{ fuel = 10_000_000 }",
    ),
    "recursion": Hostile(
        alone("recursion", "(i32.add (call $run) (i32.const 1))"), "activity", "trap", "call stack exhausted"
    ),
    "recursion-in-a-workflow": Hostile(
        alone("recursion-in-a-workflow", "(i32.add (call $run) (i32.const 1))"), "workflow", "trap", "stack exhausted"
    ),
    "memory": Hostile(
        alone("memory", _MEMORY, "(memory 1)"), "activity", "trap", "out of bounds memory access", limits=SMALL
    ),
    "memory-at-once": Hostile(
        alone("memory-at-once", "(i32.const 7)", "(memory 1000)"), "activity", "out_of_memory", "exceeds memory limits",
        limits=SMALL,
    ),
    "memories": Hostile(
        alone("memories", "(i32.const 7)", "(memory 1)" * 5), "activity", "out_of_memory", "memory count too high"
    ),
    "heap": Hostile(alone("heap", _HOARD, _HEAP), "activity", "out_of_memory", "GC heap out of memory", limits=SMALL),
    "table": Hostile(
        alone("table", _grown(16), _tables(16)), "activity", "trap", "out of bounds table access"
    ),
    "tables": Hostile(
        alone("tables", _grown(100), _tables(100)), "activity", "out_of_memory", "table count too high"
    ),
    "table-at-once": Hostile(
        alone("table-at-once", "(i32.const 7)", "(table 10000000 funcref)"), "activity", "out_of_memory", "table"
    ),
    "instances": Hostile(_instances("instances", 1_500), "activity", "out_of_memory", "instance count too high"),
    "host-calls": Hostile(
        asking("host-calls", _RANDOM, _DRAW, "(loop $for_ever (drop (call $draw)) (br $for_ever)) unreachable"),
        "activity", "limit_exceeded", "more host calls", limits="{ host_calls = 20_000 }",
    ),
    "resources": Hostile(
        asking("resources", _POLL, _SUBSCRIBE,
               "(loop $for_ever (drop (call $subscribe (i64.const 1000000000000))) (br $for_ever)) unreachable"),
        "activity", "limit_exceeded", "more than 16384 resources",
    ),
    "huge-value": Hostile(
        asking("huge-value", _LOG, _INFO, "(call $info (i32.const 0) (i32.const 2000000)) unreachable", pages=40),
        "activity", "limit_exceeded", "values of more than 1048576 bytes", limits="{ value = '1MiB' }",
    ),
    "enormous-value": Hostile(
        asking("enormous-value", _LOG, _INFO, "(call $info (i32.const 0) (i32.const 250000000)) unreachable",
               pages=4000),
        "activity", "limit_exceeded", "too much data is being copied", limits="{ memory = '256MiB' }",
    ),
    "value-out-of-bounds": Hostile(
        asking("value-out-of-bounds", _LOG, _INFO, "(call $info (i32.const 0) (i32.const -1)) unreachable"),
        "activity", "trap", "out of bounds",
    ),
    "text-that-is-none": Hostile(
        asking("text-that-is-none", _LOG, _INFO, "(call $info (i32.const 0) (i32.const 4)) unreachable",
               data='(data (i32.const 0) "\\ff\\fe\\80\\c0")'),
        "activity", "trap", "utf-8",
    ),
    "logs": Hostile(
        asking("logs", _LOG, _INFO, f"{repeat(20_000, '(call $info (i32.const 0) (i32.const 1000))')} (i32.const 7)"),
        "activity", None, "the limit of 1048576 bytes of logs is reached",
    ),
    "logs-of-a-workflow": Hostile(
        asking("logs-of-a-workflow", _LOG, _INFO,
               f"{repeat(20_000, '(call $info (i32.const 0) (i32.const 1000))')} (i32.const 7)"),
        "workflow", None, "the limit of 1048576 bytes of logs is reached",
    ),
    "output": Hostile(
        writing("output", 1_000, _ESCAPES, ESCAPES_LENGTH), "activity", None, "the limit of 1048576 bytes of logs"
    ),
    "empty-lines": Hostile(
        writing("empty-lines", 500, "\\n" * 4_000, 4_000), "activity", None, "the limit of 1048576 bytes of logs"
    ),
}  # fmt: skip
"""Every guest by its name."""
