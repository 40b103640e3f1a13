"""Guests without wasm: what a run calls in place of a linked component. Their host functions are the real ones."""

import asyncio
import json
from typing import Any, Final, Protocol

from obelisk_daemon.deployment.planning import _Resolver as Resolver
from obelisk_daemon.execution.wit_types import FunctionType
from obelisk_daemon.ffqn import Ffqn
from obelisk_daemon.wasm.component import Component
from obelisk_daemon.wasm.guest import GuestLimits, GuestStopped, Returned, Trapped
from obelisk_daemon.wasm.host.context import GuestContext
from obelisk_daemon.wasm.resources import Resources
from tests.simulation.faults import Faults
from tests.simulation.programs import APPROVE, DO, RUN, TRY, TYPES, Operation

_SUPPORT: Final = "obelisk:workflow/workflow-support@6.0.0"
_NONE: Final = FunctionType((), None)
_RESOLVE: Final = Resolver(True, TYPES)
_FOR_EVER: Final = 1e6
"""Seconds of a guest that never ends by itself."""


class World(Protocol):
    """What a guest is in."""

    faults: Faults

    def note_start(self) -> None:
        """Take notice of a guest that starts and reaches others, in its own task."""
        ...


class Scripted:
    """In place of a `LinkedComponent`."""

    def __init__(self, component: Component, world: World, *, is_diverging: bool) -> None:
        self.component = component
        self._world = world
        self._is_diverging = is_diverging

    async def run(
        self, ffqn: Ffqn, params: list[Any], context: GuestContext, limits: GuestLimits
    ) -> Returned | Trapped:
        """Run a function."""
        if ffqn == DO:  # nobody can see the others, so they may run ahead of the commit that makes them
            self._world.note_start()
        guest = _Guest(context, Resources(limits.resources))
        try:
            if ffqn == RUN:
                flow = _Flow(guest, self._world.faults, is_diverging=self._is_diverging)
                return Returned(await flow.run(json.loads(params[0])))
            return await self._attempt(json.loads(params[0]), context)
        except GuestStopped as stopped:
            return Trapped(stopped.kind, str(stopped))
        finally:
            guest.table.clear()

    async def _attempt(self, spec: dict[str, int], context: GuestContext) -> Returned | Trapped:
        for name, value in context.wasi.environ.items():
            context.wasi.output("stderr", f"{name}={value}\n".encode())
        fault = self._world.faults.of_guest()
        await asyncio.sleep(spec["ms"] / 1_000)
        match fault:
            case "trap":
                return Trapped("trap", "unreachable")
            case "error":
                return Returned({"err": f"failed with {dict(context.wasi.environ)}"})
            case "slow":
                await asyncio.sleep(1.0)
            case "stuck":
                await asyncio.sleep(_FOR_EVER)
        return Returned({"ok": f"gave {spec['gives']}"})


class _Guest:
    def __init__(self, context: GuestContext, table: Resources) -> None:
        self.context = context
        self.table = table


class _Flow:
    """One run of a program."""

    def __init__(self, guest: _Guest, faults: Faults, *, is_diverging: bool) -> None:
        self._guest = guest
        self._faults = faults
        self._is_diverging = is_diverging
        self._sets: list[int | None] = []
        self._approvals: list[str] = []

    async def run(self, program: list[Operation]) -> dict[str, object]:
        """Carry it out; give what each operation gave."""
        gave: list[object] = []
        if self._is_diverging:
            gave.append(await self._random(77))
        for name, *arguments in program:
            if name == "fail":
                return {"err": json.dumps(gave)}
            if self._faults.of_guest() == "slow":
                await asyncio.sleep(0.2)
            gave.append(await getattr(self, f"_{name}")(*arguments))
        return {"ok": json.dumps(gave)}

    async def _host(self, function: str, *arguments: object, interface: str = _SUPPORT) -> Any:
        host = _RESOLVE(interface, function, TYPES.get(f"{interface}.{function}", _NONE))
        assert host is not None
        answer = host(self._guest, *arguments)
        return await answer if hasattr(answer, "__await__") else answer

    async def _set(self) -> None:
        self._sets.append(await self._host("join-set-create"))

    async def _named(self, name: str) -> None:
        self._sets.append((await self._host("join-set-create-named", name))["ok"])

    async def _call(self, ffqn: str, param: object) -> object:
        interface, _, function = ffqn.rpartition(".")
        return await self._host(function, param, interface=interface)

    async def _sleep(self, ms: int) -> object:
        return "ok" in await self._host("sleep", {"in": {"milliseconds": ms}}, None)

    async def _random(self, above: int) -> object:
        return await self._host("random-u64", 0, above)

    async def _schedule(self, program: str, ms: int) -> object:
        made = await self._host("execution-id-generate")
        when = {"in": {"milliseconds": ms}}
        await self._host("schedule-json", made, when, _function(str(RUN)), json.dumps([program]))
        return made["id"]

    async def _compute(self, ms: int) -> None:
        await asyncio.sleep(ms / 1_000)

    async def _log(self, line: str) -> None:
        self._guest.context.log.line("info", line)

    async def _trap(self) -> None:
        raise GuestStopped("trap", "the program says so")

    async def _submit(self, chosen: int, ffqn: str, param: str) -> object:
        if (rep := self._sets[chosen]) is None:
            return "closed"
        return (await self._host("submit-json", rep, _function(ffqn), json.dumps([param])))["ok"]["id"]

    async def _delay(self, chosen: int, ms: int) -> object:
        if (rep := self._sets[chosen]) is None:
            return "closed"
        return (await self._host("submit-delay", rep, {"in": {"milliseconds": ms}}))["id"]

    async def _next(self, chosen: int) -> object:
        return "closed" if (rep := self._sets[chosen]) is None else await self._host("join-next", rep)

    async def _try(self, chosen: int) -> object:
        return "closed" if (rep := self._sets[chosen]) is None else await self._host("join-next-try", rep)

    async def _approval(self, chosen: int, order: int) -> object:
        if (rep := self._sets[chosen]) is None:
            return "closed"
        made = await self._host("submit-json", rep, _function(str(APPROVE)), json.dumps([order]))
        self._approvals.append(made["ok"]["id"])
        return made["ok"]["id"]

    async def _approve(self, chosen: int, result: bool) -> object:
        if chosen >= len(self._approvals):
            return "none"
        return await self._host("stub-json", {"id": self._approvals[chosen]}, json.dumps({"ok": result}))

    async def _close(self, chosen: int) -> None:
        rep, self._sets[chosen] = self._sets[chosen], None
        if rep is not None:
            await self._host("join-set-close", rep)

    async def _drop(self, chosen: int) -> None:
        rep, self._sets[chosen] = self._sets[chosen], None
        if rep is not None:
            self._guest.table.drop(rep)


def _function(ffqn: str) -> dict[str, str]:
    interface, _, function = ffqn.rpartition(".")
    return {"interface_name": interface, "function_name": function}


EXPORTS: Final = {"flow": {RUN: TYPES[str(RUN)]}, "work": {DO: TYPES[str(DO)]}, "once": {TRY: TYPES[str(TRY)]}}
"""What each component exports."""
