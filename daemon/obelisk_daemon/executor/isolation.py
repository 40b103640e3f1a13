"""Runs suspects one at a time, alone in this process (the rules are in `execution.suspicion`)."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Final

import structlog

from obelisk_daemon.clock import Clock
from obelisk_daemon.errors import ObeliskError
from obelisk_daemon.execution.suspicion import patience
from obelisk_daemon.executor.executor import Executor
from obelisk_daemon.storage.suspects import SuspectStore

_TURN: Final = 0.25
"""Seconds for which no suspect is started any more: others wait that long, and for the last one's patience."""
_DRAINING: Final = timedelta(milliseconds=250)
"""How long the runs in progress are waited for."""
_BUSY: Final = 1.0
"""Seconds until they are waited for again."""
_log: Final = structlog.get_logger("executor")


class Isolation:
    """Holds all executors back while suspects have their turn; others have at least as long in between.

    `run` is a task of the executors. Right after a start nothing runs yet, so suspects come first then.
    """

    def __init__(self, store: SuspectStore, clock: Clock, members: Sequence[Executor]) -> None:
        self._store = store
        self._clock = clock
        self._members = tuple(members)
        self._wanted = asyncio.Event()
        self._freed = asyncio.Event()
        self._stopping = False
        for member in self._members:
            member.on_free = self._freed.set

    def look(self) -> None:
        """Look for suspects: a daemon has died."""
        self._wanted.set()

    def stop(self) -> None:
        """Begin no turn any more."""
        self._stopping = True
        self._wanted.set()

    async def run(self) -> None:
        """Give suspects their turns, until `stop`."""
        self._hold(True)
        while not self._stopping:
            self._wanted.clear()
            rest = await self._turn()
            try:
                async with asyncio.timeout(rest):
                    await self._wanted.wait()
            except TimeoutError:
                continue

    async def _turn(self) -> float | None:
        """Run suspects alone, if there are any; answer how many seconds to leave to others, None if nobody waits."""
        began = self._clock.monotonic()
        for member in self._members:
            member.wake()  # some may start among others now
        try:
            now = self._clock.now()
            due_at = await self._store.next_suspect(now)
            if due_at is None:
                return None
            if due_at > now:
                return (due_at - now) / 1_000_000
            self._hold(True)
            if not await self._is_quiet(_DRAINING):
                return _BUSY
            while not self._stopping and self._clock.monotonic() - began < _TURN and await self._run_one():
                pass
        except ObeliskError as error:
            _log.error("suspects_failed", code=error.code, detail=str(error))
            return _BUSY
        finally:
            self._hold(False)
        return max(self._clock.monotonic() - began, _TURN)

    async def _run_one(self) -> bool:
        """Run one suspect alone; answer False if there was none, or if it goes on among others."""
        for member in self._members:
            alone = await member.lock_alone()
            if alone is None:
                continue
            _log.info("suspect_alone", execution_id=alone.held.execution_id, turn=alone.turn)
            has_ended = await self._is_quiet(patience(alone.turn))
            await self._store.end_turn(alone.held, acquitted=has_ended)
            return has_ended
        return False

    async def _is_quiet(self, within: timedelta) -> bool:
        """Wait until nothing runs, but not for longer."""
        try:
            async with asyncio.timeout(within.total_seconds()):
                while any(member.is_busy for member in self._members):
                    self._freed.clear()
                    await self._freed.wait()
        except TimeoutError:
            return False
        return True

    def _hold(self, held: bool) -> None:
        for member in self._members:
            member.hold(held)
