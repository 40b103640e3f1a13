"""Small workflows in WAT, and parts of logs."""

from pathlib import Path

import msgspec
import wasmtime

from obelisk_daemon.execution.events import Entry, Event
from obelisk_daemon.execution.saved_log import SavedLog

RUN = "test:guest/run.run"


def drawing(file: Path, body: str, *, result: str = "u64", parts: str = "(memory 1)") -> Path:
    """Write a workflow `test:guest/run.run: func() -> u64` that may call `$draw` (random-u64) and `$info` (log)."""
    core = "i64" if result == "u64" else "i32"
    text = f"""(component
      (import "obelisk:workflow/workflow-support@6.0.0" (instance $support
        (export "random-u64" (func (param "min" u64) (param "max-exclusive" u64) (result u64)))))
      (import "obelisk:log/log@1.0.0" (instance $log (export "info" (func (param "message" string)))))
      (core module $memory (memory (export "memory") 1)
        (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 8)))
      (core instance $mem (instantiate $memory))
      (core func $draw (canon lower (func $support "random-u64")))
      (core func $info (canon lower (func $log "info")
        (memory (core memory $mem "memory")) (realloc (core func $mem "realloc"))))
      (core module $m
        (import "host" "draw" (func $draw (param i64 i64) (result i64)))
        (import "host" "info" (func $info (param i32 i32)))
        {parts}
        (func (export "run") (result {core}) {body}))
      (core instance $i (instantiate $m (with "host" (instance
        (export "draw" (func $draw)) (export "info" (func $info))))))
      (func $run (result {result}) (canon lift (core func $i "run")))
      (instance $e (export "run" (func $run)))
      (export "test:guest/run" (instance $e)))"""
    file.write_bytes(wasmtime.wat2wasm(text))
    return file


DRAW = "(call $draw (i64.const 0) (i64.const 1000000))"


def cut(saved: SavedLog, version: int, responses: int | None = None) -> SavedLog:
    """Keep the events below a version, and so many responses (all, if left out)."""
    kept = saved.responses if responses is None else saved.responses[:responses]
    return msgspec.structs.replace(saved, entries=saved.entries[:version], responses=kept)


def ending(saved: SavedLog, event: Event) -> SavedLog:
    """Have a log end with another event than its last one."""
    last = saved.entries[-1]
    return msgspec.structs.replace(saved, entries=[*saved.entries[:-1], Entry(last.version, last.created_at, event)])
