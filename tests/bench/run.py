"""One run of the bench: how often each thing is measured, and with what beside it."""

import statistics
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, TypeVar

from tests.bench.daemon import Daemon, running
from tests.bench.profiling import profiled
from tests.bench.rows import Goal

T = TypeVar("T")
FULL_SPEED = 2_500.0
"""Raw commits a second; on a slower disk, goals that are rates scale with it."""


class Run(NamedTuple):
    """How often each thing is measured, and where profiles go, if they are wanted."""

    rounds: int = 3
    profiles: Path | None = None

    def in_turns(self, *work: Callable[[], T]) -> list[list[T]]:
        """Do each piece of work once in each round, so that all meet the same machine; give what each gave."""
        rounds = [[piece() for piece in work] for _ in range(self.rounds)]
        return [list(one) for one in zip(*rounds, strict=True)]

    @staticmethod
    def median(values: Sequence[float]) -> float:
        """Give the median."""
        return statistics.median(values)

    @staticmethod
    def slowness(raw: Sequence[float]) -> float:
        """Tell by what times may be longer here, given raw commits a second in the same run: 1 on a fast disk."""
        return max(1.0, FULL_SPEED / statistics.median(raw))

    def rate_goal(self, rate: float, raw: Sequence[float]) -> Goal:
        """Give the goal of a rate, given raw commits a second in the same run."""
        return Goal(rate / self.slowness(raw))

    @contextmanager
    def daemon(self, directory: Path, text: str, name: str) -> Iterator[Daemon]:
        """Run a daemon on a manifest. Where profiles are wanted, one is taken of all that it does, named `name`."""
        with running(directory, text) as (daemon, _), profiled(daemon.process.pid, name, self.profiles):
            yield daemon
