"""What the machine can do: commits, syncs, guests and host calls, with nothing around them."""

import asyncio
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from obelisk_daemon.wasm.engine import Engines
from obelisk_daemon.wasm.linker import LinkedComponent
from tests.bench.bare_loop import BareLoop
from tests.bench.daemon import scratch
from tests.bench.host_calls import at_once, host_call, whole_run
from tests.bench.rows import Row
from tests.bench.run import Run
from tests.integration.wasm.loading import load

_COUNT = 1_000


def floor(run: Run) -> Iterator[Row]:
    """Measure the disk, wasmtime as this daemon calls it, and the bare loop."""
    with scratch() as directory:
        bare = BareLoop(directory / "bare.db")
        measured = run.in_turns(
            lambda: commits(directory),
            lambda: _syncs(directory),
            lambda: _guests("fibo-activity", whole_run),
            host_calls_per_second,
            bare.serial,
            bare.parallel,
        )
    commit, sync, whole, call, serial, parallel = measured
    yield Row("raw SQLite commits of one row at FULL", run.median(commit), "1/s")
    yield Row("raw fdatasync of 4 KiB", run.median(sync), "1/s")
    yield Row("wasmtime: instantiate, call and close", 1 / run.median(whole), "1/s")
    yield Row("wasmtime: synchronous host calls", run.median(call), "1/s")
    yield Row("bare loop: one workflow x 500 calls", run.median(serial), "calls/s")
    yield Row("bare loop: 100 workflows x 10 calls", run.median(parallel), "calls/s")


def commits(directory: Path) -> float:
    """Give the commits a second of one row at FULL."""
    file = directory / "commits.db"
    connection = sqlite3.connect(file, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("CREATE TABLE IF NOT EXISTS t (k INTEGER PRIMARY KEY, v BLOB)")
    began = time.perf_counter()
    for _ in range(_COUNT):
        connection.execute("INSERT INTO t (v) VALUES (?)", (b"x" * 100,))
    seconds = time.perf_counter() - began
    connection.close()
    return _COUNT / seconds


def host_calls_per_second() -> float:
    """Give the synchronous host calls of one guest."""
    return 1 / _guests("fibo-workflow", host_call)


def _syncs(directory: Path) -> float:
    with (directory / "synced").open("wb", buffering=0) as file:
        began = time.perf_counter()
        for _ in range(_COUNT):
            file.write(b"x" * 4096)
            os.fdatasync(file.fileno())
        return _COUNT / (time.perf_counter() - began)


def _guests(name: str, measure: Callable[[LinkedComponent], object]) -> float:
    engines = Engines()
    try:
        kind = "workflow" if name == "fibo-workflow" else "activity"
        linked = LinkedComponent(load(engines, name, kind), lambda *_: at_once)
        return asyncio.run(measure(linked))
    finally:
        engines.close()
