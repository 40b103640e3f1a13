"""Room for small guests that is kept ready.

Without it, each guest has the kernel map its memory and its stack, and unmap them at its end: seven calls, which take
more than twice as long as all the rest of a small guest, and longer still on a machine that is itself virtual. A slot
of a pool is mapped once, and cleared for the next guest.
"""

import mmap
from typing import Final

import structlog
import wasmtime

from obelisk_daemon.wasm import abi
from obelisk_daemon.wasm.guest import GuestLimits
from obelisk_daemon.wasm.recipe import EngineKind, EngineSettings, make_engine

_CORE_INSTANCES: Final = 8
_MEMORIES: Final = 2
_TABLES: Final = 4
"""Of one guest. What has more of them is large anyway, and gets room of its own."""
_TABLE_ELEMENTS: Final = GuestLimits().table_elements
"""As many as a guest may have in a table: whether a table grows must not depend on where the guest is."""
_RESIDENT: Final = 64 << 10
"""Bytes of a memory, and of each table, that are cleared by writing zeroes, and not by giving them back."""
_GUARD: Final = 64 << 20
"""Bytes of address space that a memory has around it, at most."""
_LOG: Final = structlog.get_logger("wasm")


class Pool:
    """An engine whose instances come from so many slots. Who makes a guest in it counts it in `free`."""

    __slots__ = ("address", "engine", "free")

    def __init__(self, engine: wasmtime.Engine, slots: int) -> None:
        self.engine = engine
        self.address = abi.address_of(engine)
        self.free = slots


def make_pool(kind: EngineKind, settings: EngineSettings) -> Pool | None:
    """Make the pool for guests of one kind; None where none is wanted, or the address space has no room for it."""
    slots = settings.pooled
    if not slots or not _has_room(slots * (_MEMORIES + 1) * (settings.memory_reservation + _GUARD)):
        return None
    pooling = abi.pool_new()
    try:
        abi.set_in_pool(pooling, _sizes(slots, settings))
        return Pool(make_engine(kind, settings, lambda config: abi.config_set_pool(config, pooling)), slots)
    finally:
        abi.pool_delete(pooling)


def _sizes(slots: int, settings: EngineSettings) -> dict[str, int]:
    return {
        "total_component_instances": slots,
        "total_core_instances": slots * _CORE_INSTANCES,
        "total_memories": slots * _MEMORIES,
        "total_tables": slots * _TABLES,
        "total_stacks": slots,
        "total_gc_heaps": slots,
        "max_core_instances_per_component": _CORE_INSTANCES,
        "max_memories_per_component": _MEMORIES,
        "max_tables_per_component": _TABLES,
        "max_memory_size": settings.memory_reservation,
        "table_elements": _TABLE_ELEMENTS,
        "linear_memory_keep_resident": _RESIDENT,
        "table_keep_resident": _RESIDENT,
        "max_unused_warm_slots": slots,
    }


def _has_room(size: int) -> bool:
    """Try whether so much address space can be had: where not, wasmtime would end the process."""
    try:
        mmap.mmap(-1, size, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, prot=0).close()  # of no memory
    except (OSError, ValueError, OverflowError) as error:
        _LOG.warning("no_pool_of_guests", bytes=size, detail=str(error))
        return False
    return True
