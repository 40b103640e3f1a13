"""Hosts: machines with their clocks, each of which starts a daemon again when it has ended, as systemd does."""

import asyncio
import random
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Protocol

import msgspec

from obelisk_daemon.clock import Instant
from obelisk_daemon.errors import ObeliskError
from obelisk_daemon.metrics import Metrics
from obelisk_daemon.offline import Beginning
from tests.simulation.clocks import MachineClock
from tests.simulation.components import InlineCompiler, ScriptLinker, Setup, beginning
from tests.simulation.daemon import Parts, SimulatedDaemon
from tests.simulation.database import Database
from tests.simulation.faults import Faults
from tests.simulation.process import Process
from tests.simulation.stores import Line, Network
from tests.simulation.trace import Trace


class Surroundings(msgspec.Struct, frozen=True):
    """What all hosts have in common."""

    database: Database
    network: Network
    faults: Faults
    trace: Trace
    compiler: InlineCompiler
    linker: ScriptLinker
    directory: Path
    metrics: Metrics
    database_machine: MachineClock
    draw: random.Random
    found: Callable[[str], None]
    is_shared: bool
    make: "DaemonMaker"


class DaemonMaker(Protocol):
    """Makes a daemon; a test may put a bug into it."""

    def __call__(self, parts: Parts, beginning: Beginning, /) -> SimulatedDaemon:
        """Make one."""
        ...


class Host:
    """One machine. `daemon` is the daemon that runs on it now."""

    def __init__(self, name: str, machine: MachineClock, around: Surroundings, setup: Setup) -> None:
        self.name = name
        self._around = around
        self.machine = machine
        self.processes: list[Process] = []
        self.daemon: SimulatedDaemon | None = None
        self.source = b""
        """What its manifest's file has."""
        self.save(setup)
        self._ended = asyncio.Event()

    def save(self, setup: Setup) -> None:
        """Write another manifest into its file."""
        self.source = setup.manifest(self.name, is_shared=self._around.is_shared)

    @property
    def is_ready(self) -> bool:
        """Tell if a daemon works here."""
        return self.daemon is not None and self.daemon.is_ready and not self.daemon.process.is_dead

    @property
    def process(self) -> Process:
        """Give the newest process."""
        return self.processes[-1]

    @property
    def line(self) -> Line:
        """Give the way to the database of its daemon."""
        assert self.daemon is not None
        return self.daemon.parts.line

    async def keep_running(self) -> None:
        """Run one daemon after the other, for ever."""
        while True:
            await self._run_once()
            await asyncio.sleep(self._around.draw.uniform(0.05, 3.0))

    async def _run_once(self) -> None:
        around, name = self._around, f"{self.name}.{len(self.processes) + 1}"
        self._ended.clear()
        process = Process(name, self.machine.rate, self._note_end)
        self.processes.append(process)
        around.trace.note(name, "starts")
        line = Line(
            around.database, around.database.connection(self._latest), process, around.faults, around.trace,
            around.is_shared,
        )  # fmt: skip
        draw = random.Random(around.draw.getrandbits(64))
        parts = Parts(
            line,
            around.network,
            self.machine,
            around.database_machine.wall,
            around.compiler,
            around.linker,
            around.metrics,
            draw,
        )
        self.daemon = daemon = around.make(parts, beginning(self.source, around.directory))
        running = process.start(daemon.run(), "daemon")
        running.add_done_callback(lambda _: self._ended.set())
        await self._ended.wait()
        if not process.is_dead:
            self._look_at_end(daemon, running)
            process.is_dead = True

    def _latest(self) -> Instant:
        """Read the latest time that the daemon here may take for the store's."""
        assert self.daemon is not None
        own = self.daemon.clock.now()
        return min(own, self._around.database_machine.furthest()) if self._around.is_shared else own

    def _note_end(self, why: str) -> None:
        self._around.trace.note(self.process.name, why)
        self._ended.set()

    def _look_at_end(self, daemon: SimulatedDaemon, running: "asyncio.Task[None]") -> None:
        around, name = self._around, daemon.process.name
        error = None if running.cancelled() else running.exception()
        around.trace.note(name, f"ends: {'stopped' if error is None else type(error).__name__}")
        if daemon.failed and not daemon.is_broken:
            around.found(f"{name}: a task of the daemon failed")
        if error is not None and not isinstance(error, ObeliskError) and not daemon.is_broken:
            around.found(f"{name} ended with {error!r}")


def strange_clock(draw: random.Random, true_time: Callable[[], float]) -> MachineClock:
    """Draw the clock of a machine: off by up to an hour, and as much too fast or slow as NTP lets it be."""
    offset = timedelta(seconds=draw.choice((0.0, draw.uniform(-3_600, 3_600))))
    return MachineClock(true_time, offset, 1 + draw.uniform(-0.0002, 0.0002))
