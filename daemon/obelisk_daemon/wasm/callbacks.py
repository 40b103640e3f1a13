"""What wasmtime calls back: a host function, and the drop of a resource. Both run on the guest's fiber stack.

The rules, whose breach aborts the process: the continuation is set by the first statements; nothing is ever raised into
C; arguments are lifted before the callback returns, since they die with it; the error is read once, when it returns;
nobody calls back into the same store. And since the stack is a fiber's, small: what recurses deeply in C, as `repr` of
a deeply nested list does, belongs in a coroutine, which runs on the thread's own stack.
"""

import ctypes
from collections.abc import Callable, Coroutine
from ctypes import c_size_t, c_uint32, c_void_p
from itertools import count
from types import CoroutineType
from typing import Any, Final, TypeAlias

from obelisk_daemon.wasm.abi import MEM, READY, STRLEN, U64, address_of, make_error
from obelisk_daemon.wasm.codec import FunctionCodec
from obelisk_daemon.wasm.resources import GuestStopped, Resources
from obelisk_daemon.wasm.values import Crossing, ValueSizeError

HostFunction: TypeAlias = Callable[..., object]
"""Called as `fn(guest, *plain arguments)`; gives a plain value, or a coroutine of one, and then the guest parks."""


class HostImport:
    """A function of the host as one linked component imports it."""

    __slots__ = ("codec", "function", "lift", "lower", "name")

    def __init__(self, name: str, function: HostFunction, codec: FunctionCodec) -> None:
        self.name = name
        self.function = function
        self.codec = codec
        self.lift = codec.lift_arguments
        self.lower = codec.lower_result


class ParkedCall:
    """A host call whose guest waits for the answer.

    `coroutine` makes the answer. It is None when the guest called from a compute thread: then the host function has
    yet to be called with `arguments`, on the loop.
    """

    __slots__ = ("arguments", "coroutine", "host", "results")

    def __init__(
        self, host: HostImport, coroutine: Coroutine[Any, Any, Any] | None, arguments: list[Any], results: int
    ) -> None:
        self.host = host
        self.coroutine = coroutine
        self.arguments = arguments
        self.results = results


class Calling(Crossing):
    """The side of a guest that callbacks see."""

    __slots__ = (
        "away", "call", "calls_left", "credit", "dropped", "flag", "gave_way", "host_error", "portion", "table",
        "value_limit",
    )  # fmt: skip
    away: bool
    """The guest runs on a compute thread: nothing of the host may run now."""
    call: ParkedCall | None
    calls_left: int
    """Host calls that the guest may make beyond its credit."""
    credit: int
    """Host calls until it gives way to all else that the loop has to do."""
    portion: int
    """The credit that it gets each time."""
    gave_way: bool
    dropped: list[int]
    """Resources dropped while away, for the loop to drop."""
    flag: int
    """Address of the byte that says whether the parked call is answered."""
    host_error: BaseException | None
    """What a host function raised; the trap that it became carries its text only."""
    table: Resources
    value_limit: int

    def give_way(self) -> None:
        """Take the next credit, and have the guest wait once this call is answered, as if the answer came later."""
        if self.calls_left <= 0:
            raise GuestStopped("host_calls", "the guest made more host calls than its limit allows")
        granted = min(self.portion, self.calls_left)
        self.calls_left -= granted
        self.credit = granted - 1
        self.gave_way = True
        MEM[self.flag] = 0


GUESTS: Final[dict[int, Calling]] = {}
"""Live guests by the address of their store's context: all that a callback gets."""
IMPORTS: Final[dict[int, HostImport]] = {}
"""Host functions by the number that a callback gets."""
NUMBERS: Final = count(1)

_MESSAGE_MAX: Final = 1_000

_HOST_CALL: Final = ctypes.CFUNCTYPE(
    None, c_void_p, c_void_p, c_void_p, c_void_p, c_size_t, c_void_p, c_size_t, c_void_p, c_void_p
)
_DROP: Final = ctypes.CFUNCTYPE(c_size_t, c_void_p, c_void_p, c_uint32)


def _host_call(number: int, ctx: int, _type: int, arguments: int, *rest: int) -> None:
    _count, results, _result_count, error, then = rest
    then >>= 3
    U64[then] = STRLEN
    U64[then + 1] = READY
    try:
        guest = GUESTS[ctx]
        host = IMPORTS[number]
        guest.credit -= 1
        if guest.credit < 0:
            guest.give_way()
            U64[then + 1] = guest.flag
        guest.left = guest.value_limit
        lifted = host.lift(arguments, guest)
        if guest.away:
            guest.call = ParkedCall(host, None, lifted, results)
        else:
            answer = host.function(guest, *lifted)
            if type(answer) is not CoroutineType:
                if host.lower is not None:
                    host.lower(answer, results, guest)
                return
            guest.call = ParkedCall(host, answer, lifted, results)
        MEM[guest.flag] = 0
        U64[then + 1] = guest.flag
    except BaseException as raised:  # noqa: BLE001 - raising into C aborts the process; `Guest` raises it again
        U64[then + 1] = READY
        U64[error >> 3] = _record(ctx, raised)


def _resource_dropped(_data: int | None, ctx: int, rep: int) -> int:
    try:
        guest = GUESTS.get(ctx)
        if guest is not None:
            if guest.away:
                guest.dropped.append(rep)
            else:
                guest.table.drop(rep)
    except BaseException as raised:  # noqa: BLE001 - as above
        return _record(ctx, raised)
    return 0


def _record(ctx: int, raised: BaseException) -> int:
    """Keep what was raised for the guest's runner, and make the error that traps the guest."""
    guest = GUESTS.get(ctx)
    if isinstance(raised, ValueSizeError):
        limit = guest.value_limit if guest else 0
        raised = GuestStopped("value_size", f"the guest passed values of more than {limit} bytes to the host")
    if guest is not None and guest.host_error is None:
        guest.host_error = raised
    return make_error(f"the host function raised {type(raised).__name__}: {raised}"[:_MESSAGE_MAX])


# Both live as long as the process: a linker keeps their address.
_ON_HOST_CALL: Final = _HOST_CALL(_host_call)
_ON_DROP: Final = _DROP(_resource_dropped)
HOST_CALL: Final = address_of(_ON_HOST_CALL)
RESOURCE_DROPPED: Final = address_of(_ON_DROP)
