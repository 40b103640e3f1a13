"""The executor's lab with guests that tell what they ask of the host."""

import gc
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import TypeAlias

import pytest

from obelisk_daemon.clock import SystemClock
from obelisk_daemon.execution.wit_types import FunctionType
from obelisk_daemon.wasm.callbacks import HostFunction
from obelisk_daemon.wasm.engine import Engines
from obelisk_daemon.wasm.linker import Resolve
from tests.fakes.clock import ManualClock
from tests.integration.executor.engine import Lab
from tests.integration.executor.uses import Linked
from tests.integration.host_functions.guests import WRITTEN_HERE
from tests.integration.host_functions.programs import Program, Ran, ran
from tests.stores import SqlitePlace


class Recording(Linked):
    """Linked guests that note in `called` what they ask of the host, as `interface.function`."""

    written_here = Linked.written_here | WRITTEN_HERE

    def __init__(self, engines: Engines, artifacts: Path) -> None:
        super().__init__(engines, artifacts)
        self.called: set[str] = set()

    def _resolve(self, is_workflow: bool) -> Resolve:
        resolve = super()._resolve(is_workflow)

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
def linked(artifacts: Path) -> Iterator[Recording]:
    engines = Engines()
    linked = Recording(engines, artifacts)
    yield linked
    del linked
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
