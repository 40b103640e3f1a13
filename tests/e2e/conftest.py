"""Real daemons, each in a directory of its own."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.daemon import Daemon

NewDaemon = Callable[..., Daemon]


@pytest.fixture
def new_daemon(tmp_path: Path, artifacts: Path) -> Iterator[NewDaemon]:
    """Make daemons with a manifest of these tables; they are not started yet."""
    made: list[Daemon] = []

    def make(*tables: str, artifacts: Path = artifacts, stop_grace: str = "10s") -> Daemon:
        made.append(Daemon(tmp_path / f"d{len(made)}", artifacts))
        made[-1].write(*tables, stop_grace=stop_grace)
        return made[-1]

    yield make
    for daemon in made:
        daemon.end()
