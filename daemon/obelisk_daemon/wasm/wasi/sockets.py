"""wasi:sockets: refused. A guest reaches the network through wasi:http only, where every address is checked.

No socket can be made, so the methods of sockets can never be called.
"""

from typing import Any, Final

from obelisk_daemon.wasm.wasi.context import HandlerTable, WasiGuest


class Network:
    """The handle of a network that lets nothing through."""


def _network(guest: WasiGuest) -> int:
    return guest.table.new(Network())


def _refuse(_guest: WasiGuest, *_arguments: object) -> dict[str, Any]:
    return {"err": "access_denied"}


def _error_code(_guest: WasiGuest, _error: int) -> None:
    """Answer `none`: no stream error here comes from a socket."""


HANDLERS: Final[HandlerTable] = {
    "sockets/instance-network.instance-network": _network,
    "sockets/network.network-error-code": _error_code,
    "sockets/tcp-create-socket.create-tcp-socket": _refuse,
    "sockets/udp-create-socket.create-udp-socket": _refuse,
    "sockets/ip-name-lookup.resolve-addresses": _refuse,
}
