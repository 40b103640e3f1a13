"""Engines for the tests of the WASM host."""

from collections.abc import Iterator

import pytest

from obelisk_daemon.wasm.callbacks import GUESTS
from obelisk_daemon.wasm.engine import Engines


@pytest.fixture(scope="module")
def engines() -> Iterator[Engines]:
    engines = Engines()
    yield engines
    engines.close()


@pytest.fixture(autouse=True)
def _no_guest_is_left() -> Iterator[None]:
    yield
    assert not GUESTS
