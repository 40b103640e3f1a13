"""A daemon that dies at any commit of an upgrade: the next one ends it as if nothing had happened."""

import asyncio
from functools import partial

import msgspec
import pytest

from obelisk_daemon.clock import Instant
from obelisk_daemon.execution.events import ComponentUpgraded, Locked, TemporarilyTimedOut
from obelisk_daemon.execution.outcome import FailureRecord, Returned
from obelisk_daemon.ids import ExecutionId, child_id
from obelisk_daemon.storage.port import Ticket
from obelisk_daemon.storage.records import Append, CancellationEnd, Held, LockRequest, Release
from obelisk_daemon.storage.sql.store import SqlStore
from tests.building import OK, execution_id
from tests.conftest import places  # noqa: F401 - on both kinds of databases
from tests.integration.executor.engine import Daemon, Lab, NewLab
from tests.integration.executor.test_running import history_of
from tests.integration.executor.test_upgrading import ELSEWHERE, FIBOA, blocked, digest, fiboa, upgrades
from tests.integration.executor.uses import FIBO, Use

pytestmark = pytest.mark.anyio


class Mortal:
    """A store whose daemon dies after so many commits, once it is told to count: nothing is written after that."""

    def __init__(self, store: SqlStore) -> None:
        self._store = store
        self._left: int | None = None
        self.died = asyncio.Event()

    def die_after(self, commits: int) -> None:
        self._left = commits

    def append(self, append: Append, *, after: Ticket | None = None) -> Ticket:
        if self._is_dead():
            return Never()
        return self._store.append(append, after=after)

    async def lock(self, request: LockRequest) -> list[Held]:
        """Lock, which is a commit where it finds anything."""
        if self.died.is_set():
            await Never().durable()
        held = await self._store.lock(request)
        if held and self._is_dead():
            await Never().durable()
        return held

    async def release(self, release: Release) -> None:
        if self._is_dead():
            await Never().durable()
        await self._store.release(release)

    async def finish_cancelled(self, execution_id: ExecutionId, at: Instant, failure: FailureRecord) -> CancellationEnd:
        if self._is_dead():
            await Never().durable()
        return await self._store.finish_cancelled(execution_id, at, failure)

    def _is_dead(self) -> bool:
        if self._left is None:
            return False
        if self._left == 0:
            self.died.set()
            return True
        self._left -= 1
        return False

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)


class Never:
    """A write of a daemon that is dead."""

    error: BaseException | None = None

    def when_settled(self, _act: object) -> None:
        """Nobody hears of it."""

    async def durable(self) -> None:
        await asyncio.get_running_loop().create_future()

    @property
    def left_unlocked(self) -> tuple[ExecutionId, ...]:
        return ()


async def interrupted(lab: Lab, code: Use, commits: int) -> bool:
    """Replace the code of a workflow that waits, in a daemon that dies after so many commits; tell if it did."""
    mortals: list[Mortal] = []

    def over(store: SqlStore) -> Mortal:
        mortals.append(Mortal(store))
        return mortals[0]

    async with lab.daemon(ELSEWHERE, FIBOA, crash=True, over=over) as daemon:  # type: ignore[arg-type]
        execution = await blocked(daemon)
        mortals[0].die_after(commits)
        await daemon.adopt(FIBO, code)
        ways = [asyncio.create_task(daemon.result(execution)), asyncio.create_task(mortals[0].died.wait())]
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for way in ways:
            way.cancel()
        await asyncio.wait(ways)
    return mortals[0].died.is_set()


async def told(daemon: Daemon, execution: ExecutionId) -> list[object]:
    """Give what must be equal however often a daemon died: no locks, and no lost runs."""
    tags = ("component_upgraded", "temporarily_timed_out")
    return [event for event in history_of(await daemon.log(execution)) if event.__struct_config__.tag not in tags]


@pytest.mark.parametrize("on_block", ["hot", "unload"])
@pytest.mark.parametrize(("name", "ok"), [("fibo-workflow+1", True), ("fiboa-reordered", False)])
async def test_a_daemon_may_die_at_any_commit_of_an_upgrade(
    new_lab: NewLab, name: str, ok: bool, on_block: str
) -> None:
    code = fiboa(name, on_block=on_block)
    commits, died, wanted = 0, True, None
    while died:
        lab = new_lab()
        died = await interrupted(lab, code, commits)
        async with lab.daemon(FIBO, code) as daemon:
            execution = execution_id()
            assert await daemon.result(execution) == OK
            wanted = wanted or await told(daemon, execution)
            assert await told(daemon, execution) == wanted
            assert [upgraded.ok for upgraded in await upgrades(daemon, execution)] == [ok]
            await _check_locks(daemon, execution, digest(daemon, code) if ok else digest(daemon, FIBOA))
            await daemon.check(execution, *[child_id(execution, f"o:{n}", 1) for n in (1, 2, 3)])
        commits += 1
    assert commits > 6


async def _check_locks(daemon: Daemon, execution: ExecutionId, digest_after: str) -> None:
    """Assert that every lock after the upgrade is on the code that it came to."""
    is_known = False
    for entry in await daemon.log(execution):
        is_known = is_known or isinstance(entry.event, ComponentUpgraded)
        if is_known and isinstance(entry.event, Locked):
            assert (entry.event.digest, entry.event.upgrade_from) == (digest_after, None)


async def test_a_daemon_that_dies_in_every_trial_fails_the_workflow_and_tells_nothing_of_the_code(lab: Lab) -> None:
    """As with any run that is lost too often: the retries of the workflow are two."""
    async with lab.daemon(ELSEWHERE, FIBOA, crash=True) as daemon:
        execution = await blocked(daemon)
    async with lab.daemon(FIBO) as daemon:
        await daemon.result(child_id(execution, "o:1", 1))
    over = partial(_dying, commits=0)
    for _ in range(3):
        async with lab.daemon(FIBO, fiboa("fibo-workflow+1"), crash=True, over=over) as daemon:  # type: ignore[arg-type]
            await daemon.waiting(execution, "locked")
    async with lab.daemon(FIBO, fiboa("fibo-workflow+1")) as daemon:
        outcome = await daemon.result(execution)
        assert getattr(outcome, "kind", None) == "timed_out"
        lost = [e for e in await daemon.log(execution) if isinstance(e.event, TemporarilyTimedOut)]
        assert len(lost) == 3
        assert await upgrades(daemon, execution) == []
        assert (await daemon.row(execution)).digest == digest(daemon, FIBOA)


async def test_a_workflow_that_only_closes_its_join_sets_says_nothing_of_code_that_it_does_not_run(lab: Lab) -> None:
    """Its daemon dies when it has asked its child to end, and before that has ended."""
    leaving = Use("leaving", component="leaving", on_upgrade="replay")
    over = partial(_dying, commits=2)
    async with lab.daemon(ELSEWHERE, leaving, crash=True, over=over) as daemon:  # type: ignore[arg-type]
        execution = await daemon.submit("testing:leaving/leaving.run")
        await daemon.waiting(execution)
    async with lab.daemon(FIBO, msgspec.structs.replace(leaving, name="leaving+1")) as daemon:
        assert await daemon.result(execution) == Returned({"ok": 7})
        assert [e.event.upgrade_from for e in await daemon.log(execution) if isinstance(e.event, Locked)] == [
            None,
            digest(daemon, leaving),
        ]
        assert await upgrades(daemon, execution) == []


def _dying(store: SqlStore, commits: int) -> Mortal:
    mortal = Mortal(store)
    mortal.die_after(commits)
    return mortal
