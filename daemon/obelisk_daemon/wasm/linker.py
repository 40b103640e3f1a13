"""A component bound to the host: every import answered once, every export looked up once, for any number of runs."""

import ctypes
import weakref
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from wasmtime import component as wc

from obelisk_daemon.errors import CallerError, ComponentError
from obelisk_daemon.execution.wit_types import FunctionType
from obelisk_daemon.ffqn import Ffqn
from obelisk_daemon.wasm import abi
from obelisk_daemon.wasm.callbacks import HOST_CALL, IMPORTS, NUMBERS, RESOURCE_DROPPED, HostFunction, HostImport
from obelisk_daemon.wasm.codec import Codec, FunctionCodec
from obelisk_daemon.wasm.component import Component, Import
from obelisk_daemon.wasm.guest import GuestLimits, GuestStopped, Returned, Trapped, buffer_type, run_guest
from obelisk_daemon.wasm.guest_pool import Pool
from obelisk_daemon.wasm.introspect import Interface

Resolve: TypeAlias = Callable[[str, str, FunctionType], HostFunction | None]
"""(interface, function, its type) to the host's function, or None where there is none."""


class Export:
    """An exported function, ready to be called."""

    __slots__ = ("buffer", "codec", "index", "name")

    def __init__(self, name: Ffqn, index: int, codec: FunctionCodec) -> None:
        self.name = name
        self.index = index
        self.codec = codec
        self.buffer = buffer_type(len(codec.lowers))


class _Imports:
    """What a component imports, answered by the host's functions; bound by number on as many engines as it takes."""

    def __init__(self, component: Component, resolve: Resolve) -> None:
        functions = _resolve_all(component.imports, resolve)
        self.resource_ids: dict[str, int] = {}
        for interface in component.interfaces:
            for _, full in interface.resources:
                self.resource_ids.setdefault(full, len(self.resource_ids) + 1)
        self.codec = Codec(self.resource_ids)
        self.numbers: dict[tuple[str, str], int] = {}
        weakref.finalize(self, _forget, self.numbers)
        for interface in component.interfaces:
            for name, wit in interface.functions:
                number = self.numbers[interface.name, name] = next(NUMBERS)
                function = functions[interface.name, name]
                IMPORTS[number] = HostImport(f"{interface.name}.{name}", function, self.codec.function(wit))


class Binding:
    """A component with its imports bound on one engine: what its guests are made from."""

    def __init__(self, component: Component, imports: _Imports, engine: int, handle: wc.Component) -> None:
        engines = component.engines
        self.component = component
        self.engine = engine
        self.scheduler = engines.scheduler
        self.ticker = engines.ticker
        self.memory_max = engines.settings.memory_reservation
        self.fuel = component.kind == "workflow"
        self.component_address = abi.address_of(handle)
        self._handle = handle
        self._imports = imports
        self.address = abi.linker_new(engine)
        indices: list[int] = []
        weakref.finalize(self, _release, self.address, indices)
        self._define()
        self._exports = {ffqn: self._find(ffqn, t, indices) for ffqn, t in component.exports.items()}

    def export(self, ffqn: Ffqn) -> Export:
        """Give an exported function.

        Raises:
            CallerError: `no_such_export`.
        """
        export = self._exports.get(ffqn)
        if export is None:
            raise CallerError("no_such_export", f"the component doesn't export {ffqn}")
        return export

    def _define(self) -> None:
        root = abi.linker_root(self.address)
        try:
            for interface in self.component.interfaces:
                if interface.functions or interface.resources:
                    self._define_interface(root, interface)
        finally:
            abi.linker_instance_delete(root)

    def _define_interface(self, root: int, interface: Interface) -> None:
        out = ctypes.c_void_p()
        name = interface.name.encode()
        _check(abi.linker_add_instance(root, name, len(name), ctypes.addressof(out)))
        instance = out.value
        try:
            for short, full in interface.resources:
                self._define_resource(instance, short.encode(), self._imports.resource_ids[full])
            for function, _ in interface.functions:
                number, text = self._imports.numbers[interface.name, function], function.encode()
                _check(abi.linker_add_function(instance, text, len(text), HOST_CALL, number, None))
        finally:
            abi.linker_instance_delete(instance)

    def _define_resource(self, instance: int | None, name: bytes, number: int) -> None:
        resource = abi.resource_type_host(number)
        try:
            _check(abi.linker_add_resource(instance, name, len(name), resource, RESOURCE_DROPPED, None, None))
        finally:
            abi.resource_type_delete(resource)

    def _find(self, ffqn: Ffqn, wit: FunctionType, indices: list[int]) -> Export:
        interface, function = ffqn.interface.encode(), ffqn.function.encode()
        outer = abi.export_index(self.component_address, None, interface, len(interface))
        indices.append(outer)
        inner = abi.export_index(self.component_address, outer, function, len(function))
        indices.append(inner)
        return Export(ffqn, inner, self._imports.codec.function(wit))


class LinkedComponent(Binding):
    """A component with its imports bound by `resolve`, called once for each import.

    A `wasi:` import that nobody resolves stops the guest only when it is called: language runtimes import much that
    they never use. Guests of small components are made in the pool, as long as it has room.

    Raises:
        ComponentError: `missing_import`, naming all other imports that nobody resolves.
    """

    def __init__(self, component: Component, resolve: Resolve) -> None:
        imports, engines = _Imports(component, resolve), component.engines
        super().__init__(component, imports, engines.address(component.kind), component.handle)
        self._pool = engines.pool(component.kind)
        self._pooled: Binding | None = None

    async def run(self, ffqn: Ffqn, params: Sequence[Any], context: Any, limits: GuestLimits) -> Returned | Trapped:
        """Run one function in a store of its own, which is gone when this returns, raises or is cancelled.

        What a host function raises is raised here as it is, with the wasm backtrace as a note. Cancelling cancels the
        host function that the guest waits for; a guest on a compute thread is waited for until its slice ends.

        Raises:
            CallerError: no such export, or parameters of a wrong shape.
            HostExhaustedError: this machine has no room for another guest; try again later.
        """
        pool = self._pool
        if pool is None or not pool.free or (pooled := self._pooled or self._bind_in(pool)) is None:
            return await run_guest(self, ffqn, params, context, limits)
        pool.free -= 1
        try:
            return await run_guest(pooled, ffqn, params, context, limits)
        finally:
            pool.free += 1

    def _bind_in(self, pool: Pool) -> Binding | None:
        """Bind the component in the pool, when its first guest is made, if it fits there."""
        handle = self.component.in_pool(pool)
        if handle is None:
            self._pool = None
            return None
        self._pooled = Binding(self.component, self._imports, pool.address, handle)
        return self._pooled


def _resolve_all(imports: Sequence[Import], resolve: Resolve) -> dict[tuple[str, str], HostFunction]:
    functions: dict[tuple[str, str], HostFunction] = {}
    missing = []
    for wanted in imports:
        function = resolve(wanted.interface, wanted.function, wanted.type)
        if function is None and wanted.interface.startswith("wasi:"):
            function = _unsupported(str(wanted))
        if function is None:
            missing.append(str(wanted))
        else:
            functions[wanted.interface, wanted.function] = function
    if missing:
        raise ComponentError("missing_import", f"nobody exports what the component imports: {', '.join(missing)}")
    return functions


def _unsupported(name: str) -> HostFunction:
    def call(_guest: object, *_arguments: object) -> object:
        raise GuestStopped("trap", f"{name} is not available to guests of this daemon")

    return call


def _check(error: int | None) -> None:
    if error:
        raise ComponentError("link_failed", abi.take_error(error))


def _forget(numbers: dict[tuple[str, str], int]) -> None:
    for number in numbers.values():
        IMPORTS.pop(number, None)


def _release(linker: int, indices: list[int]) -> None:
    """Free what a binding holds in C; every guest of it holds the binding, so none is left."""
    abi.linker_delete(linker)
    for index in indices:
        abi.export_index_delete(index)
