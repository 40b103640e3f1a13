"""What a guest costs the host. Run as `python -m tests.bench.host_calls`; the least of several rounds is printed."""

import asyncio
import time
from collections.abc import Callable

from obelisk_daemon.wasm.engine import Engines
from obelisk_daemon.wasm.guest import Guest, GuestLimits
from obelisk_daemon.wasm.linker import LinkedComponent
from obelisk_daemon.wasm.recipe import KINDS
from tests.integration.wasm.loading import FIBO, FIBOA, load

CALLS = 50_000
RUNS = 2_000
ROUNDS = 5
LIMITS = GuestLimits()


def at_once(_guest: Guest, _n: int) -> object:
    return {"ok": 55}


async def async_at_once(_guest: Guest, _n: int) -> object:
    return {"ok": 55}


async def after_a_turn(_guest: Guest, _n: int) -> object:
    await asyncio.sleep(0)
    return {"ok": 55}


async def host_call(linked: LinkedComponent) -> float:
    start = time.perf_counter()
    await linked.run(FIBOA, [10, CALLS], None, LIMITS)
    return (time.perf_counter() - start) / CALLS


async def whole_run(linked: LinkedComponent) -> float:
    start = time.perf_counter()
    for _ in range(RUNS):
        await linked.run(FIBO, [10], None, LIMITS)
    return (time.perf_counter() - start) / RUNS


async def measure() -> None:
    engines = Engines()
    functions: list[tuple[str, Callable[..., object]]] = [
        ("def", at_once),
        ("async def", async_at_once),
        ("async def, one turn of the loop", after_a_turn),
    ]
    for kind in KINDS:
        for name, function in functions:
            linked = LinkedComponent(load(engines, "fibo-workflow", kind), lambda *_, f=function: f)
            best = min([await host_call(linked) for _ in range(ROUNDS)])
            print(f"{kind:8} host call, {name:32} {best * 1e6:6.2f} us")
        linked = LinkedComponent(load(engines, "fibo-activity", kind), lambda *_: None)
        best = min([await whole_run(linked) for _ in range(ROUNDS)])
        print(f"{kind:8} instantiate, call fibo(10), close        {best * 1e6:8.1f} us")
    engines.close()


def main() -> None:
    asyncio.run(measure())


if __name__ == "__main__":
    main()
