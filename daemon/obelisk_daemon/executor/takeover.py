"""Taking over what a dead daemon left (DESIGN.md section 4, "Leases and deadlines").

On SQLite this is done once, at start: the state directory is held exclusively, so every lock of another executor is
one of a process that is gone.
"""

from collections.abc import Collection
from typing import Final

import msgspec

from obelisk_daemon.clock import Clock
from obelisk_daemon.execution.attempt import Concluding, conclude_lost
from obelisk_daemon.ids import ExecutorId, IdSource
from obelisk_daemon.storage.upkeep import LostRun, RecoveryStore

_BATCH: Final = 500


class Recovered(msgspec.Struct, frozen=True):
    """How many runs were taken over, for the daemon's log."""

    lost_runs: int


async def take_over(store: RecoveryStore, alive: Collection[ExecutorId], clock: Clock, ids: IdSource) -> Recovered:
    """End every run of executors that are not alive, so that their executions can be locked again."""
    await store.release_hot(alive)
    count = 0
    while lost := await store.lost_runs(alive, _BATCH):
        for run in lost:
            await _end(store, run, clock, ids)
        count += len(lost)
    return Recovered(count)


async def _end(store: RecoveryStore, run: LostRun, clock: Clock, ids: IdSource) -> None:
    at = max(clock.now(), run.state.changed_at)
    attempt = Concluding(run.execution_id, run.locked, at, ids.failure)
    assert run.state.locked_version is not None
    end = conclude_lost(
        attempt,
        is_workflow=run.created.terms is not None,
        progressed=run.state.version > run.state.locked_version + 1,
    )
    await store.end_lost_run(run, end.failure or end.event, at)
