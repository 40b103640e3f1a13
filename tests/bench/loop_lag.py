"""What guests that compute cost everybody else. Run as `python -m tests.bench.loop_lag`.

Prints the loop's lag with four spinning guests (bound: 99th percentile under 20 ms), and how much longer two computing
guests take than one.
"""

import asyncio
import time

from obelisk_daemon.wasm.engine import Engines
from obelisk_daemon.wasm.guest import GuestLimits
from obelisk_daemon.wasm.linker import LinkedComponent
from tests.integration.wasm.loading import FIBO, load

SPINNERS = 4
SECONDS = 3.0
ROUNDS = 6
"""The least of several is compared: other processes may hold a core for a while."""
LIMITS = GuestLimits()


async def measure_lag(seconds: float) -> list[float]:
    """Sleep 1 ms at a time; give by how many milliseconds each was late."""
    lags = []
    end = time.perf_counter() + seconds
    while (start := time.perf_counter()) < end:
        await asyncio.sleep(0.001)
        lags.append((time.perf_counter() - start - 0.001) * 1000)
    return sorted(lags)


async def spinning(engines: Engines) -> list[float]:
    linked = LinkedComponent(load(engines, "spin"), lambda *_: None)
    tasks = [asyncio.create_task(linked.run(FIBO, [1], None, LIMITS)) for _ in range(SPINNERS)]
    lags = await measure_lag(SECONDS)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return lags


async def fibonacci(engines: Engines, guests: int) -> float:
    linked = LinkedComponent(load(engines, "fibo-activity"), lambda *_: None)
    start = time.perf_counter()
    await asyncio.gather(*[linked.run(FIBO, [39], None, LIMITS) for _ in range(guests)])
    return time.perf_counter() - start


async def measure() -> None:
    engines = Engines()
    idle = await measure_lag(1.0)
    lags = await spinning(engines)
    times = [(await fibonacci(engines, 1), await fibonacci(engines, 2)) for _ in range(ROUNDS)]
    one, two = min(t for t, _ in times), min(t for _, t in times)
    engines.close()

    def point(values: list[float], part: float) -> float:
        return values[int(len(values) * part)]

    print(f"loop lag, idle:                p50 {point(idle, 0.5):6.2f} ms   p99 {point(idle, 0.99):6.2f} ms")
    print(
        f"loop lag, {SPINNERS} spinning guests:   p50 {point(lags, 0.5):6.2f} ms   p99 {point(lags, 0.99):6.2f} ms"
        f"   max {lags[-1]:.2f} ms   (bound: p99 < 20 ms)"
    )
    print(f"one computing guest {one:.3f} s, two {two:.3f} s: {two / one:.2f} times as long")


def main() -> None:
    asyncio.run(measure())


if __name__ == "__main__":
    main()
