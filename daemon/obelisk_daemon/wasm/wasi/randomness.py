"""wasi:random, from the one source that the context was given."""

from typing import Final

from obelisk_daemon.wasm.resources import GuestStopped
from obelisk_daemon.wasm.wasi.context import HandlerTable, WasiGuest, wasi_of

_MAX_BYTES: Final = 1024 * 1024


def _bytes(guest: WasiGuest, length: int) -> bytes:
    if length > _MAX_BYTES:
        raise GuestStopped("trap", f"the guest asked for {length} random bytes at once; {_MAX_BYTES} is the limit")
    return wasi_of(guest).random(length)


def _u64(guest: WasiGuest) -> int:
    return int.from_bytes(wasi_of(guest).random(8), "little")


def _seed(guest: WasiGuest) -> list[int]:
    return [_u64(guest), _u64(guest)]


HANDLERS: Final[HandlerTable] = {
    "random/random.get-random-bytes": _bytes,
    "random/random.get-random-u64": _u64,
    "random/insecure.get-insecure-random-bytes": _bytes,
    "random/insecure.get-insecure-random-u64": _u64,
    "random/insecure-seed.insecure-seed": _seed,
}
