"""One set of engines and linked guests for all tests of the executor."""

import gc
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from obelisk_daemon.clock import SystemClock
from obelisk_daemon.wasm.callbacks import GUESTS
from obelisk_daemon.wasm.engine import Engines
from tests.fakes.clock import ManualClock
from tests.integration.executor.engine import Lab, NewLab
from tests.integration.executor.uses import Linked
from tests.stores import Place, Places, SqlitePlaces


@pytest.fixture(params=["sqlite"])
def places(tmp_path: Path) -> Places:
    """SQLite only: what differs on a database of several hosts is tested where `tests.conftest.places` is imported."""
    return SqlitePlaces(tmp_path)


@pytest.fixture(scope="package")
def linked(artifacts: Path) -> Iterator[Linked]:
    engines = Engines()
    linked = Linked(engines, artifacts)
    yield linked
    del linked
    gc.collect()
    engines.close()


@pytest.fixture
def lab(linked: Linked, place: Place) -> Lab:
    """Give a lab whose time is the machine's."""
    return Lab(linked, place, SystemClock())


@pytest.fixture
def new_lab(linked: Linked, places: Places) -> Iterator[NewLab]:
    """Make labs, each with a database of its own."""
    with ExitStack() as stack:
        yield lambda clock=None: Lab(linked, stack.enter_context(places.new()), clock or SystemClock())


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def still(linked: Linked, place: Place, clock: ManualClock) -> Lab:
    """Give a lab whose time stands still until the test moves `clock`."""
    return Lab(linked, place, clock)


@pytest.fixture(autouse=True)
def _no_guest_is_left() -> Iterator[None]:
    yield
    assert not GUESTS
