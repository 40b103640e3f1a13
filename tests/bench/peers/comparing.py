"""Us and DBOS on one PostgreSQL server that keeps what it acknowledged, in turns: both meet the same machine."""

import asyncio
import json
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Final

import psycopg

from tests.bench.daemon import manifest, running, scratch
from tests.bench.peers.environment import python_with
from tests.bench.peers.load import Pass, Processes, Shape, measure
from tests.bench.peers.usage import load
from tests.bench.rows import Row
from tests.bench.run import Run
from tests.postgres import Server, new_database
from tests.postgres import running as postgres

ROUNDS: Final = 3
_DURABLE: Final = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on", "max_connections": "300"}
_COMMITS: Final = 2_000
_APP: Final = Path(__file__).with_name("dbos_app.py")
_SHAPE: Final = Shape()


def peers(_run: Run) -> Iterator[Row]:
    """Measure steps of one workflow after the other, and short workflows of 50 clients: DBOS, one daemon, three."""
    python = python_with("dbos", "dbos==3.4.0", "psycopg[binary]>=3.3")
    with postgres(_DURABLE) as server:
        yield Row("raw commits of one row by PostgreSQL", _commits(server), "1/s", load())
        systems: dict[str, Callable[[], Pass]] = {
            "DBOS, threads": partial(_dbos, python, server, "sync"),
            "DBOS, asyncio": partial(_dbos, python, server, "async"),
            "1 daemon": partial(_daemons, server, 1),
            "3 daemons": partial(_daemons, server, 3),
        }
        passes: dict[str, list[Pass]] = {name: [] for name in systems}
        loads: dict[str, list[str]] = {name: [] for name in systems}
        for _ in range(ROUNDS):
            for name, run in systems.items():
                loads[name].append(load())
                passes[name].append(run())
        yield Row("raw commits of one row by PostgreSQL, once more", _commits(server), "1/s", load())
    for name, found in passes.items():
        yield from _rows(name, found, ", ".join(one.removeprefix("load average ") for one in loads[name]))
    yield from _ratios(passes)


def _rows(name: str, passes: Sequence[Pass], loads: str) -> Iterator[Row]:
    note = f"load average before each pass {loads}"
    latencies = [latency for one in passes for latency in one.latencies]
    percentiles = statistics.quantiles(latencies, n=100)
    serial = _serial(passes)
    yield Row(f"{name}: steps one after the other", serial, "steps/s", note)
    yield Row(f"{name}: one of them", 1_000 / serial, "ms")
    yield Row(f"{name}: 3-step workflows, 50 clients", _rate(passes), "1/s", note)
    yield Row(f"{name}: p50", 1_000 * percentiles[49], "ms")
    yield Row(f"{name}: p99", 1_000 * percentiles[98], "ms")
    if any(one.daemon_cores for one in passes):  # DBOS runs in the process of its clients
        yield Row(f"{name}: cores that the daemons used", statistics.median(one.daemon_cores for one in passes), "")
        yield Row(f"{name}: cores that PostgreSQL used", statistics.median(one.server_cores for one in passes), "")


def _ratios(passes: dict[str, list[Pass]]) -> Iterator[Row]:
    """Compare with the better form of DBOS."""
    dbos = [found for name, found in passes.items() if name.startswith("DBOS")]
    for name, found in passes.items():
        if not name.startswith("DBOS"):
            yield Row(f"{name} / DBOS: steps", _serial(found) / max(map(_serial, dbos)), "x")
            yield Row(f"{name} / DBOS: 3-step workflows", _rate(found) / max(map(_rate, dbos)), "x")
    yield Row("3 daemons / 1: 3-step workflows", _rate(passes["3 daemons"]) / _rate(passes["1 daemon"]), "x")


def _serial(passes: Sequence[Pass]) -> float:
    return statistics.median(one.serial for one in passes)


def _rate(passes: Sequence[Pass]) -> float:
    return statistics.median(one.rate for one in passes)


def _commits(server: Server) -> float:
    with new_database(server.url) as url, psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE TABLE t (k bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, v bytea)")
        began = time.perf_counter()
        for _ in range(_COMMITS):
            connection.execute("INSERT INTO t (v) VALUES (%s)", (b"x" * 100,))
        return _COMMITS / (time.perf_counter() - began)


def _dbos(python: Path, server: Server, form: str) -> Pass:
    with new_database(server.url) as url:
        command = [python, _APP, url, form, json.dumps(_SHAPE)]
        printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return Pass(**json.loads(printed.splitlines()[-1]))


def _daemons(server: Server, number: int) -> Pass:
    with new_database(server.url) as url, ExitStack() as stack:
        directories = [stack.enter_context(scratch()) for _ in range(number)]
        text = manifest(["fibo-activity", "fibo-workflow"])
        daemons = []
        for place, directory in enumerate(directories, 1):
            own = text.replace("[daemon]\n", f'[daemon]\ndatabase = "{url}"\nhost = "host{place}"\n')
            daemon, _ = stack.enter_context(running(directory, own))
            daemons.append(daemon)
        processes = Processes([daemon.process.pid for daemon in daemons], [server.pid])
        sockets = [directory / "api.sock" for directory in directories]
        return asyncio.run(measure(sockets, _SHAPE, processes))
