"""What goes wrong, and how often: drawn by the seed, for as long as faults are on."""

import random
from typing import Literal, TypeAlias

import msgspec

CommitFault: TypeAlias = Literal[
    "killed before", "killed after", "refused", "statement failed", "commit lost", "commit unknown", "reported lost"
]
"""What happens to a group of transactions:

the daemon is killed before or after it is committed; the database can't be reached; a statement fails, and SQLite rolls
back; COMMIT itself fails, and it was not or it was committed; it was committed, and the answer is lost.
"""
_COMMIT_FAULTS: tuple[CommitFault, ...] = CommitFault.__args__  # type: ignore[attr-defined]


class Rates(msgspec.Struct, frozen=True):
    """How often what goes wrong. Probabilities are of one commit, read or attempt; pauses are in seconds."""

    commit: float
    read: float
    guest: float
    slow_store: float
    weather: float
    """Seconds between two strokes of what happens to whole machines."""
    steps: int
    """The steps after which a daemon is killed, on average; 0: it isn't."""
    lost_message: float

    @classmethod
    def drawn(cls, draw: random.Random) -> "Rates":
        """Choose: some seeds are calm in some ways, so that the others show."""
        return cls(
            commit=draw.choice((0, 0.003, 0.01, 0.03)),
            read=draw.choice((0, 0, 0.01)),
            guest=draw.choice((0, 0.05, 0.2)),
            slow_store=draw.choice((0, 0, 0.02)),
            weather=draw.choice((1.5, 3.0, 6.0)),
            steps=draw.choice((0, 400, 1_500, 5_000)),
            lost_message=draw.choice((0, 0.05, 0.3)),
        )


NO_FAULTS = Rates(0, 0, 0, 0, 1e9, 0, 0)


class Faults:
    """Decides each time whether something goes wrong. `calm` ends all of it."""

    def __init__(self, draw: random.Random, rates: Rates) -> None:
        self._draw = draw
        self.rates = rates

    def calm(self) -> None:
        """Let nothing go wrong any more."""
        self.rates = NO_FAULTS

    @property
    def are_on(self) -> bool:
        """Tell if anything may go wrong still."""
        return self.rates is not NO_FAULTS

    def of_commit(self) -> CommitFault | None:
        """Decide about a group of transactions."""
        return self._draw.choice(_COMMIT_FAULTS) if self._happens(self.rates.commit) else None

    def of_read(self) -> bool:
        """Decide if a read fails."""
        return self._happens(self.rates.read)

    def loses_message(self) -> bool:
        """Decide if what a daemon tells another is lost."""
        return self._happens(self.rates.lost_message)

    def of_guest(self) -> Literal["trap", "error", "slow", "stuck"] | None:
        """Decide if an attempt goes wrong."""
        return self._draw.choice(("trap", "error", "slow", "stuck")) if self._happens(self.rates.guest) else None

    def latency(self) -> float:
        """Draw the seconds that a request to the store takes, there or back."""
        if self._happens(self.rates.slow_store):
            return self._draw.uniform(0.1, 4.0)
        return self._draw.uniform(0.0001, 0.003)

    def fuse(self) -> int:
        """Draw the steps after which a daemon that starts now is killed; 0: it isn't."""
        return 1 + int(self._draw.expovariate(1 / self.rates.steps)) if self.rates.steps else 0

    def statement(self) -> int:
        """Draw which statement of a group fails."""
        return self._draw.randrange(12)

    def _happens(self, probability: float) -> bool:
        return probability > 0 and self._draw.random() < probability
