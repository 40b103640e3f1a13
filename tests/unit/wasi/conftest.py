"""What the tests of WASI share."""

import pytest

from tests.unit.wasi.fakes import FakeGuest


@pytest.fixture
def guest() -> FakeGuest:
    return FakeGuest()
