"""wasmtime's engines, one per kind of guest, and the thread that advances their epoch."""

import hashlib
import os
import threading
import time
from collections.abc import Callable
from importlib.metadata import version
from typing import Final

import wasmtime

from obelisk_daemon.wasm import abi
from obelisk_daemon.wasm.guest_pool import Pool, make_pool
from obelisk_daemon.wasm.recipe import KINDS, RECIPE, EngineKind, EngineSettings, make_engine
from obelisk_daemon.wasm.scheduler import Scheduler

_IDLE_TICKS: Final = 50


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
        self._pools = {kind: make_pool(kind, self.settings) for kind in KINDS}
        self._ticking = [
            *self._addresses.values(),
            *[pool.address for pool in self._pools.values() if pool is not None],
        ]
        self.scheduler = Scheduler(self.settings.compute_threads)
        self.ticker = Ticker(self._advance, self.settings.tick) if self.settings.tick else None

    def engine(self, kind: EngineKind) -> wasmtime.Engine:
        """Give wasmtime's engine, to load components with."""
        return self._engines[kind]

    def address(self, kind: EngineKind) -> int:
        """Give the engine's address, to make stores with."""
        return self._addresses[kind]

    def pool(self, kind: EngineKind) -> Pool | None:
        """Give the room that is kept for small guests."""
        return self._pools[kind]

    def config_hash(self, kind: EngineKind) -> str:
        """Name all that compiled code depends on but its source: an artifact fits an engine with the same one only."""
        return config_hash(kind, self.settings)

    def close(self) -> None:
        """Stop all threads. No guest may be alive."""
        self.scheduler.close()
        if self.ticker is not None:
            self.ticker.close()

    def _advance(self) -> None:
        for address in self._ticking:
            abi.increment_epoch(address)


def config_hash(kind: EngineKind, settings: EngineSettings) -> str:
    """Hash what `make_engine` reads, the version of wasmtime and the number of the recipe."""
    facts = (
        version("wasmtime"),
        os.uname().machine,
        kind,
        settings.wasm_stack,
        settings.async_stack,
        settings.memory_reservation,
        RECIPE,
    )
    return hashlib.sha256(repr(facts).encode()).hexdigest()
