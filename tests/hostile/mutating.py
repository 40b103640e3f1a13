"""Damaged components, through all that the daemon does with one: `python -m tests.hostile.mutating FIRST COUNT`.

Each seed is one component: compiled by the real child process, loaded, read, linked, instantiated, and each of its
functions called. Whatever becomes of it, this process must live. A seed is printed before it is tried, and again
afterwards; so those that were not printed twice are the culprits. With `--here` this process compiles, too: many times
as fast.
"""

import asyncio
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import wasmtime
from wasmtime import component as wc

from obelisk_daemon.clock import SystemClock
from obelisk_daemon.errors import ComponentError, ObeliskError, OperatorError
from obelisk_daemon.execution.wit_types import (
    EnumType,
    FlagsType,
    FunctionType,
    ListType,
    OptionType,
    Primitive,
    RecordType,
    ResourceType,
    ResultType,
    TupleType,
    VariantType,
    WitType,
    snake,
)
from obelisk_daemon.executor.logs import LogBuffer
from obelisk_daemon.ffqn import Ffqn
from obelisk_daemon.wasm import wasi
from obelisk_daemon.wasm.callbacks import GUESTS, HostFunction
from obelisk_daemon.wasm.compile import EXIT_INVALID, CompileLimits, Compiler
from obelisk_daemon.wasm.engine import Engines
from obelisk_daemon.wasm.guest import Guest, GuestLimits, GuestStopped
from obelisk_daemon.wasm.host import log
from obelisk_daemon.wasm.host.context import GuestContext
from obelisk_daemon.wasm.linker import LinkedComponent
from obelisk_daemon.wasm.recipe import EngineKind
from obelisk_daemon.wasm.wasi.clocks import ActivityClock
from obelisk_daemon.wasm.wasi.context import WasiContext
from tests.hostile.guests import HOSTILE
from tests.integration.executor.guests import WRITTEN_HERE
from tests.integration.wasm.loading import GUESTS as FILES
from tests.integration.wasm.loading import THINGS

LIMITS: Final = {
    "activity": GuestLimits(memory=16 << 20, host_calls=1_000),
    "workflow": GuestLimits(memory=16 << 20, host_calls=1_000, fuel=1_000_000),
}
PATIENCE: Final = 0.05
"""Seconds for a call: a damaged guest that spins is as good as one that returns."""
_AT_ONCE: Final = 2
_INTERESTING: Final = (0, 1, 0x7F, 0x80, 0xFF)


def sound() -> list[bytes]:
    """Give the components to damage."""
    texts = [
        hostile.text for name, hostile in sorted(HOSTILE.items()) if not name.startswith(("enormous", "instances"))
    ]
    texts += [text for _, text in WRITTEN_HERE.values()] + [THINGS]
    return [bytes(wasmtime.wat2wasm(text)) for text in texts] + [
        file.read_bytes() for file in sorted(FILES.glob("*.wasm"))
    ]


def damaged(seed: int, originals: list[bytes]) -> tuple[bytes, EngineKind]:
    """Give the component of a seed, and what to take it for."""
    chance = random.Random(seed)
    code = bytearray(chance.choice(originals))
    for _ in range(chance.choice((1, 1, 1, 2, 3, 8))):
        chance.choice(_DAMAGES)(code, chance, originals)
    return bytes(code), chance.choice(("activity", "workflow"))


def _flip(code: bytearray, chance: random.Random, _others: list[bytes]) -> None:
    code[_place(code, chance)] ^= 1 << chance.randrange(8)


def _set(code: bytearray, chance: random.Random, _others: list[bytes]) -> None:
    code[_place(code, chance)] = chance.choice(_INTERESTING)


def _step(code: bytearray, chance: random.Random, _others: list[bytes]) -> None:
    place = _place(code, chance)
    code[place] = (code[place] + chance.choice((-1, 1))) % 256


def _remove(code: bytearray, chance: random.Random, _others: list[bytes]) -> None:
    place = _place(code, chance)
    del code[place : place + chance.choice((1, 1, 4, 32))]


def _repeat(code: bytearray, chance: random.Random, _others: list[bytes]) -> None:
    place = _place(code, chance)
    code[place:place] = code[place : place + chance.choice((1, 4, 32, 256))] * chance.choice((1, 2, 50))


def _splice(code: bytearray, chance: random.Random, others: list[bytes]) -> None:
    other, place = chance.choice(others), _place(code, chance)
    start = chance.randrange(8, len(other))
    code[place : place + 32] = other[start : start + chance.choice((4, 32, 256))]


def _place(code: bytearray, chance: random.Random) -> int:
    """Choose a byte behind the first eight, which are looked at before anything is compiled."""
    return chance.randrange(8, max(9, len(code))) if len(code) > 8 else 0


_DAMAGES: Final[tuple[Callable[[bytearray, random.Random, list[bytes]], None], ...]] = (
    _flip, _flip, _set, _step, _step, _step, _remove, _repeat, _splice,
)  # fmt: skip


def least(of: WitType) -> Any:
    """Give a plain value of a type: the smallest there is."""
    match of:
        case Primitive(name):
            return {"bool": False, "f32": 0.0, "f64": 0.0, "char": "a", "string": ""}.get(name, 0)
        case ListType(Primitive("u8")):
            return b""
        case ListType() | FlagsType():
            return []
        case TupleType(elements):
            return [least(element) for element in elements]
        case RecordType(fields):
            return {snake(name): least(field) for name, field in fields}
        case VariantType(cases):
            name, payload = cases[0]
            return snake(name) if payload is None else {snake(name): least(payload)}
        case EnumType(names):
            return snake(names[0])
        case OptionType():
            return None
        case ResultType(ok):
            return {"ok": None if ok is None else least(ok)}
        case ResourceType():
            return 1


def resolved(interface: str, function: str, of: FunctionType) -> HostFunction | None:
    """Find the real host's function; one that is another component's stops the guest, or gives the least value."""
    found = wasi.resolve(interface, function) or log.resolve(interface, function)
    if found is not None or interface.startswith("wasi:"):
        return found

    def answer(_guest: Guest, *_arguments: object) -> object:
        if isinstance(of.result, ResourceType):
            raise GuestStopped("trap", "there are none")
        return None if of.result is None else least(of.result)

    return answer


class Here(Compiler):
    """Compiles as the child does, in this process."""

    async def _compile(self, code: bytes, kind: EngineKind, output: Path) -> None:
        try:
            output.write_bytes(wc.Component(self._engines.engine(kind), code).serialize())
        except wasmtime.WasmtimeError as error:
            self._judge(EXIT_INVALID, str(error))


async def tried(compiler: Compiler, code: bytes, kind: EngineKind) -> list[str]:
    """Do all that the daemon does with a component, and say what came of it."""
    try:
        component = await compiler.load(code, kind)
        linked = LinkedComponent(component, resolved)
    except ComponentError as error:
        return [error.code]
    except OperatorError as error:  # the child has crashed
        return [str(error)]
    return [await called(linked, ffqn) for ffqn in component.exports] or ["loaded"]


async def called(linked: LinkedComponent, ffqn: Ffqn) -> str:
    """Call one function with the least parameters that it takes."""
    component, clock = linked.component, SystemClock()
    params = [least(of) for _, of in component.exports[ffqn].params]
    logs = LogBuffer(clock, 1 << 20)
    context = WasiContext(clock=ActivityClock(clock), random=bytes, output=logs.output)
    try:
        async with asyncio.timeout(PATIENCE), context:
            outcome = await linked.run(ffqn, params, GuestContext(wasi=context, log=logs), LIMITS[component.kind])
    except TimeoutError:
        return "spun"
    except ObeliskError as error:
        return error.code
    return type(outcome).__name__.lower()


async def try_all(first: int, count: int, kind_of: type[Compiler] = Compiler) -> Counter[str]:
    """Try so many seeds."""
    engines, originals, became = Engines(), sound(), Counter[str]()
    room = asyncio.Semaphore(_AT_ONCE)
    with tempfile.TemporaryDirectory() as directory:
        compiler = kind_of(engines, Path(directory), CompileLimits(cpu_seconds=20, wall_seconds=60, memory=2 << 30))

        async def one(seed: int) -> None:
            async with room:
                print(f"seed {seed}", flush=True)
                became.update(await tried(compiler, *damaged(seed, originals)))
                print(f"seed {seed}", flush=True)

        async with asyncio.TaskGroup() as group:
            for seed in range(first, first + count):
                group.create_task(one(seed))
    assert not GUESTS
    engines.close()
    return became


if __name__ == "__main__":
    *here, first_seed, seeds = sys.argv[1:]
    found = asyncio.run(try_all(int(first_seed), int(seeds), Here if here == ["--here"] else Compiler))
    print("survived", dict(found.most_common()))
