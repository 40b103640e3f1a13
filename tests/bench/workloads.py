"""The workloads. Each gives rows of (name, value, unit)."""

import asyncio
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from obelisk_daemon.clock import Instant
from obelisk_daemon.execution.events import (
    ChildFinished,
    ChildRequest,
    Created,
    Entry,
    HistoryEvent,
    JoinNext,
    JoinSetCreate,
    JoinSetRequest,
    Response,
)
from obelisk_daemon.execution.journal import Journal
from obelisk_daemon.execution.outcome import Returned
from obelisk_daemon.executor.logs import LogBuffer
from obelisk_daemon.ffqn import Ffqn
from obelisk_daemon.ids import ExecutionId, child_id
from obelisk_daemon.wasm.compile import Compiler
from obelisk_daemon.wasm.engine import Engines
from obelisk_daemon.wasm.guest import GuestLimits
from obelisk_daemon.wasm.guest import Returned as GuestReturned
from obelisk_daemon.wasm.host import calls as host_calls
from obelisk_daemon.wasm.host.context import GuestContext
from obelisk_daemon.wasm.host.workflow import requesting
from obelisk_daemon.wasm.linker import LinkedComponent
from tests import guests
from tests.bench.calling import language, parallel, serial, three_step
from tests.bench.daemon import scratch
from tests.bench.draining import backlog
from tests.bench.fanning import fanout
from tests.bench.floor import floor
from tests.bench.following import follow
from tests.bench.hostile import hostile
from tests.bench.listing import listing
from tests.bench.peers.on_postgresql import peers_on_postgresql
from tests.bench.peers.on_sqlite import peers
from tests.bench.reloading import reload
from tests.bench.retaining import retention
from tests.bench.rows import Row
from tests.bench.run import Run
from tests.bench.sleeping import hot, sleepers
from tests.bench.starting import start
from tests.bench.submitting import submit

FIBOA = "testing:fibo/workflow.fiboa"
FIBO = Ffqn("testing:fibo/fibo", "fibo")
ROUNDS = 3


def replay(_run: Run) -> Iterator[Row]:
    """Measure a replay of 18,000 events with the real guest, without the database."""
    iterations = 6_000
    linked, engines = _link("fibo-workflow")
    log, responses = _recorded(iterations)

    async def once() -> None:
        journal = Journal(_ID, log, responses, lambda: Instant(0))
        context = GuestContext(wasi=None, log=LogBuffer(_Zero(), 0), workflow=_Replaying(journal))  # type: ignore[arg-type]
        ended = await linked.run(Ffqn("testing:fibo/workflow", "fiboa"), [10, iterations], context, _LIMITS)
        assert ended == GuestReturned({"ok": 55})

    yield Row("replay", 3 * iterations / _median(lambda: asyncio.run(once())), "events/s")
    engines.close()


WORKLOADS: dict[str, Callable[[Run], Iterator[Row]]] = {
    "floor": floor,
    "serial": serial,
    "parallel": parallel,
    "three-step": three_step,
    "submit": submit,
    "fanout": fanout,
    "sleepers": sleepers,
    "hot": hot,
    "backlog": backlog,
    "python": language("fibo-python"),
    "javascript": language("fibo-js"),
    "replay": replay,
    "start": start,
    "reload": reload,
    "listing": listing,
    "follow": follow,
    "retention": retention,
    "hostile": hostile,
    "peers": peers,
    "peers-postgresql": peers_on_postgresql,
}
BY_DEFAULT = tuple(name for name in WORKLOADS if name not in ("listing", "follow", "retention"))

_ID = ExecutionId("E_01BX5ZZKBKACTAV9WEVGEMMVRZ")
_LIMITS = GuestLimits(fuel=1 << 60)


class _Zero:
    def now(self) -> Instant:
        return Instant(0)

    def monotonic(self) -> float:
        return 0.0


class _Replaying:
    """A workflow's host that has every answer already."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self.dropped: list[str] = []

    def wait(self, join_set: str) -> object:
        raise AssertionError(f"{join_set} has an answer")


def _recorded(iterations: int) -> tuple[list[Entry], list[Response]]:
    created = Created(ffqn=FIBOA, params=[10, iterations], component="c", digest="d", due_at=Instant(0))
    log, responses = [Entry(0, Instant(0), created)], []
    for number in range(1, iterations + 1):
        join_set = f"o:{number}"
        child = child_id(_ID, join_set, 1)
        request = JoinSetRequest(join_set, ChildRequest(child, str(FIBO), [10]))
        log += [
            Entry(len(log) + i, Instant(0), HistoryEvent(item))
            for i, item in enumerate((JoinSetCreate(join_set), request, JoinNext(join_set)))
        ]
        responses.append(Response(number, Instant(0), join_set, ChildFinished(child, Returned({"ok": 55}))))
    return log, responses


def _link(name: str) -> tuple[LinkedComponent, Engines]:
    engines = Engines()
    with scratch() as directory:
        compiler = Compiler(engines, Path(directory) / "cache")
        component = asyncio.run(compiler.load(guests.path(name).read_bytes(), guests.COMPONENTS[name].kind))
    return LinkedComponent(component, lambda i, f, of: requesting(host_calls.calling(f"{i}.{f}", of))), engines


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _median(work: Callable[[], object]) -> float:
    return statistics.median(_seconds(work) for _ in range(ROUNDS))
