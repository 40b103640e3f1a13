"""Activities that send HTTP requests: `http`."""

import asyncio
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Final

import wasmtime
from wasmtime import component as wc

from obelisk_daemon.clock import SystemClock
from obelisk_daemon.ffqn import Ffqn
from obelisk_daemon.wasm import wasi
from obelisk_daemon.wasm.compile import Compiler
from obelisk_daemon.wasm.engine import Engines
from obelisk_daemon.wasm.guest import GuestLimits, Returned
from obelisk_daemon.wasm.host.context import GuestContext
from obelisk_daemon.wasm.linker import LinkedComponent
from obelisk_daemon.wasm.wasi.client import HttpClient
from obelisk_daemon.wasm.wasi.clocks import ActivityClock
from obelisk_daemon.wasm.wasi.context import WasiContext
from obelisk_daemon.wasm.wasi.egress import EgressPolicy, parse_allowed_host
from tests import guests
from tests.bench.client import Client, connected, share
from tests.bench.daemon import Daemon, scratch
from tests.bench.measuring import Done, Sample, counter, measure, processor, row, rss_bytes
from tests.bench.rows import Goal, Row
from tests.bench.run import Run
from tests.bench.slow_server import answering_after

GET: Final = "example:http/client.get"
NUMBER: Final = 1_000
_GUEST: Final = "http-js"
_DELAY: Final = 0.2
_SECONDS: Final = 5.0
_EACH: Final = 10
"""MiB that a guest may have. So many at once make the budget: the daemon has no key for it but these two."""
_BUDGET: Final = 1_024
_CLIENTS: Final = 50
_SINGLE: Final = 100
_NATIVE: Final = 1.6
_LOOK: Final = 0.5
"""Seconds between two looks at the budget: each costs the daemon as much as an activity."""


def http(run: Run) -> Iterator[Row]:
    """Measure 1,000 `fetch` activities of a slow server, and single ones beside wasmtime's own wasi:http."""
    with answering_after(_DELAY) as slow, answering_after(0) as quick, scratch() as directory:
        text = _manifest(slow, quick)
        with run.daemon(directory, text, "http") as daemon:
            _many(daemon, slow, 20, [])
            bounds: list[float] = []
            before = rss_bytes(daemon.process.pid)
            many, alone = run.in_turns(
                lambda: _many(daemon, slow, NUMBER, bounds),
                lambda: measure(daemon, lambda: asyncio.run(_alone(daemon, quick))),
            )
            grown = (rss_bytes(daemon.process.pid) - before) / (1 << 20)
        yield row(f"http: {NUMBER:,} of a server that takes 0.2 s", "1/s", many)
        yield from processor(f"http: {NUMBER:,}", many)
        seconds = Run.median([one.seconds for one in many])
        yield Row(f"http: till all {NUMBER:,} are done", seconds, "s", goal=Goal(_SECONDS, most=True))
        yield Row("http: what guests may use at once, at most", max(bounds), "MiB", goal=Goal(_BUDGET, most=True))
        yield Row("http: growth of the daemon", grown, "MiB", goal=Goal(_BUDGET, most=True))
        yield row("http: one GET at a time, durable, of a quick server", "1/s", alone)
        with _virtual(directory) as virtual, _native() as native:
            ours, theirs = run.in_turns(partial(virtual, quick), partial(native, quick))
    own, wasmtimes = Run.median(ours), Run.median(theirs)
    yield Row("http: one GET by a guest, our wasi:http", 1_000 * own, "ms")
    yield Row("http: one GET by a guest, wasmtime's wasi:http", 1_000 * wasmtimes, "ms")
    yield Row("http: ours / wasmtime's", own / wasmtimes, "x", goal=Goal(_NATIVE, most=True))


def _manifest(*urls: str) -> str:
    settings = {"limits": {"memory": f"{_EACH}MiB"}, "max_running": _BUDGET // _EACH, "allow_private": True}
    entry = guests.manifest_entry(_GUEST, allowed_hosts=list(urls), **settings)
    return f'[daemon]\nlog = {{ level = "warning" }}\n[executor]\nmax_running = {_BUDGET // _EACH}\n{entry}'


def _many(daemon: Daemon, url: str, number: int, bounds: list[float]) -> Sample:
    """Submit so many and wait for all; note again and again what guests in memory may use together, in MiB."""
    done = threading.Event()

    def watch() -> None:
        while not done.wait(_LOOK):
            bounds.append(counter(daemon, "obelisk_guest_memory_limit_bytes") / (1 << 20))

    async def work() -> Done:
        async with connected([daemon.directory / "api.sock"], _CLIENTS) as clients:
            submitted: list[str] = []

            async def submit(client: Client) -> None:
                submitted.append(await client.submit(GET, [url]))

            await share(clients, [submit] * number)
            await share(clients, [partial(_fetched, execution_id) for execution_id in submitted])
        return Done(number)

    watching = threading.Thread(target=watch)

    def both() -> Done:
        watching.start()
        try:
            return asyncio.run(work())
        finally:
            done.set()
            watching.join()

    return measure(daemon, both)


async def _fetched(execution_id: str, client: Client) -> None:
    result = await client.result(execution_id)
    assert result == {"ok": {"status": 200, "body": "hello"}}, result


async def _alone(daemon: Daemon, url: str) -> Done:
    async def once(client: Client) -> None:
        await _fetched(await client.submit(GET, [url]), client)

    async with connected([daemon.directory / "api.sock"], 1) as clients:
        return Done(_SINGLE, await share(clients, [once] * _SINGLE))


@contextmanager
def _virtual(directory: Path) -> Iterator[Callable[[str], float]]:
    """Give what measures the seconds of a GET by our host without a database; the daemon has compiled the guest."""
    engines = Engines()
    compiler = Compiler(engines, directory / "state" / "cache")
    component = asyncio.run(compiler.load(guests.path(_GUEST).read_bytes(), "activity"))
    linked = LinkedComponent(component, lambda interface, function, _type: wasi.resolve(interface, function))

    async def many(url: str) -> float:
        client = HttpClient()
        egress = EgressPolicy((parse_allowed_host(url, None, True),))
        await _once(linked, client, egress, url)
        began = time.perf_counter()
        for _ in range(_SINGLE):
            await _once(linked, client, egress, url)
        seconds = (time.perf_counter() - began) / _SINGLE
        await client.aclose()
        return seconds

    yield lambda url: asyncio.run(many(url))
    engines.close()


async def _once(linked: LinkedComponent, client: HttpClient, egress: EgressPolicy, url: str) -> None:
    context = WasiContext(
        clock=ActivityClock(SystemClock()),
        random=os.urandom,
        output=lambda *_: None,
        http=client,
        egress=egress,
    )
    async with context:
        ended = await linked.run(Ffqn.parse(GET), [url], GuestContext(wasi=context, log=None), GuestLimits())
    assert isinstance(ended, Returned), ended


@contextmanager
def _native() -> Iterator[Callable[[str], float]]:
    """Give what measures the seconds of a GET by wasmtime alone, which waits for the answer in the C library."""
    engine = wasmtime.Engine()
    code = wc.Component.from_file(engine, guests.path(_GUEST))
    linker = wc.Linker(engine)
    linker.add_wasip2()
    linker.add_wasi_http()

    def once(url: str) -> None:
        store = wasmtime.Store(engine)
        store.set_wasi(wasmtime.WasiConfig())
        store.set_wasi_http()
        instance = linker.instantiate(store, code)
        interface = instance.get_export_index(store, "example:http/client")
        function = instance.get_func(store, instance.get_export_index(store, "get", interface))
        answer = function(store, url)
        assert answer.status == 200, answer

    def many(url: str) -> float:
        once(url)
        began = time.perf_counter()
        for _ in range(_SINGLE):
            once(url)
        return (time.perf_counter() - began) / _SINGLE

    yield many
    linker.close()
    code.close()
