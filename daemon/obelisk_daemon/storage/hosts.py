"""Hosts and their leases: who works on this database, and who is alive (DESIGN.md section 4, "Leases and deadlines").

A host is one daemon; it has one or more executors, and one heartbeat renews the leases of all. An executor is dead once
it was declared so, which anyone may do whose clock says that its lease has ended; it never comes back.
"""

from collections.abc import Collection, Sequence
from typing import Protocol

import msgspec

from obelisk_daemon.clock import Instant
from obelisk_daemon.ids import ExecutorId


class NewHost(msgspec.Struct, frozen=True):
    """A host that starts, under a name that no other one has."""

    host: str
    version: str


class KnownHost(msgspec.Struct, frozen=True):
    """A host as the database knows it. `generation` is what it said last that it runs."""

    host: str
    version: str
    started_at: Instant
    seen_at: Instant
    lease_until: Instant
    generation: int | None
    draining: bool

    def is_alive(self, at: Instant) -> bool:
        """Tell if its lease lasts beyond a time."""
        return self.lease_until > at


class Offered(msgspec.Struct, frozen=True):
    """What an executor of a host, by its name, offers now: a reload changes it while it runs."""

    name: str
    labels: tuple[str, ...]
    max_running: int


class Beat(msgspec.Struct, frozen=True):
    """A sign of life of a host and its executors, and until when others may rely on it.

    `started_at` tells it from another daemon under the same name: it is when it was registered.
    """

    host: str
    started_at: Instant
    executors: Collection[ExecutorId]
    at: Instant
    until: Instant


class Heard(msgspec.Struct, frozen=True):
    """What a host learns by its heartbeat: which of its executors were declared dead, and if it is to drain.

    `is_known` is False where the host was forgotten, or another daemon has its name by now.
    """

    dead: frozenset[ExecutorId]
    is_known: bool
    draining: bool


class HostStore(Protocol):
    """The hosts on this database."""

    async def register_host(self, host: NewHost, at: Instant, until: Instant) -> Instant | None:
        """Make a host known, or known again: whether it drains stays as it was. Old ones are forgotten.

        While another daemon has a lease under that name, nothing is done but to answer when that ends.
        """
        ...

    async def heartbeat(self, beat: Beat) -> Heard:
        """Renew the leases of a host and of its executors; of one that is dead, nothing is renewed."""
        ...

    async def end_lease(self, beat: Beat) -> None:
        """End the leases of a host that stops and of its executors: what they left need not wait for their end."""
        ...

    async def end_all_leases(self) -> None:
        """Declare all dead: for who knows that nobody else can be at work on this database."""
        ...

    async def note_generation(self, host: str, generation: int, offered: Sequence[Offered] = ()) -> None:
        """Note which generation a host runs now, and what its executors offer."""
        ...

    async def hosts(self) -> list[KnownHost]:
        """Read all hosts that are known, by their names."""
        ...
