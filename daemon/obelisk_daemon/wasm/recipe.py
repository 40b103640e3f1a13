"""How wasmtime engines are made, in the daemon and in the processes that compile for it: the same, or nothing loads.

An activity's engine is for speed. A workflow's engine is deterministic: fuel is counted, NaNs are canonical, relaxed
SIMD and threads are off, and a memory can't move, so that growth fails by the guest's own limit only.
"""

import os
from collections.abc import Callable
from typing import Final, Literal, TypeAlias

import msgspec
import wasmtime

from obelisk_daemon.wasm import abi

EngineKind: TypeAlias = Literal["activity", "workflow"]
KINDS: Final[tuple[EngineKind, ...]] = ("activity", "workflow")

MEMORY_MAX: Final = 1 << 32
"""Bytes that a memory may ever have, reserved as address space for each.

32,000 fit in the address space; Linux's default of 65,530 mappings runs out at half of that."""
RECIPE: Final = 1
"""To be raised when `make_engine` changes what it sets."""


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
    pooled: int = 256
    """Small guests of each kind for which room is kept: somewhat more than run at once by default."""


def make_engine(
    kind: EngineKind, settings: EngineSettings, strategy: Callable[[int], None] = lambda _: None
) -> wasmtime.Engine:
    """Build one engine; the compiling child builds its own from the same settings.

    `strategy` may say, given the configuration's address, where instances come from: compiled code depends on it in
    nothing.
    """
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
    strategy(abi.address_of(config))
    return wasmtime.Engine(config)
