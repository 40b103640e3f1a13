"""Resolving names, off the loop."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final, TypeAlias

Resolver: TypeAlias = Callable[[str, int], Awaitable[Sequence[str]]]
"""Gives the addresses of a name for a port, best first; raises `socket.gaierror`."""

_THREADS: Final = 16


class SystemResolver:
    """The resolver of the machine, on threads of its own: slow name servers must not hold up other work."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="obelisk-dns")

    async def __call__(self, host: str, port: int) -> list[str]:
        """Ask the system, without duplicates."""
        ask = partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
        found = await asyncio.get_running_loop().run_in_executor(self._threads, ask)
        return list(dict.fromkeys(str(entry[4][0]) for entry in found))

    def close(self) -> None:
        """Let the threads end; questions not yet asked are given up."""
        self._threads.shutdown(wait=False, cancel_futures=True)
