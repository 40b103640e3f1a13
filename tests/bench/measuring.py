"""What a daemon did and used while a workload ran."""

import os
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from tests.bench.daemon import Daemon
from tests.bench.rows import Goal, Row

_COMMITS: Final = "obelisk_storage_commit_duration_seconds_count"


class Sample(NamedTuple):
    """One round of a workload."""

    operations: int
    seconds: float
    latencies: Sequence[float]
    """Seconds that operations took, or some of them; none, where there is nothing to say."""
    commits: float
    written: int
    """Bytes."""
    rss: int
    """Bytes, at the end."""
    cpu: float = 0
    """Seconds of processor that the daemon took, all its threads together."""
    clients_cpu: float = 0
    """The same of this process, which has the clients."""

    @property
    def rate(self) -> float:
        return self.operations / self.seconds


class Done(NamedTuple):
    """What a round did."""

    operations: int
    latencies: Sequence[float] = ()
    seconds: float | None = None
    """Where it is not the whole round."""


def measure(daemon: Daemon, work: Callable[[], Done], latencies: Callable[[], Sequence[float]] | None = None) -> Sample:
    """Do a round. `latencies`, where given, asks for them afterwards, when nothing is timed."""
    commits, written = counter(daemon, _COMMITS), written_bytes(daemon.process.pid)
    cpu, clients = cpu_seconds(daemon.process.pid), time.process_time()
    began = time.perf_counter()
    done = work()
    seconds = time.perf_counter() - began
    cpu, clients = cpu_seconds(daemon.process.pid) - cpu, time.process_time() - clients
    written, rss = written_bytes(daemon.process.pid) - written, rss_bytes(daemon.process.pid)
    commits = counter(daemon, _COMMITS) - commits
    found = done.latencies if latencies is None else latencies()
    return Sample(done.operations, done.seconds or seconds, found, commits, written, rss, cpu, clients)


def row(name: str, unit: str, samples: Sequence[Sample], goal: Goal | None = None) -> Row:
    """Sum up the rounds of a workload: medians, and percentiles of all operations."""
    latencies = sorted(latency for sample in samples for latency in sample.latencies)
    operations = sum(sample.operations for sample in samples)
    return Row(
        name,
        statistics.median(sample.rate for sample in samples),
        unit,
        p50=1_000 * percentile(latencies, 0.5) if latencies else None,
        p99=1_000 * percentile(latencies, 0.99) if latencies else None,
        rss=statistics.median(sample.rss for sample in samples) / (1 << 20),
        commits=sum(sample.commits for sample in samples) / operations,
        written=sum(sample.written for sample in samples) / operations,
        goal=goal,
    )


def processor(name: str, samples: Sequence[Sample]) -> Iterator[Row]:
    """Say what each operation took of the processor: on a machine that does other things, too, that says more."""
    for who, used in (("daemon", [one.cpu for one in samples]), ("clients", [one.clients_cpu for one in samples])):
        each = statistics.median(1_000_000 * cpu / one.operations for cpu, one in zip(used, samples, strict=True))
        yield Row(f"{name}: processor of the {who}, for each", each, "us")


def beside(measured: Row, floor: Sequence[float], what: str) -> Row:
    """Compare a rate with what was measured in turns with it; `what` says what that was."""
    rate = statistics.median(floor)
    return measured._replace(floor=measured.value / rate, note=f"floor: {what}, {rate:,.0f}/s")


def percentile(ordered: Sequence[float], part: float) -> float:
    """Give what this part of the values is not above."""
    return ordered[min(len(ordered) - 1, int(len(ordered) * part))]


def counter(daemon: Daemon, name: str) -> float:
    """Read counters of `/metrics`, those of all labels added up."""
    lines = daemon.client.get("/metrics").raise_for_status().text.splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.split("{")[0].split(" ")[0] == name)


def written_bytes(pid: int) -> int:
    """Give what a process has had written to disks."""
    return _number(f"/proc/{pid}/io", "write_bytes:")


def rss_bytes(pid: int) -> int:
    """Give what a process has in memory."""
    return _number(f"/proc/{pid}/status", "VmRSS:") * 1024


def cpu_seconds(pid: int) -> float:
    """Give the processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _number(file: str, name: str) -> int:
    (line,) = (line for line in Path(file).read_text().splitlines() if line.startswith(name))
    return int(line.split()[1])
