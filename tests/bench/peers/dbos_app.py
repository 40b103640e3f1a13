"""The workloads, written for DBOS. Runs in DBOS's own environment: `python dbos_app.py URL FORM SHAPE`; prints JSON.

FORM is `sync` (threads) or `async` (coroutines of one loop), SHAPE a `Shape` in JSON. A workflow is called as function,
which waits for its result: the form in DBOS's documentation with the fewest statements. Its pool has a connection for
each client, and it logs errors only. A step does what our activity does: it computes a Fibonacci number.
"""

import asyncio
import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from dbos import DBOS, DBOSConfig

url, form, shape = sys.argv[1:]
steps, short, concurrent, seconds = json.loads(shape)


def fibonacci(n: int) -> int:
    a, b = 0, 1
    for _ in range(n):
        a, b = b, a + b
    return a


@DBOS.step()
def step(n: int) -> int:
    return fibonacci(n)


@DBOS.step()
async def step_async(n: int) -> int:
    return fibonacci(n)


@DBOS.workflow()
def repeat(n: int, times: int) -> int:
    result = 0
    for _ in range(times):
        result = step(n)
    return result


@DBOS.workflow()
async def repeat_async(n: int, times: int) -> int:
    result = 0
    for _ in range(times):
        result = await step_async(n)
    return result


def measured() -> dict[str, object]:
    repeat(10, steps // 5)
    began = time.perf_counter()
    assert repeat(10, steps) == 55
    serial = steps / (time.perf_counter() - began)
    many(seconds / 3)
    rate, latencies = many(seconds)
    return {"serial": serial, "rate": rate, "latencies": latencies}


async def measured_async() -> dict[str, object]:
    await repeat_async(10, steps // 5)
    began = time.perf_counter()
    assert await repeat_async(10, steps) == 55
    serial = steps / (time.perf_counter() - began)
    await many_async(seconds / 3)
    rate, latencies = await many_async(seconds)
    return {"serial": serial, "rate": rate, "latencies": latencies}


def many(duration: float) -> tuple[float, list[float]]:
    began = time.perf_counter()

    def client(_: int) -> list[float]:
        found = []
        while (at := time.perf_counter()) < began + duration:
            assert repeat(10, short) == 55
            found.append(time.perf_counter() - at)
        return found

    with ThreadPoolExecutor(concurrent) as clients:
        found = [latency for some in clients.map(client, range(concurrent)) for latency in some]
    return len(found) / (time.perf_counter() - began), found


async def many_async(duration: float) -> tuple[float, list[float]]:
    began = time.perf_counter()

    async def client() -> list[float]:
        found = []
        while (at := time.perf_counter()) < began + duration:
            assert await repeat_async(10, short) == 55
            found.append(time.perf_counter() - at)
        return found

    found = [latency for some in await asyncio.gather(*[client() for _ in range(concurrent)]) for latency in some]
    return len(found) / (time.perf_counter() - began), found


def main() -> None:
    config: DBOSConfig = {
        "name": "bench",
        "system_database_url": url,
        "sys_db_pool_size": concurrent,
        "log_level": "ERROR",
    }
    DBOS(config=config)
    DBOS.launch()
    print(json.dumps(asyncio.run(measured_async()) if form == "async" else measured()))
    DBOS.destroy()


if __name__ == "__main__":
    main()
