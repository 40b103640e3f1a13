"""Daemons in this process, one life after another on one state directory."""

from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path

import pytest

from obelisk_daemon.wasm.compile import Compiler
from obelisk_daemon.wasm.engine import Engines
from tests.fakes.clock import ManualClock
from tests.integration.steering.daemon import Daemon, running

Start = Callable[[str], AbstractAsyncContextManager[Daemon]]


@pytest.fixture(scope="session")
def engines() -> Iterator[Engines]:
    engines = Engines()
    yield engines
    engines.close()


@pytest.fixture
def compiler(engines: Engines, artifacts: Path) -> Compiler:
    """Compiling the big guests takes many seconds, so they are kept in `artifacts`."""
    return Compiler(engines, artifacts)


@pytest.fixture
def start(tmp_path: Path, compiler: Compiler) -> Start:
    """Start a daemon on a manifest; time goes on from one life to the next."""
    return partial(_start, tmp_path, compiler, ManualClock())


def _start(
    directory: Path, compiler: Compiler, clock: ManualClock, manifest: str
) -> AbstractAsyncContextManager[Daemon]:
    return running(directory, manifest, compiler, clock)
