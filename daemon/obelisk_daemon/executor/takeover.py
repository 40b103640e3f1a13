"""Taking over what dead executors left (DESIGN.md section 4, "Leases and deadlines").

On SQLite this is done once, at start: the state directory is held exclusively, so all former executors are dead. On a
database that hosts share, each of them looks again and again; what two find at once, the first one takes over.
"""

from typing import Final

import msgspec

from obelisk_daemon.clock import Clock
from obelisk_daemon.execution.attempt import Concluding, End, conclude_lost
from obelisk_daemon.execution.events import TemporarilyTimedOut, Unlocked
from obelisk_daemon.ids import ExecutionId, ExecutorId, IdSource
from obelisk_daemon.storage.records import VersionConflictError
from obelisk_daemon.storage.upkeep import LostEnding, LostRun, RecoveryStore

_BATCH: Final = 500


class Recovered(msgspec.Struct, frozen=True):
    """Who was found dead with executions in its hands, and how many runs were taken over, for the daemon's log.

    `quarantined` are those of them that have taken down one daemon too many.
    """

    dead: tuple[ExecutorId, ...]
    lost_runs: int
    quarantined: tuple[ExecutionId, ...] = ()


async def take_over(store: RecoveryStore, clock: Clock, ids: IdSource) -> Recovered:
    """End every run of executors that are dead, so that their executions can be locked again.

    Raises:
        StorageUnavailableError: what was taken over stays so; the rest is for the next time.
    """
    dead = await store.dead_executors(clock.now())
    count, quarantined = 0, []
    if dead:
        await store.release_hot(dead)
        while lost := await store.lost_runs(dead, _BATCH):
            for run in lost:
                is_quarantined = await _end(store, run, clock, ids)
                count += is_quarantined is not None
                if is_quarantined:
                    quarantined.append(run.execution_id)
    return Recovered(tuple(dead), count, tuple(quarantined))


async def _end(store: RecoveryStore, run: LostRun, clock: Clock, ids: IdSource) -> bool | None:
    """End a run, and tell if its execution is quarantined.

    None: somebody else has ended it, another host or its own at the last moment.
    """
    at = max(clock.now(), run.state.changed_at)
    attempt = Concluding(run.execution_id, run.locked, at, ids.failure)
    assert run.state.locked_version is not None
    end = conclude_lost(
        attempt,
        is_workflow=run.created.terms is not None,
        progressed=run.state.version > run.state.locked_version + 1,
    )
    try:
        return await store.end_lost_run(run, _ending(end), at)
    except VersionConflictError:
        return None


def _ending(end: End) -> LostEnding:
    if isinstance(end.event, Unlocked | TemporarilyTimedOut):
        return end.event
    assert end.failure is not None, "what is not tried again has failed"
    return end.failure
