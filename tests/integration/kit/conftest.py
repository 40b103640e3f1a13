from collections.abc import Callable
from pathlib import Path

import pytest

from obelisk_daemon.testing import WorkflowKit
from tests import guests

MakeKit = Callable[..., WorkflowKit]


@pytest.fixture
def make_kit(artifacts: Path) -> MakeKit:
    """Make a kit for one of our guests, by its name, or for a file."""

    def make(guest: str | Path, **settings: object) -> WorkflowKit:
        file = guest if isinstance(guest, Path) else guests.path(guest)
        return WorkflowKit(file, cache_dir=artifacts, **settings)

    return make
