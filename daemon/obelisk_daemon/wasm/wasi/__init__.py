"""Virtual WASI 0.2: every function of it that a guest can call is ours, so nothing reaches the machine unjudged.

Handlers take the guest and plain values (`execution.wit_types`) and give a plain value, or a coroutine of one. What
they may reach is in the `WasiContext` that the guest runs with.
"""

import re
from collections.abc import Callable
from typing import Final

from obelisk_daemon.wasm.wasi import (
    cli,
    clocks,
    filesystem,
    http_fields,
    http_outgoing,
    http_request,
    http_response,
    poll,
    randomness,
    sockets,
    streams,
)

_INTERFACE: Final = re.compile(r"wasi:(?P<name>[a-z-]+/[a-z0-9-]+)@0\.2\.[0-9]+")
_HANDLERS: Final[dict[str, Callable[..., object]]] = {
    name: handler
    for module in (
        cli,
        clocks,
        filesystem,
        http_fields,
        http_outgoing,
        http_request,
        http_response,
        poll,
        randomness,
        sockets,
        streams,
    )
    for name, handler in module.HANDLERS.items()
}


def resolve(interface: str, function: str) -> Callable[..., object] | None:
    """Give the handler of a function of any `wasi:*@0.2.x` interface.

    None where there is none: for other interfaces, and for functions that a guest can import but never reach, since
    nothing here gives it the resource that they need (files, sockets, incoming requests).
    """
    match = _INTERFACE.fullmatch(interface)
    return _HANDLERS.get(f"{match['name']}.{function}") if match else None
