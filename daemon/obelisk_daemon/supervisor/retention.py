"""Deleting what the manifest keeps no longer, in rounds and in small steps, while work goes on."""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from datetime import timedelta
from typing import Final

import msgspec
import structlog

from obelisk_config import Retention
from obelisk_daemon.clock import Clock, Instant, after
from obelisk_daemon.errors import StorageUnavailableError
from obelisk_daemon.ids import ExecutionId
from obelisk_daemon.metrics import StorageMetrics
from obelisk_daemon.storage.retention import RetentionRound, RetentionStore

_FIRST: Final = timedelta(seconds=30)
"""After a start there is other work."""
_SHORTEST, _LONGEST = timedelta(seconds=10), timedelta(minutes=10)
_WINDOW: Final = 5_000
"""Executions looked at in one read: it takes a reader some 15 ms."""
_ROWS: Final = 400
"""Rows removed in one transaction: it takes the writer a few milliseconds, and others wait for it."""
_GENERATIONS: Final = 20
_LEAST_PAUSE: Final = 0.02
_PAUSE_FOR_STEP: Final = 4.0
"""After each step a pause, so many times as long as the step took: others have the most of the time."""
_UNUSED_FOR: Final = timedelta(days=1)
"""An artifact that no stored component needs is kept for as long: a plan or a replay may have made it."""
_log: Final = structlog.get_logger("retention")


def interval(kept: Retention) -> timedelta:
    """Give the time between two rounds: a small part of the time that things are kept, within bounds."""
    return _LONGEST if kept.finished is None else min(max(kept.finished / 100, _SHORTEST), _LONGEST)


class RetentionSources(msgspec.Struct, frozen=True):
    """What retention asks of the rest of the daemon: what is kept, and how artifacts are removed.

    `prune` takes digests to keep and Unix seconds, since when what was made stays; it is called on a thread.
    """

    kept: Callable[[], Retention]
    prune: Callable[[Collection[str], float], int]


class RetentionLoop:
    """Removes what is too old. `run` is a task of the supervisor; `last` tells of the last round that came to its end.

    `pause` waits so many seconds between two steps.
    """

    def __init__(
        self,
        store: RetentionStore,
        clock: Clock,
        sources: RetentionSources,
        metrics: StorageMetrics,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.last: RetentionRound | None = None
        self._store = store
        self._clock = clock
        self._sources = sources
        self._metrics = metrics
        self._pause = pause
        self._look = asyncio.Event()
        self._step_began = 0.0
        for what in ("executions", "generations", "components"):
            metrics.removed.inc(what, by=0)

    def look(self) -> None:
        """Begin a round at once, or another one when one is under way: something else may be kept now."""
        self._look.set()

    async def run(self) -> None:
        """Begin a round now and then, for ever."""
        await self._wait(_FIRST)
        while True:
            self._look.clear()
            try:
                await self.round()
            except StorageUnavailableError as error:
                _log.error("retention_failed", code=error.code, detail=str(error))
            except Exception:  # noqa: BLE001 - the edge: a page or a file that can't be read must not end the daemon
                _log.exception("retention_failed")
            await self._wait(interval(self._sources.kept()))

    async def round(self) -> RetentionRound:
        """Remove all that is too old now.

        Raises:
            StorageUnavailableError: the database can't be written now. What was removed before stays removed.
        """
        began_at = self._clock.now()
        executions, rows = await self._remove_finished()
        generations = await self._remove_generations()
        components = await self._remove_code()
        artifacts = await self._remove_artifacts()
        ended_at = self._clock.now()
        done = RetentionRound(began_at, ended_at, executions, rows, generations, components, artifacts)
        if not done.is_empty:
            counts = {name: value for name, value in msgspec.structs.asdict(done).items() if not name.endswith("_at")}
            _log.info("retention_round", seconds=round((ended_at - began_at) / 1_000_000, 3), **counts)
        self.last = done
        return done

    async def _remove_finished(self) -> tuple[int, int]:
        """End the removals that were begun, then walk all executions; what is kept may change in between."""
        executions, rows = await self._remove(await self._store.half_removed(), Instant(0))
        last: str | None = ""
        while last is not None and (kept := self._sources.kept().finished) is not None:
            before = self._before(kept)
            self._step_began = self._clock.monotonic()
            window = await self._store.finished_before(before, last, _WINDOW)
            await self._rest()
            some, some_rows = await self._remove(window.due, before)
            executions, rows, last = executions + some, rows + some_rows, window.last
        return executions, rows

    async def _remove(self, roots: Collection[ExecutionId], before: Instant) -> tuple[int, int]:
        executions, rows, left = 0, 0, list(roots)
        while left:
            self._step_began = self._clock.monotonic()
            removed = await self._store.remove_trees(left, before, _ROWS)
            self._metrics.removed.inc("executions", by=removed.executions)
            executions, rows, left = executions + removed.executions, rows + removed.rows, left[removed.trees :]
            await self._rest()
        return executions, rows

    async def _remove_generations(self) -> int:
        count = 0
        while removed := await self._store.remove_generations(self._sources.kept().generations, _GENERATIONS):
            count += removed
            self._metrics.removed.inc("generations", by=removed)
            await self._pause(_LEAST_PAUSE)
        return count

    async def _remove_code(self) -> int:
        count = 0
        for digest in await self._store.unneeded_code():
            self._step_began = self._clock.monotonic()
            removed = await self._store.remove_code(digest)
            self._metrics.removed.inc("components", by=removed)
            count += removed
            await self._rest()
        return count

    async def _remove_artifacts(self) -> int:
        made_before = self._before(_UNUSED_FOR) / 1_000_000
        return await asyncio.to_thread(self._sources.prune, await self._store.stored_digests(), made_before)

    def _before(self, age: timedelta) -> Instant:
        return after(self._clock.now(), -age)

    async def _rest(self) -> None:
        took = self._clock.monotonic() - self._step_began
        await self._pause(max(_LEAST_PAUSE, took * _PAUSE_FOR_STEP))

    async def _wait(self, duration: timedelta) -> None:
        try:
            async with asyncio.timeout(duration.total_seconds()):
                await self._look.wait()
        except TimeoutError:
            return
