"""What the daemon needs of a database for its timers, and for what dead executors left."""

from collections.abc import Collection
from datetime import timedelta
from typing import Final, Protocol, TypeAlias

import msgspec

from obelisk_daemon.clock import Instant
from obelisk_daemon.execution.events import Created, Locked, TemporarilyTimedOut, Unlocked
from obelisk_daemon.execution.outcome import FailureRecord
from obelisk_daemon.execution.state import State
from obelisk_daemon.ids import ExecutionId, ExecutorId, RunId

LostEnding: TypeAlias = Unlocked | TemporarilyTimedOut | FailureRecord
FORGOTTEN_AFTER: Final = timedelta(days=7)
"""How long the row of an executor that is gone is kept."""


class NewExecutor(msgspec.Struct, frozen=True):
    """An executor that starts: where, what it offers, and how many runs it takes at a time."""

    executor_id: ExecutorId
    host: str
    name: str = "default"
    labels: tuple[str, ...] = ()
    max_running: int = 1


class TimerStore(Protocol):
    """Durable timers."""

    async def fire_delays(self, at: Instant, limit: int) -> int:
        """Turn up to `limit` delays due by `at` into responses; answer how many there were."""
        ...

    async def next_due(self, after: Instant) -> Instant | None:
        """Read when the next delay, or the next execution pending after `after`, is due."""
        ...


class RecoveryStore(Protocol):
    """Executors, their leases, and what dead ones left behind."""

    async def register_executor(self, executor: NewExecutor, at: Instant, until: Instant) -> None:
        """Make an executor known before it locks anything; those that were not seen for a week are forgotten.

        Its lease lasts until then, unless a heartbeat renews it.
        """
        ...

    async def dead_executors(self, at: Instant) -> list[ExecutorId]:
        """Declare those dead whose lease has ended by then; read which of all dead executors hold an execution."""
        ...

    async def lost_runs(self, dead: Collection[ExecutorId], limit: int) -> list["LostRun"]:
        """Read runs locked by executors that are dead; not those that are being cancelled."""
        ...

    async def end_lost_run(self, lost: "LostRun", ending: "LostEnding", at: Instant) -> bool:
        """Append how a lost run ends: an event after which it is tried again, or the failure it finishes with.

        What is tried again becomes a suspect; answer True where it was paused instead, as `quarantined`.

        Raises:
            VersionConflictError: it has gone on, or another host has ended it.
        """
        ...

    async def release_hot(self, dead: Collection[ExecutorId]) -> None:
        """Forget the memory that dead executors kept of blocked workflows."""
        ...


class LostRun(msgspec.Struct, frozen=True):
    """A run whose executor is gone. `locked` is the event that began it."""

    execution_id: ExecutionId
    run_id: RunId
    locked: Locked
    state: State
    created: Created
