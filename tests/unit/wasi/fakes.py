"""A guest without wasm: handlers are called as the linker calls them."""

import inspect
from itertools import count
from types import SimpleNamespace

from obelisk_daemon.wasm.resources import Resources
from obelisk_daemon.wasm.wasi import resolve
from obelisk_daemon.wasm.wasi.context import WasiContext


class FakeClock:
    """Time that moves when someone sleeps."""

    def __init__(self) -> None:
        self.wall = 1_700_000_000_123_456_789
        self.now = 5_000
        self.slept: list[int] = []

    def wall_ns(self) -> int:
        return self.wall

    def monotonic_ns(self) -> int:
        return self.now

    async def sleep_until(self, monotonic_ns: int) -> None:
        self.slept.append(monotonic_ns)
        self.now = max(self.now, monotonic_ns)


class FakeGuest:
    def __init__(self) -> None:
        self.clock = FakeClock()
        self.printed: list[tuple[str, bytes]] = []
        numbers = count(1)
        self.wasi = WasiContext(
            clock=self.clock,
            random=lambda n: bytes(next(numbers) % 256 for _ in range(n)),
            output=lambda stream, data: self.printed.append((stream, data)),
        )
        self.context = SimpleNamespace(wasi=self.wasi)
        self.table = Resources(100)

    def call(self, name: str, *args):
        """Call `package/interface.function`; the answer may be a coroutine."""
        interface, _, function = name.partition(".")
        handler = resolve(f"wasi:{interface}@0.2.3", function)
        assert handler is not None, name
        return handler(self, *args)

    async def wait(self, name: str, *args):
        """Call and wait for the answer."""
        answer = self.call(name, *args)
        return await answer if inspect.iscoroutine(answer) else answer
