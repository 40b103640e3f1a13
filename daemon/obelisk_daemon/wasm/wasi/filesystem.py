"""wasi:filesystem: there is none. A guest finds no preopened directory, so it can never hold a descriptor."""

from typing import Final

from obelisk_daemon.wasm.wasi.context import HandlerTable, WasiGuest


def _directories(_guest: WasiGuest) -> list[object]:
    return []


def _error_code(_guest: WasiGuest, _error: int) -> None:
    """Answer `none`: no stream error here comes from a file."""


HANDLERS: Final[HandlerTable] = {
    "filesystem/preopens.get-directories": _directories,
    "filesystem/types.filesystem-error-code": _error_code,
}
