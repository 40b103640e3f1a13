"""How fast logs are replayed: `replay`, through a daemon that finds a workflow with a long log when it starts.

From the lock to the end of the workflow, as its log tells: the log is read, the guest started and answered event by
event, and the end is committed.
"""

import asyncio
import time
from collections.abc import Iterator
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

from obelisk_daemon.clock import Instant
from obelisk_daemon.execution.events import ChildFinished, Created, Entry, Response
from obelisk_daemon.execution.journal import Journal
from obelisk_daemon.execution.outcome import Returned
from obelisk_daemon.execution.written import WrittenLog, written
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
from tests.bench.daemon import manifest, scratch
from tests.bench.floor import host_calls_per_second
from tests.bench.measuring import beside, cpu_seconds
from tests.bench.recording import EVENTS_PER_CALL, record
from tests.bench.rows import Goal, Row
from tests.bench.run import Run
from tests.building import WORKFLOW, call_items, history

SHORT: Final = 6_000
LONG: Final = 60_000
"""Calls."""
_WAT: Final = 120_000
_PYTHON: Final = 30_000
_GROWTH: Final = 11.0
_ID: Final = ExecutionId("E_01BX5ZZKBKACTAV9WEVGEMMVRZ")


class _Replay(NamedTuple):
    """What a daemon took."""

    seconds: float
    """Between the lock and the end of the workflow, as its log tells."""
    processor: float
    """Seconds of its processor time from its start on."""


def replay(run: Run) -> Iterator[Row]:
    """Measure replays of 18,000 and 180,000 events, and 18,000 of a guest in Python."""
    with scratch() as wat, scratch() as python_place:
        short, long, python, calls = run.in_turns(
            partial(_through_daemon, run, wat, "fibo-workflow", SHORT),
            partial(_through_daemon, run, wat, "fibo-workflow", LONG),
            partial(_through_daemon, run, python_place, "fibo-python", SHORT),
            host_calls_per_second,
        )
    floor = "synchronous host calls"
    yield beside(_rate("replay: 18,000 events", SHORT, _seconds(short), _WAT), calls, floor)
    yield beside(_rate("replay: 180,000 events", LONG, _seconds(long), _WAT), calls, floor)
    growth = Run.median(_seconds(long)) / Run.median(_seconds(short))
    yield Row("replay: time of 180,000 / of 18,000", growth, "x", goal=Goal(_GROWTH, most=True))
    yield _processor(short, long)
    yield beside(_rate("replay: 18,000 events, a guest in Python", SHORT, _seconds(python), _PYTHON), calls, floor)
    linked, engines = _link("fibo-workflow")
    (alone,) = run.in_turns(partial(_alone, linked, SHORT))
    engines.close()
    yield beside(_rate("replay: 18,000 events, guest and journal alone", SHORT, alone, None), calls, floor)


def _rate(name: str, calls: int, seconds: list[float], goal: int | None) -> Row:
    rate = EVENTS_PER_CALL * calls / Run.median(seconds)
    return Row(name, rate, "events/s", goal=None if goal is None else Goal(goal))


def _seconds(replays: list[_Replay]) -> list[float]:
    return [one.seconds for one in replays]


def _processor(short: list[_Replay], long: list[_Replay]) -> Row:
    """Tell what an event takes, whatever else runs on the machine: what a longer log takes more than a shorter one."""
    more = Run.median([one.processor for one in long]) - Run.median([one.processor for one in short])
    return Row("replay: processor's time for an event", 1e6 * more / (EVENTS_PER_CALL * (LONG - SHORT)), "us")


def _through_daemon(run: Run, directory: Path, component: str, calls: int) -> _Replay:
    """Start a daemon, which has compiled the guest if it ran there before, and have it replay."""
    (directory / "state").mkdir(mode=0o700, exist_ok=True)
    execution_id = record(directory / "state" / "obelisk.db", component, calls)
    room = 2 * EVENTS_PER_CALL * LONG
    text = manifest([component, "fibo-activity"], max_history_events=room, limits={"host_calls": room})
    with run.daemon(directory, text, f"replay-{component}-{calls}") as daemon:
        assert daemon.result(execution_id) == {"ok": 55}
        processor = cpu_seconds(daemon.process.pid)
        asked = {"from": 2 + EVENTS_PER_CALL * calls + 1, "limit": 10}
        page = daemon.client.get(f"/v1/executions/{execution_id}/events", params=asked).raise_for_status().json()
        at = {one["type"]: datetime.fromisoformat(one["created_at"]) for one in page["events"]}
        return _Replay((at["finished"] - at["locked"]).total_seconds(), processor)


def _alone(linked: LinkedComponent, calls: int) -> float:
    """Replay without a daemon; the time for making the journal is in."""
    log = _recorded(calls)
    began = time.perf_counter()

    async def once() -> None:
        journal = Journal(_ID, log, lambda: Instant(0))
        context = GuestContext(wasi=None, log=LogBuffer(_Zero(), 0), workflow=_Replaying(journal))  # type: ignore[arg-type]
        ended = await linked.run(Ffqn.parse(WORKFLOW), [10, calls], context, GuestLimits(fuel=1 << 60))
        assert ended == GuestReturned({"ok": 55})

    asyncio.run(once())
    return time.perf_counter() - began


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


def _recorded(calls: int) -> WrittenLog:
    events = [Created(ffqn=WORKFLOW, params=[10, calls], component="c", digest="d", due_at=Instant(0))]
    responses = []
    for number in range(1, calls + 1):
        events += history(*call_items(_ID, number))
        answer = ChildFinished(child_id(_ID, f"o:{number}", 1), Returned({"ok": 55}))
        responses.append(Response(number, Instant(0), f"o:{number}", answer))
    return written([Entry(version, Instant(0), event) for version, event in enumerate(events)], responses)


def _link(name: str) -> tuple[LinkedComponent, Engines]:
    engines = Engines()
    with scratch() as directory:
        compiler = Compiler(engines, directory / "cache")
        component = asyncio.run(compiler.load(guests.path(name).read_bytes(), guests.COMPONENTS[name].kind))
    return LinkedComponent(component, lambda i, f, of: requesting(host_calls.calling(f"{i}.{f}", of))), engines
