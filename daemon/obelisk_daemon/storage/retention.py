"""What the daemon needs of a database to delete what is too old."""

from collections.abc import Sequence
from typing import Protocol

import msgspec

from obelisk_daemon.clock import Instant
from obelisk_daemon.ids import ExecutionId


class Window(msgspec.Struct, frozen=True):
    """A part of all executions, in the order of their ids, and those of it whose time has come.

    `due` are finished top-level ones without unfinished descendants. `last` is the id to go on after; None at the end.
    """

    due: tuple[ExecutionId, ...]
    last: str | None


class Removed(msgspec.Struct, frozen=True):
    """What one transaction removed. `trees` counts those at the beginning of its list that need no more of it."""

    trees: int
    executions: int
    rows: int


class RetentionRound(msgspec.Struct, frozen=True):
    """What one round of retention removed; `rows` are those of all executions, in every table."""

    began_at: Instant
    ended_at: Instant
    executions: int = 0
    rows: int = 0
    generations: int = 0
    components: int = 0
    artifacts: int = 0

    @property
    def is_empty(self) -> bool:
        """Tell if it removed nothing."""
        return not any((self.executions, self.rows, self.generations, self.components, self.artifacts))


class RetentionStore(Protocol):
    """Deleting what nothing needs any more, in transactions of a bounded size."""

    async def finished_before(self, before: Instant, after: str, window: int) -> Window:
        """Look at the next `window` executions after an id for those that finished before a time."""
        ...

    async def half_removed(self) -> list[ExecutionId]:
        """Read the trees whose removal has begun and has not ended."""
        ...

    async def remove_trees(self, roots: Sequence[ExecutionId], before: Instant, budget: int) -> Removed:
        """Remove about `budget` rows of trees in order; call again with those that are left.

        A root that did not finish before the time is left alone, unless its removal has begun.
        """
        ...

    async def remove_generations(self, kept: int, limit: int) -> int:
        """Remove up to `limit` generations, oldest first, beyond the active one and `kept` before it."""
        ...

    async def unneeded_code(self) -> list[str]:
        """Read the digests of components that no generation has and no unfinished execution is on."""
        ...

    async def remove_code(self, digest: str) -> bool:
        """Remove the bytes of a component, unless a generation has it again."""
        ...

    async def stored_digests(self) -> list[str]:
        """Read the digests of all components that are there."""
        ...
