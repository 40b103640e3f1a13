"""wasmtime engines, one per kind of guest, and the thread that advances their epoch.

An activity's engine is for speed. A workflow's engine is deterministic: fuel is counted, NaNs are canonical, relaxed
SIMD and threads are off, and a memory can't move, so that growth fails by the guest's own limit only.
"""

import hashlib
import os
import threading
import time
from collections.abc import Callable
from importlib.metadata import version
from typing import Final, Literal, TypeAlias

import msgspec
import wasmtime

from obelisk_daemon.wasm import abi
from obelisk_daemon.wasm.scheduler import Scheduler

EngineKind: TypeAlias = Literal["activity", "workflow"]
KINDS: Final[tuple[EngineKind, ...]] = ("activity", "workflow")

MEMORY_MAX: Final = 1 << 32
"""Bytes that a memory may ever have, reserved as address space for each.

32,000 fit in the address space; Linux's default of 65,530 mappings runs out at half of that."""
_IDLE_TICKS: Final = 50


class EngineSettings(msgspec.Struct, frozen=True):
    """What an engine is built with. Every field that changes compiled code is part of `config_hash`."""

    wasm_stack: int = 1 << 20
    """Bytes of stack a guest may use. Both stacks are address space until touched."""
    async_stack: int = 2 << 20
    """Bytes of a fiber's stack; at least 512 KiB more than `wasm_stack`, for host functions that run on it."""
    memory_reservation: int = MEMORY_MAX
    tick: float | None = 0.002
    """Seconds between two epochs, so the longest slice of a guest; None never ticks, for simulations."""
    compute_threads: int = os.cpu_count() or 1
    """Threads for guests that keep computing; 0 keeps all on the loop."""


class Ticker:
    """Advances the epoch while guests run, so that a spinning guest gives its thread back.

    The thread sleeps when nothing has run for a while, and ends with `close`. `seen` and `awake` are plain flags: each
    side writes its own before it reads the other's, so no wake-up is lost.
    """

    __slots__ = ("_closed", "_period", "_thread", "_tick", "_wake", "awake", "seen")

    def __init__(self, tick: Callable[[], None], period: float) -> None:
        self._tick = tick
        self._period = period
        self._wake = threading.Event()
        self._closed = False
        self._thread: threading.Thread | None = None
        self.awake = False
        self.seen = False

    def wake(self) -> None:
        """Start ticking; called when a guest is about to run and `awake` is false."""
        self.awake = True
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="epoch-ticker", daemon=True)
            self._thread.start()
        self._wake.set()

    def close(self) -> None:
        """Stop the thread and wait for its end, which takes one period at most."""
        self._closed = True
        self._wake.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        idle = 0
        while not self._closed:
            time.sleep(self._period)
            self._tick()
            idle = 0 if self.seen else idle + 1
            self.seen = False
            if idle > _IDLE_TICKS:
                self._pause()
                idle = 0

    def _pause(self) -> None:
        self._wake.clear()
        self.awake = False
        if self.seen or self._closed:
            self.awake = True
            return
        self._wake.wait()


class Engines:
    """The engines of this process, their ticker and their scheduler. Owned by the composition root, which closes it."""

    def __init__(self, settings: EngineSettings | None = None) -> None:
        self.settings = settings or EngineSettings()
        if self.settings.async_stack - self.settings.wasm_stack < 512 << 10:
            raise ValueError("async_stack must exceed wasm_stack by 512 KiB, for host functions that run on it")
        self._engines = {kind: make_engine(kind, self.settings) for kind in KINDS}
        self._addresses = {kind: abi.address_of(engine) for kind, engine in self._engines.items()}
        self.scheduler = Scheduler(self.settings.compute_threads)
        self.ticker = Ticker(self._advance, self.settings.tick) if self.settings.tick else None

    def engine(self, kind: EngineKind) -> wasmtime.Engine:
        """Give wasmtime's engine, to load components with."""
        return self._engines[kind]

    def address(self, kind: EngineKind) -> int:
        """Give the engine's address, to make stores with."""
        return self._addresses[kind]

    def config_hash(self, kind: EngineKind) -> str:
        """Name all that compiled code depends on but its source: an artifact fits an engine with the same one only."""
        return config_hash(kind, self.settings)

    def close(self) -> None:
        """Stop all threads. No guest may be alive."""
        self.scheduler.close()
        if self.ticker is not None:
            self.ticker.close()

    def _advance(self) -> None:
        for address in self._addresses.values():
            abi.increment_epoch(address)


def make_engine(kind: EngineKind, settings: EngineSettings) -> wasmtime.Engine:
    """Build one engine; the compiling child builds its own from the same settings."""
    config = wasmtime.Config()
    config.epoch_interruption = True
    config.wasm_threads = False
    config.shared_memory = False
    config.max_wasm_stack = settings.wasm_stack
    abi.config_set_async_stack(abi.address_of(config), settings.async_stack)
    # On, 50.0.1 traps on any host function that takes two borrows, as wasi:io/poll does.
    abi.config_set_concurrency(abi.address_of(config), False)
    config.memory_reservation = settings.memory_reservation
    if kind == "workflow":
        config.consume_fuel = True
        config.cranelift_nan_canonicalization = True
        config.wasm_relaxed_simd = False
        config.memory_may_move = False
    return wasmtime.Engine(config)


def config_hash(kind: EngineKind, settings: EngineSettings) -> str:
    """Hash what `make_engine` reads, the version of wasmtime and the source of this module."""
    facts = (
        version("wasmtime"),
        os.uname().machine,
        kind,
        settings.wasm_stack,
        settings.async_stack,
        settings.memory_reservation,
        _RECIPE,
    )
    return hashlib.sha256(repr(facts).encode()).hexdigest()


_RECIPE: Final = 1
"""To be raised when `make_engine` changes what it sets."""
