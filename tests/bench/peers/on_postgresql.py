"""Us and DBOS on one PostgreSQL server that keeps what it acknowledged."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from typing import Final

import psycopg

from tests.bench.daemon import manifest, scratch
from tests.bench.peers.comparing import SHAPE, Ahead, compare, dbos
from tests.bench.peers.load import Pass, Processes, measure, run_fiboa
from tests.bench.peers.usage import load
from tests.bench.rows import Row
from tests.bench.run import Run
from tests.postgres import Server, new_database
from tests.postgres import running as postgres

_DURABLE: Final = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on", "max_connections": "300"}
_COMMITS: Final = 2_000


def peers_on_postgresql(run: Run) -> Iterator[Row]:
    """Measure steps of one workflow after the other, and 3-step workflows of 50 clients: DBOS, one daemon, three."""
    with postgres(_DURABLE) as server:
        yield Row("raw commits of one row by PostgreSQL", _commits(server), "1/s", load())
        systems = {
            "DBOS, threads": partial(_dbos, server, "sync"),
            "DBOS, asyncio": partial(_dbos, server, "async"),
            "1 daemon": partial(_daemons, run, server, 1),
            "3 daemons": partial(_daemons, run, server, 3),
        }
        yield from compare(run, systems, [Ahead("DBOS", steps=5, workflows=5)])
        yield Row("raw commits of one row by PostgreSQL, once more", _commits(server), "1/s", load())


def _commits(server: Server) -> float:
    with new_database(server.url) as url, psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE TABLE t (k bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, v bytea)")
        began = time.perf_counter()
        for _ in range(_COMMITS):
            connection.execute("INSERT INTO t (v) VALUES (%s)", (b"x" * 100,))
        return _COMMITS / (time.perf_counter() - began)


def _dbos(server: Server, form: str) -> Pass:
    with new_database(server.url) as url:
        return dbos(url, form)


def _daemons(run: Run, server: Server, number: int) -> Pass:
    with new_database(server.url) as url, ExitStack() as stack:
        directories = [stack.enter_context(scratch()) for _ in range(number)]
        text = manifest(["fibo-activity", "fibo-workflow"])
        daemons = []
        for place, directory in enumerate(directories, 1):
            own = text.replace("[daemon]\n", f'[daemon]\ndatabase = "{url}"\nhost = "host{place}"\n')
            daemons.append(stack.enter_context(run.daemon(directory, own, f"postgresql-{number}-{place}")))
        processes = Processes([daemon.process.pid for daemon in daemons], [server.pid])
        sockets = [directory / "api.sock" for directory in directories]
        return asyncio.run(measure(sockets, SHAPE, run_fiboa, processes))
