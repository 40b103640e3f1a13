"""What the daemon needs of a database for the accepted versions of its manifest."""

from collections.abc import Mapping, Sequence
from typing import Final, Literal, Protocol, TypeAlias

import msgspec

from obelisk_daemon.clock import Instant
from obelisk_daemon.ids import ExecutionId

Cause: TypeAlias = Literal["start", "file", "reload", "rollback"]
OnUpgrade: TypeAlias = Literal["latest", "replay", "pin", "force"]
WhenFull: TypeAlias = Literal["reject", "evict-oldest"]
ALL: Final = ""
"""In place of a component's name: all of them together."""


class StoredComponent(msgspec.Struct, frozen=True):
    """The row of a component's code."""

    digest: str
    code: bytes


class AllowedFunction(msgspec.Struct, frozen=True):
    """What the active generation lets run of a function: its current code, and what becomes of older code.

    `labels` are required of the executor, and sorted. Whoever knows only generations with other `settings` may not run
    it.
    """

    digest: str
    component: str
    on_upgrade: OnUpgrade = "latest"
    labels: tuple[str, ...] = ()
    priority: int = 5
    settings: str = ""
    """A hash of all that the manifest says of its component."""


class QueueLimit(msgspec.Struct, frozen=True):
    """How much of a component, or of `ALL`, may run at once, and how much may wait that was never started."""

    max_running: int | None = None
    max_pending: int | None = None
    when_full: WhenFull = "reject"


class Generation(msgspec.Struct, frozen=True, kw_only=True):
    """An accepted manifest. `allowed` is by ffqn, `components` gives digests by name, `limits` is by component."""

    number: int
    activated_at: Instant
    manifest: bytes
    content_hash: str
    allowed: Mapping[str, AllowedFunction]
    components: Mapping[str, str] = {}
    limits: Mapping[str, QueueLimit] = {}
    cause: Cause = "start"
    restored: int | None = None
    """The generation that a rollback went back to."""


class Proposal(msgspec.Struct, frozen=True):
    """The last file of a host that asked for what is, or was, a generation: its hash, and the number of that."""

    content_hash: str
    generation: int


class Newest(msgspec.Struct, frozen=True):
    """The number of the active generation, 0 without any, and that which a host said last that it runs."""

    number: int
    told: int | None


class GenerationRow(msgspec.Struct, frozen=True):
    """A line of the history."""

    number: int
    activated_at: Instant
    content_hash: str
    cause: Cause
    restored: int | None


class WorkInProgress(msgspec.Struct, frozen=True):
    """How many executions of a function are unfinished on one digest, and how many of those were ever started."""

    ffqn: str
    component: str
    digest: str
    unfinished: int
    started: int


class GenerationStore(Protocol):
    """The manifest's accepted versions and the code they name."""

    async def active_generation(self) -> Generation | None:
        """Read the active generation."""
        ...

    async def newest_generation(self, host: str) -> Newest:
        """Read the number of the active generation, beside that which a host runs."""
        ...

    async def generation(self, number: int) -> Generation | None:
        """Read a generation, without what it allowed and limited when it was active."""
        ...

    async def generations(self, before: int, limit: int) -> list[GenerationRow]:
        """Read the history, newest first, of the generations below a number."""
        ...

    async def activate(
        self,
        generation: Generation,
        codes: Sequence[StoredComponent],
        proposed: tuple[str, str] | None = None,
        *,
        strands: bool = False,
    ) -> int:
        """Make a generation the active one, with the code it names, if its number follows the active one's.

        `proposed` is a host and the hash of its file, which this generation came of. Automatic pauses are lifted where
        other code may go on: answer how many. With `strands`, executions may lose their function.

        Raises:
            ConflictError: `generation_conflict`: another one was first; `strands_work`: executions are unfinished of
                functions that it removes.
        """
        ...

    async def note_proposal(self, host: str, proposal: Proposal) -> None:
        """Note that a host's file asks for what a generation is already."""
        ...

    async def proposal(self, host: str) -> Proposal | None:
        """Read the last file of a host that became a generation, or was one already."""
        ...

    async def component_code(self, digest: str) -> bytes | None:
        """Read a component's bytes."""
        ...

    async def work_in_progress(self) -> list[WorkInProgress]:
        """Count the unfinished executions by function and digest."""
        ...

    async def unfinished_of(self, ffqn: str, after: str, limit: int) -> list[ExecutionId]:
        """Read ids of unfinished executions of a function, in order, those after an id."""
        ...

    async def started_on_other_code(self, ffqn: str, digest: str, limit: int) -> list[tuple[ExecutionId, str]]:
        """Read unfinished executions of a function that were started on another digest than this: (id, digest)."""
        ...

    async def liftable(self, abi: int) -> list[ExecutionId]:
        """Read the executions that were paused because their code could not go on, where other code may now."""
        ...
