"""The engine with the interpreting guests, whose compiled code stays in pytest's cache."""

import gc
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import TypeAlias

import pytest
from wasmtime import component as wc

from obelisk_daemon.clock import SystemClock
from obelisk_daemon.deployment.planning import _Resolver
from obelisk_daemon.execution.wit_types import FunctionType
from obelisk_daemon.wasm.callbacks import HostFunction
from obelisk_daemon.wasm.compile import Compiler
from obelisk_daemon.wasm.component import Component
from obelisk_daemon.wasm.engine import Engines
from obelisk_daemon.wasm.linker import LinkedComponent
from tests import guests
from tests.fakes.clock import ManualClock
from tests.integration.executor.engine import Lab
from tests.integration.executor.uses import TYPES, Linked
from tests.integration.host_functions.guests import WRITTEN_HERE
from tests.integration.host_functions.programs import Program, Ran, ran
from tests.stores import SqlitePlace

BIG = ("interpreter-python", "interpreter-js", "backtraces-python")


class Recording(Linked):
    """Linked guests that note in `called` what they ask of the host, as `interface.function`."""

    def __init__(self, engines: Engines, loaded: dict[str, Component]) -> None:
        super().__init__(engines)
        self.loaded = loaded
        self.called: set[str] = set()

    def _link(self, name: str) -> LinkedComponent:
        if name in WRITTEN_HERE:
            kind, text = WRITTEN_HERE[name]
            handle = wc.Component(self._engines.engine(kind), text)
            component = Component(self._engines, kind, f"sha256:{name}", handle)
        elif name in self.loaded:
            component = self.loaded[name]
        else:
            return super()._link(name)
        return LinkedComponent(component, self._resolve(component.kind == "workflow"))

    def _resolve(self, is_workflow: bool) -> Callable[[str, str, FunctionType], HostFunction | None]:
        resolve = _Resolver(is_workflow, TYPES)

        def resolved(interface: str, function: str, of: FunctionType) -> HostFunction | None:
            found = resolve(interface, function, of)
            if found is None or interface.startswith("wasi:"):
                return found

            def call(*arguments: object) -> object:
                self.called.add(f"{interface}.{function}")
                return found(*arguments)

            return call

        return resolved


@pytest.fixture(scope="package")
async def linked(request: pytest.FixtureRequest) -> AsyncIterator[Recording]:
    directory = request.config.cache.mkdir("obelisk-artifacts")
    directory.chmod(0o700)
    engines = Engines()
    compiler = Compiler(engines, directory)
    linked = Recording(engines, {name: await compiler.load(guests.path(name).read_bytes(), "workflow") for name in BIG})
    yield linked
    linked.loaded.clear()
    del linked, compiler
    gc.collect()
    engines.close()


@pytest.fixture
def lab(linked: Recording, tmp_path: Path) -> Lab:
    """Give a lab whose time is the machine's."""
    return Lab(linked, SqlitePlace(tmp_path), SystemClock())


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def still(linked: Recording, tmp_path: Path, clock: ManualClock) -> Lab:
    """Give a lab whose time stands still until the test moves `clock`."""
    return Lab(linked, SqlitePlace(tmp_path), clock)


Both: TypeAlias = Callable[..., Awaitable[Ran]]


@pytest.fixture
def both(linked: Recording, tmp_path: Path) -> Both:
    """Run a program in memory, and once more replayed from its start at every block: nothing may differ."""

    async def run(*program: Program, guest: str = "interpreter-python", **settings: object) -> Ran:
        seen = []
        for on_block in ("hot", "unload"):
            directory = tmp_path / on_block
            directory.mkdir()
            lab = Lab(linked, SqlitePlace(directory), SystemClock())
            seen.append(await ran(lab, *program, guest=guest, on_block=on_block, **settings))
        hot, unloaded = seen
        assert unloaded.gave == hot.gave
        assert unloaded.history == hot.history
        assert unloaded.lines == hot.lines
        return hot

    return run
