"""A loaded component: its identity, what it exports and what it imports."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import msgspec
import wasmtime
from wasmtime import component as wc

from obelisk_daemon.execution.wit_interfaces import WitInterface
from obelisk_daemon.execution.wit_types import FunctionType
from obelisk_daemon.ffqn import Ffqn
from obelisk_daemon.wasm import abi
from obelisk_daemon.wasm.engine import Engines
from obelisk_daemon.wasm.guest_pool import Pool
from obelisk_daemon.wasm.introspect import Interface, Introspection
from obelisk_daemon.wasm.recipe import EngineKind

_SMALL: Final = 1 << 20
"""Bytes of a component. Guests of larger ones take milliseconds to start, which a pool hardly shortens."""


class Import(msgspec.Struct, frozen=True):
    """A function that a component wants from outside."""

    interface: str
    function: str
    type: FunctionType

    def __str__(self) -> str:
        return f"{self.interface}.{self.function}"


class Component:
    """Compiled code, loaded for one kind of engine. It holds no state: any number of guests run on it.

    Raises:
        ComponentError: `unsupported_import`, `unsupported_type` or `guest_resource`, naming the function.
    """

    def __init__(self, engines: Engines, kind: EngineKind, digest: str, handle: wc.Component, size: int = 0) -> None:
        self.engines = engines
        self._size = size
        self.kind = kind
        self.digest = digest
        """`sha256:<64 hex>` of the source."""
        self._handle = handle
        found = Introspection(engines.engine(kind), handle)
        self.exports: Mapping[Ffqn, FunctionType] = MappingProxyType(found.exports)
        """The functions of its exported interfaces. What language toolchains add for themselves is left out."""
        self.interfaces: tuple[Interface, ...] = tuple(found.imports)
        self.imports: tuple[Import, ...] = tuple(
            Import(i.name, name, function) for i in found.imports for name, function in i.functions
        )
        self.exported_interfaces: tuple[WitInterface, ...] = tuple(
            WitInterface(i.name, tuple(i.types), tuple(i.functions)) for i in found.exported
        )
        """The same exports with the names of their types, also of interfaces that have only types."""
        self.imported_types: tuple[WitInterface, ...] = tuple(
            WitInterface(i.name, tuple(i.types)) for i in found.imports if i.types
        )
        """The named types of what it imports, without `wasi:`."""

    @property
    def handle(self) -> wc.Component:
        """Give wasmtime's component."""
        return self._handle

    def in_pool(self, pool: Pool) -> wc.Component | None:
        """Load the code for guests in a pool once more; None where it is too large for that to be worth it."""
        if self._size > _SMALL:
            return None
        try:
            return wc.Component.deserialize(pool.engine, self._handle.serialize())
        except wasmtime.WasmtimeError:  # it has more memories, tables or instances than a slot
            return None

    @property
    def address(self) -> int:
        """The address of wasmtime's component, valid as long as this object is alive."""
        return abi.address_of(self._handle)
