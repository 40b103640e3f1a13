"""How soon whoever follows hears of a commit: from the time that it has to the bytes at a client, and to a page.

`OBELISK_BENCH_FINISHED=1000000` puts so many finished executions, and 10,000 live ones, into the database before.
"""

import asyncio
import json
import os
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from tests import guests
from tests.bench import browsing
from tests.bench.daemon import Daemon, manifest, running, scratch
from tests.bench.filling import Filling, fill
from tests.bench.rows import Row
from tests.bench.run import Run

FIBOA = "testing:fibo/workflow.fiboa"
FIBO = "testing:fibo/fibo.fibo"
FAILING = "testing:faults/faults.fail-with"
_PATIENT: dict[str, object] = {"max_retries": 120, "backoff": {"initial": "100ms", "max": "100ms"}}
"""Of an activity that fails for twelve seconds: two events each time."""
_SECONDS = 6.0
_CLIENTS = 10
_AT = {"execution": "changed_at", "event": "created_at", "child": "changed_at"}


class Listeners:
    """Clients of one stream, on a thread with a loop of its own. One reads the messages, the others just bytes."""

    def __init__(self, socket: Path, path: str, number: int) -> None:
        self._socket = socket
        self._path = path
        self._number = number
        self.latencies: list[float] = []
        self.bytes = 0
        self.ended = 0
        self._since = float("inf")
        """What happened before all listened is not measured."""
        self._ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._run(),), daemon=True)

    @contextmanager
    def listening(self) -> Iterator["Listeners"]:
        self._thread.start()
        assert self._ready.wait(30)
        yield self
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    async def _run(self) -> None:
        self._stop = asyncio.Event()
        tasks, writers = [], []
        for place in range(self._number):
            reader, writer = await self._open()
            writers.append(writer)
            tasks.append(asyncio.create_task(self._read(reader, measures=place == 0)))
        self._since = time.time_ns() / 1e9
        self._ready.set()
        await self._stop.wait()
        for task in tasks:
            task.cancel()
        for writer in writers:
            writer.close()
        for failed in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(failed, Exception):
                raise failed

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_unix_connection(str(self._socket), limit=1 << 20)
        writer.write(f"GET {self._path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        head = await reader.readuntil(b": obeliskd\n\n")
        assert head.startswith(b"HTTP/1.1 200"), head
        return reader, writer

    async def _read(self, reader: asyncio.StreamReader, *, measures: bool) -> None:
        while measures and (line := await reader.readline()):
            if line.startswith(b"event: "):
                at = _AT.get(line[7:].decode().strip())
                data = await reader.readline()
                if at is not None:
                    written = datetime.fromisoformat(json.loads(data[6:])[at]).timestamp()
                    if written >= self._since:
                        self.latencies.append(time.time_ns() / 1e9 - written)
        while chunk := await reader.read(1 << 18):
            self.bytes += len(chunk)
        self.ended += 1


def follow(_run: Run) -> Iterator[Row]:
    """Measure the daemon's stream idle and at full load, with 1 and 100 listeners, and an execution's stream."""
    text = "\n".join([manifest(["fibo-activity", "fibo-workflow"]), guests.manifest_entry("faults", **_PATIENT)])
    with scratch() as directory:
        _fill(directory)
        with running(directory, text, browsing.free_port()) as (daemon, _):
            _work(daemon, 2.0)
            yield Row("full load, 0 listeners", _work(daemon, _SECONDS), "calls/s")
            for number in (1, 100):
                with Listeners(directory / "api.sock", "/v1/follow", number).listening() as idle:
                    for _ in range(100):
                        daemon.result(daemon.submit(FIBO, [10]))
                        time.sleep(0.03)
                    yield from _rows(f"idle, {number} listeners", idle)
                with Listeners(directory / "api.sock", "/v1/follow", number).listening() as loaded:
                    calls = _work(daemon, _SECONDS)
                yield from _rows(f"full load, {number} listeners", loaded)
                yield Row(f"full load, {number} listeners", calls, "calls/s")
            for number in (1, 100):
                yield from _one_execution(daemon, directory / "api.sock", number)
            yield from _in_a_browser(daemon)


def _in_a_browser(daemon: Daemon) -> Iterator[Row]:
    if browsing.CHROMIUM is None:
        yield Row("in a browser: skipped", 0, "", "there is no Chromium: apt-get install chromium")
        return
    loads: dict[str, Callable[[], object]] = {
        "alone": lambda: time.sleep(_SECONDS),
        "full load": lambda: _work(daemon, _SECONDS),
    }
    with browsing.launched() as browser:
        for name, work in loads.items():
            execution_id = daemon.submit(FAILING, ["again"])
            found = browsing.log_latencies(browser, daemon, execution_id, work)
            yield from _percentiles(f"a page of an execution, {name}", found)
            daemon.result(execution_id)
        rows, ends = browsing.list_latencies(browser, daemon, lambda: daemon.submit(FIBO, [10]), 30)
        yield from _percentiles("the page with the list, a new row", rows)
        yield from _percentiles("the page with the list, its end", ends)


def _one_execution(daemon: Daemon, socket: Path, number: int) -> Iterator[Row]:
    execution_id = daemon.submit(FIBOA, [10, 1_500])
    path = f"/v1/executions/{execution_id}/follow?children=true"
    with Listeners(socket, path, number).listening() as listeners:
        daemon.result(execution_id)
        time.sleep(0.3)
    yield from _rows(f"one execution, {number} listeners", listeners)


def _work(daemon: Daemon, seconds: float) -> float:
    """Run workflows of ten calls, ten at a time; give the calls a second."""
    until = time.perf_counter() + seconds

    def one_client(_: int) -> int:
        done = 0
        while time.perf_counter() < until:
            daemon.result(daemon.submit(FIBOA, [10, 10]))
            done += 10
        return done

    started = time.perf_counter()
    with ThreadPoolExecutor(_CLIENTS) as clients:
        done = sum(clients.map(one_client, range(_CLIENTS)))
    return done / (time.perf_counter() - started)


def _rows(name: str, listeners: Listeners) -> Iterator[Row]:
    yield from _percentiles(name, listeners.latencies)
    if listeners.ended:
        yield Row(f"{name}: cut off", listeners.ended, "")


def _percentiles(name: str, latencies: list[float]) -> Iterator[Row]:
    found = sorted(latencies)
    assert found, "nothing was told"
    yield Row(f"{name}: p50", statistics.median(found) * 1_000, "ms")
    yield Row(f"{name}: p95", found[int(len(found) * 0.95)] * 1_000, "ms")
    yield Row(f"{name}: slowest", found[-1] * 1_000, "ms")
    yield Row(f"{name}: messages told", len(found), "")


def _fill(directory: Path) -> None:
    finished = int(os.environ.get("OBELISK_BENCH_FINISHED", "0"))
    if finished:
        (directory / "state").mkdir(mode=0o700)
        activity = (FIBO, "fibo-activity", guests.digest("fibo-activity"))
        workflow = (FIBOA, "fibo-workflow", guests.digest("fibo-workflow"))
        fill(directory / "state" / "obelisk.db", Filling(finished=finished, activity=activity, workflow=workflow))
