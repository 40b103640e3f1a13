"""The outcomes of a guest, and their reading from wasmtime's error texts: its C library gives no codes for these."""

import re
from typing import Any, Final

import msgspec

from obelisk_daemon.errors import ObeliskError
from obelisk_daemon.wasm.resources import TrapKind


class Returned(msgspec.Struct, frozen=True):
    """The function returned; `value` is plain, None for a function without result."""

    value: Any


class Trapped(msgspec.Struct, frozen=True):
    """The guest was stopped, by itself or by a limit."""

    kind: TrapKind
    message: str
    backtrace: tuple[str, ...] = ()
    """Wasm frames, the innermost first; empty where wasmtime gave none."""


class HostExhaustedError(ObeliskError):
    """This machine had no room for a guest. The guest is not to blame: run it again later."""

    def __init__(self, message: str) -> None:
        super().__init__("host_exhausted", f"no room for a guest on this machine: {message}")


_KINDS: Final[tuple[tuple[str, TrapKind], ...]] = (
    ("all fuel consumed", "out_of_fuel"),
    ("call stack exhausted", "stack"),
    ("exceeds memory limits", "memory"),
    ("memory minimum size", "memory"),
    ("table minimum size", "memory"),
    ("resource limit exceeded", "memory"),
    ("GC heap out of memory", "memory"),
    ("fuel allocated for hostcalls has been exhausted", "value_size"),
)
_EXHAUSTED: Final = ("os error 12", "failed to allocate", "failed to create mmap", "mmap failed")
_TRACE: Final = "error while executing at wasm backtrace:"
_CAUSES: Final = "\nCaused by:\n"
_FRAMES_MAX: Final = 50
_FRAME_LENGTH: Final = 300


def trap_of(text: str) -> Trapped:
    """Split wasmtime's text into the cause and the backtrace.

    Only the cause decides the kind: frames hold names that the guest chose, which could pretend anything.

    Raises:
        HostExhaustedError: the machine was short of memory or mappings.
    """
    traced = text.startswith(_TRACE)
    head, _, causes = text.rpartition(_CAUSES) if traced else ("", "", text)
    message = ": ".join(_reasons(causes)).removeprefix("wasm trap: ")
    if any(sign in message for sign in _EXHAUSTED):
        raise HostExhaustedError(message)
    kind: TrapKind = next((kind for sign, kind in _KINDS if sign in message), "trap")
    frames = [line.strip()[:_FRAME_LENGTH] for line in head.removeprefix(_TRACE).splitlines() if line.strip()]
    return Trapped(kind, message, tuple(frames[:_FRAMES_MAX]))


def _reasons(causes: str) -> list[str]:
    """Give the causes, the outermost first, without the numbers that several of them have."""
    lines = [line.strip() for line in causes.splitlines()]
    return [re.sub(r"^\d+: ", "", line) for line in lines if line and line != "Caused by:"]
