"""How many connections a listener has, and which one goes when there are too many.

A connection that does not ask for anything costs its client nothing, so nobody is kept out by those: the one that has
said nothing complete for longest is closed for a new one. Only connections whose request is carried out count for good.
"""

from collections import Counter
from collections.abc import Callable
from typing import Final

import msgspec


class Limits(msgspec.Struct, frozen=True):
    """What the connections of one listener may use."""

    connections: int = 1_000
    per_peer: int = 500
    """From one IP address; a trusted proxy may have all."""
    header_seconds: float = 15
    """From the first byte, or from the beginning of the connection, to the end of the header."""
    body_seconds: float = 120
    """From the end of the header to the end of the body."""
    idle_seconds: float = 75
    """Between two requests: longer than clients keep a connection, so that none is closed just as it is used again."""
    write_seconds: float = 60
    """For which a client may take nothing of its answer."""
    handshake_seconds: float = 15


DEFAULT_LIMITS: Final = Limits()


class Slot:
    """The place of one connection. Whoever has the connection says what it does, and sets what closes it."""

    def __init__(self, slots: "Slots", peer: str | None) -> None:
        self.peer = peer
        self.close: Callable[[], object] = lambda: None
        self._slots = slots

    def waits(self) -> None:
        """Say that the client has to say something before there is anything to do."""
        self._slots.idle[self] = None

    def works(self) -> None:
        """Say that a request of it is carried out."""
        self._slots.idle.pop(self, None)

    def leave(self) -> None:
        """Give it up; doing so twice does no harm."""
        self._slots.remove(self)


class Slots:
    """The connections of one listener. `idle` has those that may be closed, the one that waits for longest first."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._taken: set[Slot] = set()
        self._of_peer: Counter[str] = Counter()
        self.idle: dict[Slot, None] = {}
        self.closed = 0
        """How many had to go for others."""
        self.refused = 0

    def __len__(self) -> int:
        return len(self._taken)

    def take(self, peer: str | None) -> Slot | None:
        """Take a place for a connection from an address, or from where there is none; None when it can't be had."""
        if peer is not None and self._of_peer[peer] >= self._limits.per_peer and not self.close_one(peer):
            self.refused += 1
            return None
        if len(self._taken) >= self._limits.connections and not self.close_one():
            self.refused += 1
            return None
        slot = Slot(self, peer)
        self._taken.add(slot)
        if peer is not None:
            self._of_peer[peer] += 1
        slot.waits()
        return slot

    def close_one(self, peer: str | None = None) -> bool:
        """Close the one that waits for longest, of an address if one is given; False if none waits."""
        oldest = next((slot for slot in self.idle if peer is None or slot.peer == peer), None)
        if oldest is None:
            return False
        self.closed += 1
        self.remove(oldest)
        oldest.close()
        return True

    def remove(self, slot: Slot) -> None:
        """Forget a connection."""
        if slot not in self._taken:
            return
        self._taken.remove(slot)
        self.idle.pop(slot, None)
        if slot.peer is not None:
            self._of_peer[slot.peer] -= 1
            if not self._of_peer[slot.peer]:
                del self._of_peer[slot.peer]
