"""A daemon that dies at any commit of a reference workload: the next one ends it with the same results and logs."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Literal

import pytest

from obelisk_daemon.errors import OutcomeUnknownError
from obelisk_daemon.execution.events import TemporarilyTimedOut
from obelisk_daemon.execution.outcome import Failed, Returned
from obelisk_daemon.ids import ExecutionId
from obelisk_daemon.storage.port import Store
from obelisk_daemon.storage.sql.store import SqlStore
from obelisk_daemon.storage.sql.writer import GroupCommit, WriteTicket
from tests.building import execution_id
from tests.integration.executor.engine import Daemon, Lab, NewLab
from tests.integration.executor.test_running import history_of
from tests.integration.executor.uses import FIBO, FIBOA, Use

pytestmark = pytest.mark.anyio

USES = (FIBO, FIBOA, Use("fanout"), Use("nested", on_block="unload"), Use("sleeper", cancellable=True))
CALLS: Sequence[tuple[str, tuple[object, ...]]] = (
    ("testing:fibo/workflow.fiboa", (10, 2)),
    ("testing:nested/outer.run", (10, 1)),
    ("testing:fanout/fanout.run", (3, 10)),
    ("testing:sleeper/sleeper.nap", (1,)),
)
NEVER_DONE = ("testing:sleeper/sleeper.nap", (3_600_000,))
CANCELLED = execution_id(len(CALLS) + 1)
Side = Literal["before", "after"]


class Dying:
    """Commits until the daemon dies, before a commit or after it; nothing is written or told from then on."""

    def __init__(self, commits: int, side: Side) -> None:
        self._left = commits
        self._side = side
        self._below: GroupCommit
        self.short = 0
        self.died = asyncio.Event()

    def over(self, store: SqlStore) -> Store:
        self._below, store.writer._group_commit = store.writer._group_commit, self
        self.short = self._below.short
        store.writer._on_broken = lambda _: None
        return store

    async def commit(self, group: Sequence[WriteTicket[Any]]) -> None:
        self._left -= 1
        if self._left > 0:
            await self._below.commit(group)
            return
        if self._left == 0 and self._side == "after":
            await self._below.commit(group)
        self.died.set()
        raise OutcomeUnknownError("crashed", "the daemon is dead")


async def work(daemon: Daemon) -> None:
    """Submit what is not there yet, cancel one, and wait for the end of all."""
    for number, (ffqn, params) in enumerate((*CALLS, NEVER_DONE), 1):
        await daemon.submit(ffqn, *params, number=number)
    await daemon.cancel(CANCELLED)
    for number in range(1, len(CALLS) + 2):
        await daemon.result(execution_id(number))


async def interrupted(lab: Lab, dying: Dying) -> bool:
    """Work in a daemon that dies; tell if it did."""
    with suppress(OutcomeUnknownError):
        async with lab.daemon(*USES, crash=True, over=dying.over) as daemon:
            ways = [asyncio.create_task(work(daemon)), asyncio.create_task(dying.died.wait())]
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            for way in ways:
                way.cancel()
            await asyncio.wait(ways)
    return dying.died.is_set()


async def told(daemon: Daemon) -> dict[ExecutionId, object]:
    """Give the results, and the history of what has a deterministic one."""
    found: dict[ExecutionId, object] = {}
    for number, (ffqn, _) in enumerate(CALLS, 1):
        known = execution_id(number)
        row = await daemon.row(known)
        assert isinstance(row.outcome, Returned)
        history = [event for event in history_of(await daemon.log(known)) if not isinstance(event, TemporarilyTimedOut)]
        found[known] = [event.__struct_config__.tag for event in history] if "nap" in ffqn else history
    cancelled = (await daemon.row(CANCELLED)).outcome
    assert isinstance(cancelled, Failed)
    assert cancelled.kind == "cancelled"
    return found


@pytest.mark.parametrize("side", ["before", "after"])
async def test_a_daemon_may_die_at_any_commit_of_a_workload(new_lab: NewLab, side: Side) -> None:
    commits, died, wanted = 1, True, None
    while died:
        lab = new_lab()
        died = await interrupted(lab, Dying(commits, side))
        async with lab.daemon(*USES) as daemon:
            await work(daemon)
            now = await told(daemon)
            wanted = wanted or now
            assert now == wanted, f"after a death {side} commit {commits}"
            for known in (*wanted, CANCELLED):
                await daemon.check(known)
        commits += 1
    assert commits > 12
