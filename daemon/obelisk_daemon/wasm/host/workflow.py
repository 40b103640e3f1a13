"""`obelisk:workflow/workflow-support@6.0.0`, and the direct calls of other components' functions.

Each host function asks the journal first. Replaying, the answer is there and the guest never leaves its fiber;
live, the function gives a coroutine that commits and waits, and the guest parks.
"""

from collections.abc import Callable, Mapping
from typing import Final

from obelisk_daemon.clock import Instant
from obelisk_daemon.execution.events import ChildFinished, ResponseItem
from obelisk_daemon.execution.projection import value_for_caller
from obelisk_daemon.execution.wit_types import FunctionType
from obelisk_daemon.wasm.host.context import HostedGuest, WorkflowHost, workflow_of

HostFunction = Callable[..., object]

_INTERFACE: Final = "obelisk:workflow/workflow-support@6.0.0"
_MICROSECONDS: Final[Mapping[str, int]] = {
    "milliseconds": 1_000,
    "seconds": 1_000_000,
    "minutes": 60_000_000,
    "hours": 3_600_000_000,
    "days": 86_400_000_000,
}
_FARTHEST: Final = 1 << 61
"""Microseconds: farther than that is no time that comes, and the database's integers must not overflow."""


class UnsupportedHostFunctionError(Exception):
    """The guest called a function of the host interface that this version hasn't got."""


def resolve(interface: str, function: str) -> HostFunction | None:
    """Give the host function of an import, if it is of the workflow interfaces.

    A language's bindings import an interface as a whole, so functions of it that this version hasn't got can be
    linked, and stop the guest that calls one.
    """
    if interface == _INTERFACE and function in _FUNCTIONS:
        return _FUNCTIONS[function]
    if interface.startswith(("obelisk:workflow/", "obelisk:types/")):
        return _unsupported(f"{interface}.{function}")
    return None


def calling(ffqn: str, function: FunctionType) -> HostFunction:
    """Make the host function behind an import of another component's function."""

    def call(guest: HostedGuest, *params: object) -> object:
        host = workflow_of(guest)
        join_set = host.journal.call(ffqn, list(params))
        item = host.journal.take(join_set)
        return _wait_for_child(host, join_set, function) if item is None else _child_value(item, function)

    return call


async def _wait_for_child(host: WorkflowHost, join_set: str, function: FunctionType) -> object:
    return _child_value(await host.wait(join_set), function)


def _child_value(item: ResponseItem, function: FunctionType) -> object:
    assert isinstance(item, ChildFinished)
    return value_for_caller(function, item.outcome)


def _execution_id_current(guest: HostedGuest) -> object:
    return {"id": workflow_of(guest).journal.execution_id}


def _random_u64(guest: HostedGuest, low: int, high_exclusive: int) -> object:
    return workflow_of(guest).journal.random_u64(low, high_exclusive)


def _random_u64_inclusive(guest: HostedGuest, low: int, high: int) -> object:
    return workflow_of(guest).journal.random_u64(low, high + 1)


def _random_string(guest: HostedGuest, shortest: int, longest_exclusive: int) -> object:
    return workflow_of(guest).journal.random_string(shortest, longest_exclusive)


def _sleep(guest: HostedGuest, schedule_at: object, name: str | None) -> object:
    host = workflow_of(guest)
    join_set, due_at = host.journal.sleep(_intent(schedule_at), name)
    slept = {"ok": _datetime(due_at)}
    return _wait_for_delay(host, join_set, slept) if host.journal.take(join_set) is None else slept


async def _wait_for_delay(host: WorkflowHost, join_set: str, slept: object) -> object:
    await host.wait(join_set)
    return slept


def _intent(schedule_at: object) -> tuple[str, int]:
    """Read a `schedule-at` as the journal keeps it: microseconds, of the epoch or from now."""
    match schedule_at:
        case {"at": {"seconds": int(seconds), "nanoseconds": int(nanoseconds)}}:
            return ("at", min(seconds * 1_000_000 + nanoseconds // 1_000, _FARTHEST))
        case {"in": dict(duration)}:
            ((unit, amount),) = duration.items()
            return ("in", min(amount * _MICROSECONDS[unit], _FARTHEST))
        case _:
            return ("now", 0)


def _datetime(at: Instant) -> object:
    seconds, micros = divmod(at, 1_000_000)
    return {"seconds": seconds, "nanoseconds": micros * 1_000}


def _unsupported(name: str) -> HostFunction:
    def refuse(_guest: HostedGuest, *_params: object) -> object:
        raise UnsupportedHostFunctionError(f"{name} is not supported by this version of obeliskd")

    return refuse


_FUNCTIONS: Final[Mapping[str, HostFunction]] = {
    "execution-id-current": _execution_id_current,
    "random-u64": _random_u64,
    "random-u64-inclusive": _random_u64_inclusive,
    "random-string": _random_string,
    "sleep": _sleep,
}
