"""Where simulated disks are."""

import gc
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

_MEMORY = Path("/dev/shm")


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Path]:
    """A directory in memory, where there is one: what survives is simulated, so a real disk would only take time."""
    with tempfile.TemporaryDirectory(dir=_MEMORY if _MEMORY.is_dir() else tmp_path) as made:
        yield Path(made)


@pytest.fixture(autouse=True)
def forgetting() -> Iterator[None]:
    """Make it cheap to collect garbage: an error holds statements, and those keep a closed connection open."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()
