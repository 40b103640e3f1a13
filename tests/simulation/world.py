"""One simulation from its seed to its verdict."""

import asyncio
import random
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import msgspec

from obelisk_daemon.metrics import Metrics
from tests.simulation.checking import violations
from tests.simulation.components import CANARY, InlineCompiler, ScriptLinker, Setup, write_code
from tests.simulation.daemon import SimulatedDaemon
from tests.simulation.database import Database
from tests.simulation.faults import Faults, Rates
from tests.simulation.hosts import DaemonMaker, Host, Surroundings, strange_clock
from tests.simulation.log_capture import captured_logs
from tests.simulation.loop import SimulatedLoop, StuckError, end_all_others, run_simulated
from tests.simulation.operators import Operator
from tests.simulation.programs import Author
from tests.simulation.stores import Network
from tests.simulation.trace import Trace
from tests.simulation.weather import Weather

TROUBLED_FOR = 25.0
"""Seconds of virtual time with faults."""
PATIENCE = 300.0
"""Seconds of virtual time after the last fault, in which everything must finish."""
_OFFER_EVERY = 30.0


class Report(msgspec.Struct, frozen=True):
    """What came of a seed."""

    seed: int
    violations: tuple[str, ...]
    trace: str
    recent: tuple[str, ...]
    executions: int
    seconds: float
    steps: int

    def __str__(self) -> str:
        """Say what is wrong, and in one line how to see it again."""
        found = "\n".join(f"  {message}" for message in self.violations[:10])
        return f"seed {self.seed}: {len(self.violations)} violations\n{found}\n{again(self.seed)}"


def again(seed: int) -> str:
    """Give the command that runs a seed again."""
    return f"python -m tests.simulation --seed {seed} --trace"


def simulate(seed: int, *, make: DaemonMaker = SimulatedDaemon, tell: Callable[[str], None] | None = None) -> Report:
    """Run a seed to its end, and check what came of it. `tell` gets every line of the trace."""
    loop = SimulatedLoop(random.Random(f"{seed}/order"))
    trace = Trace(lambda: loop.true_time, tell)
    with tempfile.TemporaryDirectory() as directory:
        write_code(Path(directory))
        world = _World(seed, Frame(loop, trace, Path(directory), make))
        with captured_logs(trace, world.found):
            run_simulated(loop, world.run())
    return Report(
        seed, tuple(world.findings), trace.digest, tuple(trace.recent), world.executions, world.seconds, world.steps
    )


class Frame(msgspec.Struct, frozen=True):
    """What a world is in: the loop, the trace, a directory with the code, and what makes its daemons."""

    loop: SimulatedLoop
    trace: Trace
    directory: Path
    make: DaemonMaker


class _World:
    def __init__(self, seed: int, frame: Frame) -> None:
        self._draw = random.Random(f"{seed}/world")
        self._loop = loop = frame.loop
        self._trace = frame.trace
        frame.trace.secret = CANARY
        self._directory = frame.directory
        self.findings: list[str] = []
        self.executions = self.steps = 0
        self.seconds = 0.0
        self._starts: Counter[str] = Counter()
        self.faults = Faults(random.Random(f"{seed}/faults"), Rates.drawn(self._draw))
        self._database = Database(self.found)
        self._database_machine = strange_clock(self._draw, lambda: loop.true_time)
        self._network = Network(self.faults)
        self._is_calm = False
        self._is_over = False
        self._make = frame.make

    def found(self, what: str) -> None:
        """Take a violation."""
        if not self._is_over:
            self._trace.note("VIOLATION", what.partition("\n")[0])
            self.findings.append(what)

    async def run(self) -> None:
        """Live through it all."""
        hosts = self._hosts()
        operator = Operator(self._draw, hosts, self._database, self._trace)
        weather = Weather(self._draw, hosts, self._database_machine, self.faults, self._trace)
        kept = [asyncio.create_task(host.keep_running(), name=host.name) for host in hosts]
        try:
            await self._live(operator, weather)
            self._check(operator)
        except StuckError as stuck:
            self.found(str(stuck))
        finally:
            self.seconds, self.steps = self._loop.true_time, self._loop.steps
            self._trace.note("world", f"over after {self.steps} steps in {self._loop.turns} turns")
            self.findings += self._loop.unseen
            self._is_over = True
            self._database.close()
            self._network.is_open = False
            for task in kept:
                task.cancel()
            await end_all_others([process for host in hosts for process in host.processes])

    def _hosts(self) -> list[Host]:
        draw, is_shared = self._draw, self._draw.random() < 0.6
        around = Surroundings(
            database=self._database,
            network=self._network,
            faults=self.faults,
            trace=self._trace,
            compiler=InlineCompiler(),
            linker=ScriptLinker(self),
            directory=self._directory,
            metrics=Metrics(),
            database_machine=self._database_machine,
            draw=draw,
            found=self.found,
            is_shared=is_shared,
            make=self._make,
        )
        self._setup = Setup(
            on_block=draw.choice(("hot", "hot", "unload")),
            max_hot=draw.choice((1, 100)),
            cancellable=draw.random() < 0.5,
            max_pending=draw.choice((None, None, 3)),
            slots=draw.choice(((1,), (2,), (5,), (1, 3))),
            has_wasm=draw.random() < 0.12,
        )
        count = draw.randint(2, 3) if is_shared else 1
        clocks = [strange_clock(draw, lambda: self._loop.true_time) for _ in range(count)]
        return [Host(f"h{n}", clock, around, self._setup) for n, clock in enumerate(clocks, start=1)]

    async def _live(self, operator: Operator, weather: Weather) -> None:
        author = Author(random.Random(self._draw.getrandbits(64)), has_wasm=self._setup.has_wasm)
        submitting = asyncio.create_task(operator.submit_all(author, self._draw.randint(2, 6), TROUBLED_FOR / 2))
        others = [
            asyncio.create_task(weather.strike(is_over=lambda: self._is_calm)),
            asyncio.create_task(operator.meddle(self._setup, is_over=lambda: self._is_calm)),
        ]
        await asyncio.sleep(TROUBLED_FOR)
        self._is_calm = True
        self.faults.calm()
        weather.clear()
        self._trace.note("world", "the faults are over")
        for task in others:
            task.cancel()
        until, offer_at = self._loop.true_time + PATIENCE, self._loop.true_time + _OFFER_EVERY
        while not submitting.done() or self._unfinished():
            if self._loop.true_time > until:
                raise StuckError(f"not finished {PATIENCE:g} s after the last fault: {self._unfinished()[:5]}")
            await operator.put_right()
            if operator.has_forced and self._loop.true_time > offer_at:
                offer_at = self._loop.true_time + _OFFER_EVERY
                await operator.offer_code(self._setup)
            await asyncio.sleep(1.0)
        await submitting

    def _unfinished(self) -> list[tuple[object, ...]]:
        sql = "SELECT execution_id, ffqn, status, lifecycle, executor_id, due_at, join_set FROM execution"
        found = self._database.raw.execute(f"{sql} WHERE status <> 'finished' ORDER BY execution_id").fetchall()
        return [tuple(row) for row in found]

    def _check(self, operator: Operator) -> None:
        """Check what is stored."""
        for violation in violations(self._database, self._starts, operator.submitted):
            self.found(violation)
        if self._trace.has_secret:
            self.found("a secret is in the log")
        (self.executions,) = self._database.raw.execute("SELECT count(*) FROM execution").fetchone()

    def note_start(self) -> None:
        """Count a guest that reaches others, whose task has its execution's name: that must be there by now."""
        task = asyncio.current_task()
        assert task is not None
        self._starts[task.get_name()] += 1
        row = self._database.raw.execute(
            "SELECT version FROM execution WHERE execution_id = ?", (task.get_name(),)
        ).fetchone()
        if row is None or row[0] < 2:
            self.found(f"{task.get_name()} was started before its lock was committed")
