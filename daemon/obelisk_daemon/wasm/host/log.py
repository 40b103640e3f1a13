"""`obelisk:log/log@1.0.0`, for activities and workflows."""

from collections.abc import Callable
from typing import Final

from obelisk_daemon.wasm.host.context import HostedGuest, LogLevel

_INTERFACE: Final = "obelisk:log/log@1.0.0"
_LEVELS: Final[tuple[LogLevel, ...]] = ("trace", "debug", "info", "warn", "error")


def resolve(interface: str, function: str) -> Callable[..., object] | None:
    """Give the host function of an import, if it is of this interface."""
    if interface != _INTERFACE:
        return None
    level = next((level for level in _LEVELS if level == function), None)
    return None if level is None else _logging(level)


def _logging(level: LogLevel) -> Callable[..., object]:
    def log(guest: HostedGuest, message: str) -> None:
        guest.context.log.line(level, message)

    return log
