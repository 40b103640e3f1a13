from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from tests.fakes.api import FakeWorld
from tests.fakes.serving import serving, talking


@pytest.fixture
def world() -> FakeWorld:
    return FakeWorld()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "api.sock"


@pytest.fixture
async def http(world: FakeWorld, path: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with serving(world, path), talking(path) as client:
        yield client
