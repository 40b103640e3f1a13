"""What the daemon needs of a database to start alone what ran when a daemon died."""

from typing import Protocol

import msgspec

from obelisk_daemon.clock import Instant
from obelisk_daemon.storage.records import Held, LockRequest


class Alone(msgspec.Struct, frozen=True):
    """A suspect that was locked to run alone; `turn` counts its turns, from 1."""

    held: Held
    turn: int


class SuspectStore(Protocol):
    """What ran when its daemon died, and is to be started alone (`execution.suspicion`)."""

    async def next_suspect(self, at: Instant) -> Instant | None:
        """Read when the first of the suspects may start that wait for their turn; None if none does."""
        ...

    async def lock_suspect(self, request: LockRequest) -> Alone | None:
        """Lock the suspect whose turn it is, of those that this executor may run; it is alone until `end_turn`."""
        ...

    async def end_turn(self, held: Held, *, acquitted: bool) -> None:
        """Note, before others start, that it is not alone any more: its run has ended, or goes on among them."""
        ...
