"""wasi:cli: environment, arguments, standard streams and exit."""

from typing import Any, Final

from obelisk_daemon.wasm.resources import GuestStopped
from obelisk_daemon.wasm.wasi.context import HandlerTable, OutputStreamName, WasiGuest, wasi_of
from obelisk_daemon.wasm.wasi.streams import EmptyInput, SinkOutput


def _environment(guest: WasiGuest) -> list[list[str]]:
    return [[name, value] for name, value in wasi_of(guest).environ.items()]


def _arguments(guest: WasiGuest) -> list[str]:
    return list(wasi_of(guest).args)


def _nothing(_guest: WasiGuest) -> None:
    """Answer `none`: there is no directory, and no standard stream is a terminal."""


def _stdin(guest: WasiGuest) -> int:
    return guest.table.new(EmptyInput())


def _stdout(guest: WasiGuest) -> int:
    return _output(guest, "stdout")


def _stderr(guest: WasiGuest) -> int:
    return _output(guest, "stderr")


def _output(guest: WasiGuest, name: OutputStreamName) -> int:
    sink = wasi_of(guest).output
    return guest.table.new(SinkOutput(lambda data: sink(name, data)))


def _exit(_guest: WasiGuest, status: dict[str, Any]) -> None:
    raise GuestStopped("exit", f"the guest called exit with {'success' if 'ok' in status else 'failure'}")


def _exit_with_code(_guest: WasiGuest, status: int) -> None:
    raise GuestStopped("exit", f"the guest called exit with status {status}")


HANDLERS: Final[HandlerTable] = {
    "cli/environment.get-environment": _environment,
    "cli/environment.get-arguments": _arguments,
    "cli/environment.initial-cwd": _nothing,
    "cli/stdin.get-stdin": _stdin,
    "cli/stdout.get-stdout": _stdout,
    "cli/stderr.get-stderr": _stderr,
    "cli/terminal-stdin.get-terminal-stdin": _nothing,
    "cli/terminal-stdout.get-terminal-stdout": _nothing,
    "cli/terminal-stderr.get-terminal-stderr": _nothing,
    "cli/exit.exit": _exit,
    "cli/exit.exit-with-code": _exit_with_code,
}
