"""What the daemon needs of a database for the accepted versions of its manifest."""

from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec

from obelisk_daemon.clock import Instant
from obelisk_daemon.ids import ExecutionId


class StoredComponent(msgspec.Struct, frozen=True):
    """The row of a component's code."""

    digest: str
    code: bytes


class Generation(msgspec.Struct, frozen=True):
    """An accepted manifest. `allowed` maps every ffqn to the digest that may run it."""

    number: int
    activated_at: Instant
    manifest: bytes
    content_hash: str
    allowed: Mapping[str, str]
    components: tuple[str, ...] = ()


class GenerationStore(Protocol):
    """The manifest's accepted versions and the code they name."""

    async def active_generation(self) -> Generation | None:
        """Read the active generation."""
        ...

    async def activate(self, generation: Generation, codes: Sequence[StoredComponent]) -> None:
        """Make a generation the active one, with the code it names, if its number follows the active one's.

        Raises:
            ConflictError: `generation_conflict`: another one was first.
        """
        ...

    async def component_code(self, digest: str) -> bytes | None:
        """Read a component's bytes."""
        ...

    async def paused_automatically(self) -> list[tuple[ExecutionId, str, str]]:
        """Read the executions that were paused because their code could not go on: (id, ffqn, digest)."""
        ...
