"""One set of engines and linked guests for all tests of the executor."""

import gc
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from obelisk_daemon.clock import SystemClock
from obelisk_daemon.wasm.callbacks import GUESTS
from obelisk_daemon.wasm.engine import Engines
from tests.fakes.clock import ManualClock
from tests.integration.executor.engine import Lab
from tests.integration.executor.uses import Linked


@pytest.fixture(scope="package")
def linked() -> Iterator[Linked]:
    engines = Engines()
    linked = Linked(engines)
    yield linked
    del linked
    gc.collect()
    engines.close()


@pytest.fixture
def lab(linked: Linked, tmp_path: Path) -> Lab:
    """Give a lab whose time is the machine's."""
    return Lab(linked, tmp_path, SystemClock())


@pytest.fixture
def new_lab(linked: Linked, tmp_path: Path) -> Callable[[str], Lab]:
    """Make labs, each with a directory of its own."""

    def make(name: str) -> Lab:
        (tmp_path / name).mkdir()
        return Lab(linked, tmp_path / name, SystemClock())

    return make


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def still(linked: Linked, tmp_path: Path, clock: ManualClock) -> Lab:
    """Give a lab whose time stands still until the test moves `clock`."""
    return Lab(linked, tmp_path, clock)


@pytest.fixture(autouse=True)
def _no_guest_is_left() -> Iterator[None]:
    yield
    assert not GUESTS
