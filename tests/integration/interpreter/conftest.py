"""The interpreting guests on a fake host."""

import json
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from obelisk_daemon.ffqn import Ffqn
from obelisk_daemon.wasm.compile import Compiler
from obelisk_daemon.wasm.engine import Engines
from obelisk_daemon.wasm.guest import GuestLimits
from obelisk_daemon.wasm.linker import LinkedComponent
from tests import guests
from tests.integration.interpreter.fake_host import FakeHost

LIMITS = GuestLimits(memory=256 << 20)


class Guest:
    """A component on a fake host, a new one for each run."""

    def __init__(self, component, function):
        self.component = component
        self.linked = LinkedComponent(component, FakeHost.resolve)
        self.function = function
        self.host = FakeHost()

    @property
    def imports(self):
        """What it may ask of the host, beside WASI."""
        return {
            f"{wanted.interface.partition('@')[0]}.{wanted.function}"
            for wanted in self.component.imports
            if not wanted.interface.startswith("wasi:")
        }

    async def call(self, *params, seed=1):
        self.host = FakeHost()
        self.host.wasi.random = random.Random(seed).randbytes
        return await self.linked.run(self.function, params, self.host, LIMITS)

    async def gives(self, *program, seed=1):
        """Run a program of an interpreter; give what its operations gave."""
        outcome = await self.call(json.dumps(program), seed=seed)
        return json.loads(outcome.value["ok"])


@pytest.fixture(scope="session")
def engines() -> Iterator[Engines]:
    engines = Engines()
    yield engines
    engines.close()


@pytest.fixture
def load(engines: Engines, artifacts: Path):
    """Load a guest; compiling the big ones takes many seconds, so they are kept in `artifacts`."""
    compiler = Compiler(engines, artifacts)

    async def load(name, function):
        return Guest(await compiler.load(guests.path(name).read_bytes(), "workflow"), Ffqn.parse(function))

    return load


@pytest.fixture(params=["interpreter-python", "interpreter-js"])
async def interpreter(request, load):
    return await load(request.param, "testing:interpreter/interpreter.run")


@pytest.fixture
async def python(load):
    return await load("interpreter-python", "testing:interpreter/interpreter.run")
