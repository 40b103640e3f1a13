"""Systems that do the same, in turns: all meet the same machine."""

import json
import statistics
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from tests.bench.measuring import percentile
from tests.bench.peers.environment import python_with
from tests.bench.peers.load import Pass, Shape
from tests.bench.peers.usage import load
from tests.bench.rows import Goal, Row
from tests.bench.run import Run

SHAPE: Final = Shape()
_APP: Final = Path(__file__).with_name("dbos_app.py")


class Ahead(NamedTuple):
    """By how much ours is to be ahead of a peer's better form."""

    peer: str
    steps: float | None = None
    workflows: float | None = None


def compare(run: Run, systems: Mapping[str, Callable[[], Pass]], wanted: Sequence[Ahead]) -> Iterator[Row]:
    """Measure systems. A name is that of a peer, or of ours if it is of none; forms of one follow a comma."""
    passes: dict[str, list[Pass]] = {name: [] for name in systems}
    loads: dict[str, list[str]] = {name: [] for name in systems}
    for _ in range(run.rounds):
        for name, measured in systems.items():
            loads[name].append(load())
            passes[name].append(measured())
    for name, found in passes.items():
        yield from _rows(name, found, ", ".join(one.removeprefix("load average ") for one in loads[name]))
    peers = {one.peer for one in wanted}
    ours = {name: found for name, found in passes.items() if name.partition(",")[0] not in peers}
    for name, found in ours.items():
        for one in wanted:
            yield from _ratios(name, found, one, passes)


def dbos(url: str, form: str) -> Pass:
    """Run the workloads on DBOS, with threads (`sync`) or coroutines (`async`)."""
    python = python_with("dbos", "dbos==3.4.0", "psycopg[binary]>=3.3")
    command = [python, _APP, url, form, json.dumps(SHAPE)]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return Pass(**json.loads(printed.splitlines()[-1]))


def serial(passes: Sequence[Pass]) -> float:
    """Give the steps a second of one workflow."""
    return statistics.median(one.serial for one in passes)


def rate(passes: Sequence[Pass]) -> float:
    """Give the workflows a second."""
    return statistics.median(one.rate for one in passes)


def _rows(name: str, passes: Sequence[Pass], loads: str) -> Iterator[Row]:
    note = f"load average before each pass {loads}"
    latencies = sorted(latency for one in passes for latency in one.latencies)
    p50, p99 = (1_000 * percentile(latencies, part) for part in (0.5, 0.99))
    yield Row(f"{name}: steps one after the other", serial(passes), "steps/s", note, p50=1_000 / serial(passes))
    yield Row(f"{name}: 3-step workflows, 50 clients", rate(passes), "1/s", note, p50=p50, p99=p99)
    if any(one.server_cores for one in passes):  # DBOS runs in the process of its clients
        yield Row(f"{name}: cores that the daemons used", statistics.median(one.daemon_cores for one in passes), "")
        yield Row(f"{name}: cores that PostgreSQL used", statistics.median(one.server_cores for one in passes), "")


def _ratios(name: str, found: Sequence[Pass], ahead: Ahead, passes: Mapping[str, Sequence[Pass]]) -> Iterator[Row]:
    """Compare with the better form of the peer."""
    peer = [one for other, one in passes.items() if other.partition(",")[0] == ahead.peer]
    for what, measured, bound in (("steps", serial, ahead.steps), ("3-step workflows", rate, ahead.workflows)):
        goal = None if bound is None else Goal(bound)
        yield Row(f"{name} / {ahead.peer}: {what}", measured(found) / max(map(measured, peer)), "x", goal=goal)
