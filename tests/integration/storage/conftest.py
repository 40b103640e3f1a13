"""SQLite stores in a directory of the test's own."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from obelisk_daemon.errors import OutcomeUnknownError
from obelisk_daemon.storage.sql.store import SqlStore
from tests.integration.storage.opening import open_active


@pytest.fixture
def broken() -> list[OutcomeUnknownError]:
    """What the store has reported as unknown."""
    return []


@pytest.fixture
async def store(tmp_path: Path, broken: list[OutcomeUnknownError]) -> AsyncIterator[SqlStore]:
    async with open_active(tmp_path / "obelisk.db", broken.append) as opened:
        yield opened
