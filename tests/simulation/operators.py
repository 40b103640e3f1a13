"""The people and programs outside: they submit, cancel, pause, approve, reload, and ask again where no answer came."""

import asyncio
import random
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from obelisk_daemon.errors import ObeliskError
from obelisk_daemon.execution.outcome import Returned
from obelisk_daemon.executor.children import created, new_execution
from obelisk_daemon.ids import DelayId, ExecutionId, encode_ulid
from tests.fakes.clock import START
from tests.simulation.components import Setup
from tests.simulation.daemon import SimulatedDaemon
from tests.simulation.database import Database
from tests.simulation.hosts import Host
from tests.simulation.programs import APPROVE, Author
from tests.simulation.trace import Trace


class Operator:
    """Asks daemons that are ready, one chosen by the seed. `submitted` has what was acknowledged."""

    def __init__(self, draw: random.Random, hosts: Sequence[Host], database: Database, trace: Trace) -> None:
        self.submitted: list[ExecutionId] = []
        self._draw = draw
        self._hosts = hosts
        self._database = database
        self._trace = trace
        self._numbers = 0
        self.has_forced = False
        """Whether code was activated that goes on with any log, or does not."""
        self._offered = False

    async def submit_all(self, author: Author, count: int, within: float) -> None:
        """Submit so many programs, at any time of the given seconds; ask until each is acknowledged."""
        async with asyncio.TaskGroup() as tasks:
            for _ in range(count):
                tasks.create_task(self._submit(*author.call(), self._draw.uniform(0, within)))

    async def _submit(self, ffqn: str, params: list[object], wait: float) -> None:
        await asyncio.sleep(wait)
        self._numbers += 1
        new = ExecutionId(f"E_{encode_ulid(START // 1_000 + self._numbers, self._draw.getrandbits(80))}")

        async def submit(daemon: SimulatedDaemon) -> bool:
            services, now = daemon.executors.services, daemon.clock.now()
            event = created(services, services.plan.functions[ffqn], params, now)
            made = await daemon.executors.submit(new_execution(new, event, now, services.ids.failure()))
            return made is not None

        while True:
            if (await self._ask(submit, f"submit {new}"))[0]:
                self.submitted.append(new)
                return
            await asyncio.sleep(self._draw.uniform(0.1, 2.0))

    async def meddle(self, setup: Setup, *, is_over: Callable[[], bool]) -> None:
        """Do what operators do, at any time."""
        while not is_over():
            await asyncio.sleep(self._draw.expovariate(0.5))
            await self._one_thing(setup)

    async def _one_thing(self, setup: Setup) -> None:
        match self._draw.randrange(11):
            case 0:
                await self._of_execution("cancel", lambda daemon, one: daemon.executors.canceller.cancel(one))
            case 1:
                await self._of_execution(
                    "force cancel", lambda daemon, one: daemon.executors.canceller.cancel(one, force=True)
                )
            case 2:
                await self._of_execution("pause", lambda daemon, one: daemon.store.pause(one, daemon.clock.now()))
            case 3:
                await self.resume_all()
            case 4:
                await self.approve_all()
            case 5:
                await self._of_delay("cancel", lambda daemon, one: daemon.store.cancel_delay(one, daemon.clock.now()))
            case 6:
                await self._of_delay("hold", lambda daemon, one: daemon.store.set_delay_paused(one, paused=True))
            case 7:
                await self._drain(self._draw.choice(self._hosts).name, wanted=True)
            case _:
                await self.reload(setup)

    async def _of_execution(self, what: str, act: Callable[[SimulatedDaemon, ExecutionId], Any]) -> None:
        if found := self._any("SELECT execution_id FROM execution WHERE status <> 'finished' ORDER BY execution_id"):
            await self._ask(lambda daemon: act(daemon, ExecutionId(found)), f"{what} {found}")

    async def _of_delay(self, what: str, act: Callable[[SimulatedDaemon, DelayId], Any]) -> None:
        if found := self._any("SELECT delay_id FROM delay ORDER BY delay_id"):
            await self._ask(lambda daemon: act(daemon, DelayId(found)), f"{what} {found}")

    async def _drain(self, host: str, *, wanted: bool) -> None:
        await self._ask(lambda daemon: daemon.store.set_draining(host, wanted), f"drain {host} {wanted}")

    async def put_right(self) -> None:
        """Undo what keeps executions from going on: pauses, delays that are held, hosts that drain, missing results."""
        await self.resume_all()
        await self.approve_all()
        for delay in self._all("SELECT delay_id FROM delay WHERE is_paused = 1 ORDER BY delay_id"):
            await self._ask(lambda daemon, id_=delay: _let_go_on(daemon, id_), f"let {delay} go on")
        for host in self._all("SELECT host FROM host WHERE draining = 1 ORDER BY host"):
            await self._drain(host, wanted=False)

    async def resume_all(self) -> None:
        """Lift all pauses."""
        for one in self._all("SELECT execution_id FROM execution WHERE lifecycle = 'paused' ORDER BY execution_id"):
            await self._ask(
                lambda daemon, id_=one: daemon.store.unpause(id_, daemon.clock.now(), "operator"), f"resume {one}"
            )

    async def approve_all(self) -> None:
        """Give every stub its result."""
        sql = "SELECT execution_id FROM execution WHERE status <> 'finished' AND ffqn = ? ORDER BY execution_id"
        for one in self._all(sql, str(APPROVE)):
            await self._ask(
                lambda daemon, id_=one: daemon.store.finish_stub(
                    id_, str(APPROVE), Returned({"ok": True}), daemon.clock.now()
                ),
                f"approve {one}",
            )

    async def reload(self, setup: Setup) -> None:
        """Save a manifest with other code or other settings on a host, and have it looked at."""
        draw = self._draw
        changed = msgspec.structs.replace(
            setup,
            flow=draw.choice(("flow", "flow-again", "flow-diverging")),
            work=draw.choice(("work", "work-again")),
            on_upgrade=draw.choice(("replay", "replay", "pin", "pin", "force")),
            on_block=draw.choice(("hot", "hot", "unload")),
            max_running=draw.choice((None, None, 2)),
        )
        self.has_forced = self.has_forced or changed.on_upgrade == "force"
        await self._save(changed)

    async def offer_code(self, setup: Setup) -> None:
        """Make code active on which what could not go on may go on, as somebody has to who has forced other code."""
        self._offered = not self._offered
        await self._save(msgspec.structs.replace(setup, flow="flow" if self._offered else "flow-diverging"), anew=True)

    async def _save(self, changed: Setup, *, anew: bool = False) -> None:
        host = self._draw.choice(self._hosts)
        host.save(changed)
        source = host.source
        if host.is_ready:
            assert host.daemon is not None
            await self._ask(
                lambda daemon: daemon.reload(source, anew=anew), f"reload {changed.flow} {changed.on_upgrade}", [host]
            )

    async def _ask(
        self, request: Callable[[SimulatedDaemon], Any], what: str, hosts: Sequence[Host] = ()
    ) -> tuple[bool, object]:
        """Ask a daemon of these hosts, or of any; tell if it answered."""
        ready = [host for host in hosts or self._hosts if host.is_ready]
        if not ready:
            return False, None
        daemon = self._draw.choice(ready).daemon
        assert daemon is not None
        self._trace.note("operator", f"{what} at {daemon.process.name}")
        try:
            answer = await daemon.ask(lambda: request(daemon))
        except (ObeliskError, TimeoutError) as error:
            self._trace.note("operator", f"{what}: {getattr(error, 'code', 'no answer')}")
            return False, None
        self._trace.note("operator", f"{what}: {answer}")
        return True, answer

    def _all(self, sql: str, *values: object) -> list[Any]:
        return [row[0] for row in self._database.raw.execute(sql, values)]

    def _any(self, sql: str) -> str | None:
        found = self._all(sql)
        return self._draw.choice(found) if found else None


async def _let_go_on(daemon: SimulatedDaemon, delay: DelayId) -> None:
    """Let a delay go on, as the API does."""
    daemon.executors.note_timer(await daemon.store.set_delay_paused(delay, paused=False))
