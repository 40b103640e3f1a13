"""One run of a component: a fresh store, an instance, one call, and the end of them in the only safe order.

A guest is a fiber. It runs until it ends, its epoch ends or a host function gives a coroutine; then the thread is free,
and the runner awaits the coroutine in its own task (so timeouts, cancellation and context variables work as usual),
writes the answer where the guest expects it and resumes the fiber. A parked guest costs its memory and nothing else,
so it may wait for hours.
"""

import asyncio
import ctypes
import time
from collections.abc import Sequence
from types import CoroutineType
from typing import TYPE_CHECKING, Any, Final

import msgspec

from obelisk_daemon.errors import CallerError, OperatorError
from obelisk_daemon.ffqn import Ffqn
from obelisk_daemon.wasm import abi
from obelisk_daemon.wasm.abi import K_U8, MEM, U64, VALUE
from obelisk_daemon.wasm.callbacks import GUESTS, Calling, ParkedCall
from obelisk_daemon.wasm.resources import GuestStopped, Resources, TrapKind
from obelisk_daemon.wasm.traps import HostExhaustedError, Returned, Trapped, trap_of
from obelisk_daemon.wasm.values import ValueShapeError, ValueSizeError

if TYPE_CHECKING:
    from obelisk_daemon.wasm.linker import Binding, Export

__all__ = ["Guest", "GuestLimits", "GuestStopped", "HostExhaustedError", "Returned", "TrapKind", "Trapped"]

_UNLIMITED: Final = (1 << 64) - 1
_SLICES_AT_HOME: Final = 2
"""Whole slices on the loop, without a host call between them, before a guest goes to a compute thread."""
_SHARE: Final = 0.000_5
"""Seconds of the loop's time for a guest that calls the host again and again; then it gives way to all else."""
_FIRST_PORTION: Final = 256
_PORTION_MAX: Final = 4_096
"""Host calls in a share; how many follows from what they take."""

# The C structs of a guest lie in one buffer, at a fixed address for as long as it lives.
_FLAG: Final = 0
_ERROR: Final = 8
_INSTANCE: Final = 16
_FUNCTION: Final = _INSTANCE + abi.INSTANCE
_RESULT: Final = _FUNCTION + abi.FUNCTION
_ARGUMENTS: Final = _RESULT + VALUE


def guests_in_memory() -> int:
    """Count the guests that are alive, whether they compute or are parked."""
    return len(GUESTS)


def memory_bound_of_all() -> int:
    """Give the bytes that these guests may use together."""
    return sum(guest.memory_bound for guest in GUESTS.values() if isinstance(guest, Guest))


class GuestLimits(msgspec.Struct, frozen=True):
    """What a guest may use. Exceeding `fuel`, `host_calls` or `value` ends it; `memory` makes its growth fail."""

    memory: int = 64 << 20
    """Bytes of each of its memories."""
    fuel: int | None = None
    """Units of work, workflows only; None is without bound."""
    host_calls: int = 1_000_000
    value: int = 1 << 20
    """Bytes of plain values in one call of the host, and in the result."""
    resources: int = 16_384
    """Host resources held at once."""
    memories: int = 4
    tables: int = 16
    table_elements: int = 1 << 17
    """Of each table. An element takes 8 bytes beside the memories: 16 MiB in all tables. Python's guests have 5,800."""
    instances: int = 1_000


class Guest(Calling):
    """A store with one instance. Made, run and closed by `LinkedComponent.run`; host functions get it as `guest`."""

    __slots__ = (
        "_buffer", "_calls_seen", "_export", "_future", "_linked", "_lowered", "_running", "_slices",
        "_store", "_used", "base", "context", "finished", "limits",
    )  # fmt: skip

    def __init__(self, linked: "Binding", export: "Export", context: Any, limits: GuestLimits) -> None:
        self._linked = linked
        self._export = export
        self.context = context
        """What `run` was given."""
        self.limits = limits
        self.table = Resources(limits.resources)
        self.dropped = []
        self.host_error = None
        self.call = None
        self.away = self.finished = self._running = self.gave_way = False
        self._slices = self._lowered = self._future = 0
        self._used = 0.0
        self.portion = _FIRST_PORTION
        self.credit = min(self.portion, limits.host_calls)
        self.calls_left = limits.host_calls - self.credit
        self._calls_seen = limits.host_calls
        self.value_limit = self.left = limits.value
        self._buffer = export.buffer()
        self.base = ctypes.addressof(self._buffer)
        self.flag = self.base + _FLAG
        self._store = self.ctx = 0
        self._open()

    def _open(self) -> None:
        limits = self.limits
        if limits.memory > self._linked.memory_max:
            raise OperatorError(
                "limit_too_large", f"limits.memory may be {self._linked.memory_max} bytes at most, not {limits.memory}"
            )
        if limits.fuel is not None and not self._linked.fuel:
            raise ValueError("fuel is counted for workflows only")
        self._store = abi.store_new(self._linked.engine, None, None)
        self.ctx = ctx = abi.store_context(self._store)
        abi.store_limit(
            self._store, limits.memory, limits.table_elements, limits.instances, limits.tables, limits.memories
        )
        # In asynchronous form even where nothing is imported: a spinning guest could not yield otherwise.
        abi.set_epoch_deadline(ctx, 1)
        abi.yield_at_epoch(ctx, 1)
        if self._linked.fuel:
            abi.set_fuel(ctx, _UNLIMITED if limits.fuel is None else limits.fuel)
        GUESTS[ctx] = self

    @property
    def memory_bound(self) -> int:
        """Bytes that the guest's memory can't exceed; wasmtime's C library can't tell what it uses."""
        return self.limits.memory

    def fuel_left(self) -> int:
        """Units of fuel that the guest may still use; for guests of a workflow's engine."""
        out = ctypes.c_uint64()
        error = abi.get_fuel(self.ctx, ctypes.addressof(out))
        if error:
            raise ValueError(abi.take_error(error))
        return out.value

    async def run(self, params: Sequence[Any]) -> Returned | Trapped:
        """Instantiate and call. The guest must be closed afterwards, whatever happened."""
        base = self.base
        self._start(
            abi.instantiate_async(
                self._linked.address, self.ctx, self._linked.component_address, base + _INSTANCE, base + _ERROR
            )
        )
        trapped = await self._drive()
        if trapped is not None:
            return trapped
        self._start(self._begin_call(params))
        trapped = await self._drive()
        if trapped is not None:
            return trapped
        lift = self._export.codec.lift_result
        if lift is None:
            return Returned(None)
        self.left = self.value_limit
        try:
            return Returned(lift(base + _RESULT, self))
        except ValueSizeError:
            return Trapped("value_size", f"the result has more than {self.value_limit} bytes", ())

    def _begin_call(self, params: Sequence[Any]) -> int:
        codec, base = self._export.codec, self.base
        if len(params) != len(codec.lowers):
            raise ValueShapeError(f"{len(codec.lowers)} parameters", params)
        if not abi.instance_function(base + _INSTANCE, self.ctx, self._export.index, base + _FUNCTION):
            raise CallerError("no_such_export", f"the component doesn't export {self._export.name}")
        address = base + _ARGUMENTS
        for lower, value in zip(codec.lowers, params, strict=True):
            self._lowered += 1
            lower(value, address, self)
            address += VALUE
        future: int = abi.call_async(
            base + _FUNCTION,
            self.ctx,
            base + _ARGUMENTS,
            len(params),
            base + _RESULT,
            0 if codec.lift_result is None else 1,
            base + _ERROR,
        )
        return future

    def _start(self, future: int) -> None:
        self._future = future
        self.finished = False

    def run_slice(self) -> bool:
        """Resume the fiber. True: its epoch has ended and it wants another slice; else it ended or parked."""
        if self._running or self.finished or not self._future:
            raise RuntimeError("a guest is run by one thread at a time, and not after its end")
        ticker = self._linked.ticker
        if ticker is not None:
            ticker.seen = True
            if not ticker.awake:
                ticker.wake()
        self._running = True
        began = time.perf_counter()
        try:
            self.finished = finished = abi.future_poll(self._future)
        finally:
            self._running = False
            self._used += time.perf_counter() - began
        return not finished and self.call is None

    async def _drive(self) -> Trapped | None:
        """Run the fiber to the end of its future."""
        scheduler = self._linked.scheduler
        while True:
            if scheduler.crowded:
                await scheduler.turn()
            # Epochs that passed while it was parked, or waited for its turn, are no part of its slice.
            abi.set_epoch_deadline(self.ctx, 1)
            again = self.run_slice()
            while again:
                again = await self._compute()
            if self.finished:
                return self._end()
            await self._answer()

    async def _compute(self) -> bool:
        """Get another slice, here or on a compute thread."""
        if self.gave_way:
            return await self._take_turn()
        scheduler = self._linked.scheduler
        scheduler.used_slice()
        self._slices = 1 if self._budget_calls() else self._slices + 1
        if self._slices <= _SLICES_AT_HOME or not scheduler.computes:
            await scheduler.turn()
            return self.run_slice()
        self.away = True
        try:
            await scheduler.compute(self)
        finally:
            self.away = False
            self._used = 0.0  # of the loop's time
            self._drop_deferred()
        return False

    async def _take_turn(self) -> bool:
        """Have the guest that gave way wait for a turn of the loop, and answer its call."""
        self._budget_calls()
        await self._linked.scheduler.turn()
        self.gave_way = False
        MEM[self.flag] = 1
        abi.set_epoch_deadline(self.ctx, 1)
        return self.run_slice()

    def _budget_calls(self) -> int:
        """Choose, by what the latest host calls took, how many are the next credit; tell how many they were."""
        calls_left = self.calls_left + self.credit
        calls, self._calls_seen = self._calls_seen - calls_left, calls_left
        if calls:
            self.portion = max(1, min(int(calls * _SHARE / max(self._used, 1e-6)), _PORTION_MAX))
        self.credit = min(self.portion, calls_left)
        self.calls_left = calls_left - self.credit
        self._used = 0.0
        return calls

    def _drop_deferred(self) -> None:
        while self.dropped:
            self.table.drop(self.dropped.pop(0))

    async def _answer(self) -> None:
        """Make the answer to the parked host call and write it where the guest expects it."""
        call = self.call
        if call is None:
            return
        try:
            answer = call.coroutine or call.host.function(self, *call.arguments)
            if type(answer) is CoroutineType:
                call.coroutine = answer
                answer = await answer
            if call.host.lower is not None:
                call.host.lower(answer, call.results, self)
        except (asyncio.CancelledError, GeneratorExit):
            raise
        except BaseException as raised:  # noqa: BLE001 - the guest boundary: raised again once the guest has trapped
            self._fail(call, raised)
        self.call = None
        MEM[self.flag] = 1

    def _fail(self, call: ParkedCall, raised: BaseException) -> None:
        """Make the guest trap where it called, for the sake of its backtrace.

        A callback that has returned can't give an error any more; so the answer becomes a value of a wrong type. A
        function without result has no place for one: then the guest is dropped without a backtrace.
        """
        self.host_error = raised
        if call.host.lower is None:
            raise raised
        abi.value_delete(call.results)
        MEM[call.results : call.results + VALUE] = abi.ZEROES
        if call.host.codec.result_is_bool:
            MEM[call.results] = K_U8

    def _end(self) -> Trapped | None:
        abi.future_delete(self._future)
        self._future = 0
        error = U64[(self.base + _ERROR) >> 3]
        if not error:
            return None
        U64[(self.base + _ERROR) >> 3] = 0
        trapped = trap_of(abi.take_error(error))
        raised = self.host_error
        if raised is None:
            return trapped
        if isinstance(raised, GuestStopped):
            return Trapped(raised.kind, str(raised), trapped.backtrace)
        if trapped.backtrace:
            raised.add_note("wasm backtrace:\n" + "\n".join(trapped.backtrace))
        raise raised

    def close(self) -> None:
        """Free everything: the future first, which unwinds the fiber, then the store; then drop the host's objects.

        Raises:
            ExceptionGroup: of what dropping resources raised; everything is freed nevertheless.
        """
        if self._running:
            raise RuntimeError("a guest can't be closed from inside its own host call")
        if self._future:
            abi.future_delete(self._future)
            self._future = 0
        call, self.call = self.call, None
        if call is not None and call.coroutine is not None:
            call.coroutine.close()
        if self._store:
            del GUESTS[self.ctx]
            abi.store_delete(self._store)
            self._store = 0
            self._free_values()
        self.table.clear()

    def _free_values(self) -> None:
        base = self.base
        for i in range(self._lowered):
            abi.value_delete(base + _ARGUMENTS + i * VALUE)
        self._lowered = 0
        abi.value_delete(base + _RESULT)


def buffer_type(parameters: int) -> type["ctypes.Array[ctypes.c_ubyte]"]:
    """Give the buffer that a guest needs for a function of so many parameters."""
    return ctypes.c_ubyte * (_ARGUMENTS + parameters * VALUE)


async def run_guest(
    linked: "Binding", ffqn: Ffqn, params: Sequence[Any], context: Any, limits: GuestLimits
) -> Returned | Trapped:
    """Run one guest from its making to its end; `LinkedComponent.run` says how."""
    guest = Guest(linked, linked.export(ffqn), context, limits)
    try:
        return await guest.run(params)
    except GuestStopped as stopped:
        return Trapped(stopped.kind, str(stopped), ())
    finally:
        guest.close()
