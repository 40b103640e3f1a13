"""The floor of durable calls: real guests and real commits at FULL, and of an engine only what it can't do without.

A call is one commit: what the workflow asks for, the child made and locked, and the result of the child before. There
are no reads, no queue, no leases, limits, metrics or API, and nothing is checked. The database has two plain tables.
"""

import asyncio
import json
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from obelisk_daemon.wasm.engine import Engines
from obelisk_daemon.wasm.guest import Guest, GuestLimits, Returned
from obelisk_daemon.wasm.linker import LinkedComponent
from tests.integration.wasm.loading import FIBO, FIBOA, load

_LIMITS = GuestLimits(fuel=1 << 60)
_OK = Returned({"ok": 55})


class _Group(NamedTuple):
    """What is to be committed, and who waits for it."""

    log: Sequence[tuple[str, int, bytes]]
    states: Sequence[tuple[str, str, int]]
    committed: "asyncio.Future[None]"


class _Writer:
    """One connection on a thread of its own; all that waits goes into the next commit."""

    def __init__(self, file: Path) -> None:
        self._loop = asyncio.get_running_loop()
        self._waiting: queue.SimpleQueue[_Group | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, args=(file,))
        self._thread.start()

    def write(self, log: Sequence[tuple[str, int, bytes]], states: Sequence[tuple[str, str, int]]) -> Any:
        """Put rows into the next commit; give what ends with it."""
        committed = self._loop.create_future()
        self._waiting.put(_Group(log, states, committed))
        return committed

    def close(self) -> None:
        self._waiting.put(None)
        self._thread.join()

    def _run(self, file: Path) -> None:
        connection = sqlite3.connect(file, isolation_level=None)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("CREATE TABLE log (id TEXT, v INTEGER, e BLOB, PRIMARY KEY (id, v)) WITHOUT ROWID")
        connection.execute("CREATE TABLE state (id TEXT PRIMARY KEY, state TEXT, v INTEGER) WITHOUT ROWID")
        while (first := self._waiting.get()) is not None:
            groups = [first]
            while not self._waiting.empty() and (another := self._waiting.get()) is not None:
                groups.append(another)
            connection.execute("BEGIN IMMEDIATE")
            for group in groups:
                connection.executemany("INSERT INTO log VALUES (?, ?, ?)", group.log)
                connection.executemany("INSERT OR REPLACE INTO state VALUES (?, ?, ?)", group.states)
            connection.execute("COMMIT")
            self._loop.call_soon_threadsafe(_told, [group.committed for group in groups])
        connection.close()


class _Run:
    """A run of the workflow."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.calls = 0
        self.version = 1
        self.finished: list[tuple[str, int, bytes]] = []
        """The result of the last child, which rides in the next commit."""


class BareLoop:
    """The loop with its guests and its database. Give a new directory to each."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._names = 0

    def serial(self, calls: int = 500) -> float:
        """Give the calls a second of one workflow."""
        return self._measured(1, calls)

    def parallel(self, workflows: int = 100, calls: int = 10) -> float:
        """Give the calls a second of several at once."""
        return self._measured(workflows, calls)

    def _measured(self, workflows: int, calls: int) -> float:
        return asyncio.run(self._measure(workflows, calls))

    async def _measure(self, workflows: int, calls: int) -> float:
        for suffix in ("", "-wal", "-shm"):
            self._file.with_name(self._file.name + suffix).unlink(missing_ok=True)
        engines, writer = Engines(), _Writer(self._file)
        try:
            return await self._timed(engines, writer, workflows, calls)
        finally:
            writer.close()
            engines.close()

    async def _timed(self, engines: Engines, writer: _Writer, workflows: int, calls: int) -> float:
        activity = LinkedComponent(load(engines, "fibo-activity", "activity"), lambda *_: None)
        workflow = LinkedComponent(load(engines, "fibo-workflow", "workflow"), lambda *_: _calling(writer, activity))
        await self._workflow(writer, workflow, calls)
        began = time.perf_counter()
        await asyncio.gather(*[self._workflow(writer, workflow, calls) for _ in range(workflows)])
        return workflows * calls / (time.perf_counter() - began)

    async def _workflow(self, writer: _Writer, workflow: LinkedComponent, calls: int) -> None:
        self._names += 1
        run = _Run(f"E{self._names}")
        assert await workflow.run(FIBOA, [10, calls], run, _LIMITS) == _OK
        await writer.write(run.finished, [])


def _calling(writer: _Writer, activity: LinkedComponent) -> Callable[[Guest, int], Coroutine[Any, Any, object]]:
    """Make the host function that the workflow calls."""

    async def fibo(guest: Guest, n: int) -> object:
        run: _Run = guest.context
        run.calls += 1
        child, version = f"{run.name}.{run.calls}", run.version
        run.version += 3
        log = [
            *run.finished,
            (run.name, version, _event("join_set_create", n=run.calls)),
            (run.name, version + 1, _event("child_request", child=child, params=[n])),
            (run.name, version + 2, _event("join_next", n=run.calls)),
            (child, 0, _event("created", ffqn=str(FIBO), params=[n], parent=run.name)),
            (child, 1, _event("locked", executor="e", run="r")),
        ]
        await writer.write(log, [(run.name, "blocked", run.version), (child, "locked", 2)])
        ended = await activity.run(FIBO, [n], None, GuestLimits())
        assert isinstance(ended, Returned)
        result = _event("finished", result=ended.value)
        run.finished = [(child, 2, result), (f"{run.name}/responses", run.calls, result)]
        return ended.value

    return fibo


def _event(kind: str, **fields: object) -> bytes:
    return json.dumps({"kind": kind, **fields}).encode()


def _told(waiting: Sequence["asyncio.Future[None]"]) -> None:
    for one in waiting:
        one.set_result(None)
