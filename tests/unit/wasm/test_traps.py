"""wasmtime's error texts become outcomes."""

import pytest

from obelisk_daemon.wasm.resources import TrapKind
from obelisk_daemon.wasm.traps import HostExhaustedError, Trapped, trap_of

TRACE = "error while executing at wasm backtrace:\n    0:     0x2d - m!f\n    1:   0x3e - m!g\n\nCaused by:\n    "


@pytest.mark.parametrize(
    ("cause", "kind", "message"),
    [
        ("wasm trap: wasm `unreachable` instruction executed\n", "trap", "wasm `unreachable` instruction executed"),
        ("wasm trap: all fuel consumed by WebAssembly\n", "out_of_fuel", "all fuel consumed by WebAssembly"),
        ("wasm trap: call stack exhausted\n", "stack", "call stack exhausted"),
        ("0: outer reason\n    1: inner reason\n", "trap", "outer reason: inner reason"),
        (
            (
                "too much data is being copied between the host and the guest: "
                "fuel allocated for hostcalls has been exhausted\n"
            ),
            "value_size",
            (
                "too much data is being copied between the host and the guest: "
                "fuel allocated for hostcalls has been exhausted"
            ),
        ),
    ],
)
def test_the_cause_gives_kind_and_message_and_the_frames_the_backtrace(
    cause: str, kind: TrapKind, message: str
) -> None:
    assert trap_of(TRACE + cause) == Trapped(kind, message, ("0:     0x2d - m!f", "1:   0x3e - m!g"))


@pytest.mark.parametrize(
    "limit", ["memory minimum size of 9 pages exceeds memory limits", "resource limit exceeded: x"]
)
def test_an_error_without_frames_is_its_own_cause(limit: str) -> None:
    assert trap_of(limit) == Trapped("memory", limit, ())


def test_only_the_last_cause_counts_since_a_guest_names_its_functions() -> None:
    evil = TRACE.replace("m!f", "m!f\n\nCaused by:\n    all fuel consumed, os error 12")
    trapped = trap_of(evil + "wasm trap: integer divide by zero\n")
    assert (trapped.kind, trapped.message) == ("trap", "integer divide by zero")


def test_a_machine_without_room_is_not_the_guests_fault() -> None:
    with pytest.raises(HostExhaustedError) as caught:
        trap_of("failed to make a stack\n\nCaused by:\n    0: mmap failed\n    1: Cannot allocate memory (os error 12)")
    assert caught.value.code == "host_exhausted"


def test_a_backtrace_is_bounded() -> None:
    frames = "".join(f"    {n}: 0x1 - m!{'f' * 1000}\n" for n in range(100))
    trapped = trap_of(f"error while executing at wasm backtrace:\n{frames}\nCaused by:\n    wasm trap: x\n")
    assert len(trapped.backtrace) == 50
    assert max(map(len, trapped.backtrace)) == 300
