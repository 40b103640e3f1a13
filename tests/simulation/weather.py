"""What happens to whole machines and to the network, while faults are on."""

import asyncio
import random
from collections.abc import Callable, Sequence
from datetime import timedelta

from tests.simulation.clocks import MachineClock
from tests.simulation.components import LEASE_SECONDS
from tests.simulation.faults import Faults
from tests.simulation.hosts import Host
from tests.simulation.trace import Trace


class Weather:
    """Strikes hosts, one at a time. `clear` undoes what lasts."""

    def __init__(
        self, draw: random.Random, hosts: Sequence[Host], database_machine: MachineClock, faults: Faults, trace: Trace
    ) -> None:
        self._draw = draw
        self._hosts = hosts
        self._database_machine = database_machine
        self._faults = faults
        self._trace = trace

    async def strike(self, *, is_over: Callable[[], bool]) -> None:
        """Strike again and again."""
        while not is_over():
            await asyncio.sleep(self._draw.expovariate(1 / self._faults.rates.weather))
            host = self._draw.choice(self._hosts)
            if not is_over() and host.daemon is not None and not host.process.is_dead:
                self._strike(host)

    def clear(self) -> None:
        """Let all go on that was held up."""
        loop = asyncio.get_running_loop()
        for host in self._hosts:
            if host.daemon is not None:
                host.line.is_cut = False
                host.process.fuse = 0
                host.process.resume(loop)

    def _strike(self, host: Host) -> None:
        assert host.daemon is not None
        process, line, lease = host.process, host.line, float(LEASE_SECONDS)
        long = self._draw.choice((0.3, 2.0, lease, 2 * lease))
        match self._draw.randrange(7):
            case 0:
                process.kill("killed")
            case 1:
                self._trace.note(process.name, f"stopped for {long} s")
                process.stop()
                asyncio.get_running_loop().call_later(long, process.resume, asyncio.get_running_loop())
            case 2:
                self._trace.note(process.name, "SIGTERM")
                host.daemon.terminate()
            case 3:
                self._trace.note(process.name, f"cut off for {long} s")
                line.is_cut = True
                asyncio.get_running_loop().call_later(long, lambda: setattr(line, "is_cut", False))
            case 4 | 5:
                self._jump(host.machine, process.name)
            case _:
                self._jump(self._database_machine, "database")

    def _jump(self, machine: MachineClock, whose: str) -> None:
        by = self._draw.choice((-60.0, -5.0, -0.5, 0.5, 5.0, 600.0))
        self._trace.note(whose, f"clock jumps by {by} s")
        machine.jump(timedelta(seconds=by))
