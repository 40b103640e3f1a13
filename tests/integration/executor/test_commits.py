"""What may happen before a commit and what may not, and what becomes of runs when a commit fails."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial

import msgspec
import pytest

from obelisk_daemon.errors import OutcomeUnknownError, StorageUnavailableError
from obelisk_daemon.execution.events import Finished
from obelisk_daemon.execution.outcome import Returned
from obelisk_daemon.executor import executor as executor_module
from obelisk_daemon.ids import ExecutionId, child_id
from obelisk_daemon.storage.port import Ticket
from obelisk_daemon.storage.records import Append
from obelisk_daemon.storage.sql.store import SqlStore
from obelisk_daemon.storage.sql.transaction import Transaction
from obelisk_daemon.storage.sqlite.connection import raw_of
from obelisk_daemon.wasm.callbacks import GUESTS
from tests.building import OK, execution_id, run_id
from tests.integration.executor.engine import Daemon, Lab, NewLab
from tests.integration.executor.test_running import history_of
from tests.integration.executor.uses import FIBO, FIBOA, REACHING, Use

pytestmark = pytest.mark.anyio
RUN = "testing:fibo/workflow.fiboa"
CALL_SPIN = "testing:faulty-caller/caller.call-spin"
FIRST_CALL = child_id(execution_id(), "o:1", 1)
Refusal = Callable[[SqlStore, Append], Ticket]


class Broken:
    """A store that takes no release: nobody knows what became of an earlier commit."""

    def __init__(self, store: SqlStore) -> None:
        self._store = store

    async def release(self, _: object) -> None:
        raise OutcomeUnknownError("commit_failed", "a commit failed, its outcome is unknown")

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)


class Refusing:
    """A store that refuses the first append of which `chosen` says so, in the way of `refusal`."""

    def __init__(self, store: SqlStore, chosen: Callable[[Append], bool], refusal: Refusal) -> None:
        self._store = store
        self._chosen = chosen
        self._refusal = refusal
        self.refused: list[Append] = []
        self.appends: list[Append] = []

    def append(self, append: Append, *, after: Ticket | None = None) -> Ticket:
        self.appends.append(append)
        if not self.refused and self._chosen(append):
            self.refused.append(append)
            return self._refusal(self._store, append)
        return self._store.append(append, after=after)

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)


def conflict(store: SqlStore, append: Append) -> Ticket:
    return store.append(msgspec.structs.replace(append, run_id=run_id(99)))


def full(store: SqlStore, _: Append) -> Ticket:
    def refuse(_: Transaction) -> None:
        raise StorageUnavailableError("storage_full", "the database refused the write")

    return store.writer.queue(refuse)


def is_end_of_call(append: Append) -> bool:
    return append.execution_id == FIRST_CALL and isinstance(append.entries[-1].event, Finished)


def ends(append: Append, execution: ExecutionId) -> bool:
    return append.execution_id == execution and isinstance(append.entries[-1].event, Finished)


def asks_for_call(append: Append) -> bool:
    return any(child.execution_id == FIRST_CALL for child in append.children)


@pytest.fixture(autouse=True)
def _no_long_backoff(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executor_module, "_RELEASE_BACKOFF", timedelta(milliseconds=5))


async def undisturbed(lab: Lab) -> list[object]:
    async with lab.daemon() as daemon:
        execution = await daemon.submit(RUN, 10, 3)
        await daemon.result(execution)
        return history_of(await daemon.log(execution))


@pytest.mark.parametrize("refusal", [conflict, full])
async def test_a_parent_that_ran_ahead_of_a_commit_that_failed_is_dropped_and_goes_on_right(
    lab: Lab, new_lab: NewLab, refusal: Refusal
) -> None:
    refusing: list[Refusing] = []

    def over(store: SqlStore) -> Refusing:
        refusing.append(Refusing(store, is_end_of_call, refusal))
        return refusing[0]

    async with lab.daemon(over=over) as daemon:  # type: ignore[arg-type]
        execution = await daemon.submit(RUN, 10, 3)
        assert await daemon.result(execution) == OK
        assert history_of(await daemon.log(execution)) == await undisturbed(new_lab())
        assert (await daemon.types(FIRST_CALL)).count("finished") == 1
        assert (await daemon.row(FIRST_CALL)).attempts == 1
        await daemon.check(execution, FIRST_CALL)
        await daemon.settled(lambda: daemon.executor.running == 0)
    (end,) = refusing[0].refused
    after_it = refusing[0].appends[refusing[0].appends.index(end) + 1]
    assert after_it.execution_id == execution  # the parent did run ahead


async def test_a_run_is_gone_once_it_was_dropped_also_where_the_database_takes_nothing_any_more(lab: Lab) -> None:
    """Else a start that goes on with a cancellation waits for ever, and the daemon never ends."""
    async with lab.daemon(Use("sleeper"), over=Broken, crash=True) as daemon:  # type: ignore[arg-type]
        execution = await daemon.submit("testing:sleeper/sleeper.nap", 3_600_000)
        await daemon.settled(lambda: daemon.executor.hot == 1)
        await asyncio.wait_for(daemon.executor.drop(execution, "cancelled"), 10)
        assert daemon.executor.hot == 0


async def test_a_parent_that_ran_ahead_and_asks_for_nothing_more_is_dropped_at_once(lab: Lab) -> None:
    """It computes on what never became durable; its next append would be refused, but there is none."""
    over = partial(Refusing, chosen=is_end_of_call, refusal=conflict)
    async with lab.daemon(FIBO, Use("logging"), over=over) as daemon:  # type: ignore[arg-type]
        execution = await daemon.submit("testing:logging/logging.run", 1, True)
        await daemon.until(lambda: daemon.types(execution), lambda types: types.count("locked") == 2)
        await daemon.check(execution)
        await daemon.cancel(execution)


@pytest.mark.parametrize("refusal", [conflict, full])
async def test_a_reserved_child_whose_creation_was_refused_never_runs_and_gives_its_slot_back(
    lab: Lab, refusal: Refusal
) -> None:
    async with lab.daemon(over=lambda store: Refusing(store, asks_for_call, refusal)) as daemon:  # type: ignore[arg-type,return-value]
        execution = await daemon.submit(RUN, 10, 2)
        assert await daemon.result(execution) == OK
        await daemon.settled(lambda: daemon.executor.running == 0)
        assert (await daemon.types(FIRST_CALL)).count("finished") == 1
        await daemon.check(execution)


async def test_a_reserved_child_that_reaches_others_starts_when_its_creation_is_durable_and_not_before(
    lab: Lab,
) -> None:
    async with slow_creation(lab, REACHING) as (daemon, execution, leave, refusing):
        await daemon.settled(lambda: daemon.executor.running == 2)  # the child has its slot,
        for _ in range(20):
            await asyncio.sleep(0)
        assert len(GUESTS) == 1  # and no guest,
        assert not any(is_end_of_call(append) for append in refusing.appends)  # and had none
        leave.set()
        assert await daemon.result(execution) == OK


async def test_one_that_nobody_can_see_runs_ahead_of_it_and_its_parent_too_and_nothing_of_that_is_told(
    lab: Lab,
) -> None:
    told: list[object] = []
    async with slow_creation(lab, FIBO) as (daemon, execution, leave, refusing):
        daemon.store.subscribe(told.append)
        await daemon.settled(lambda: any(ends(append, execution) for append in refusing.appends))
        assert (await daemon.types(execution)) == ["created", "locked"]
        assert told == []
        leave.set()
        assert await daemon.result(execution) == OK
        await daemon.check(execution, FIRST_CALL)


async def test_one_that_ran_ahead_of_a_creation_that_is_refused_is_dropped_though_it_has_not_ended(lab: Lab) -> None:
    entered, leave, spinning = threading.Event(), threading.Event(), Use("faults", timeout=timedelta(hours=1))
    called = child_id(execution_id(), "o:1", 1)

    def refuse(_: Transaction) -> None:
        entered.set()
        assert leave.wait(20)
        raise StorageUnavailableError("storage_full", "the database refused the write")

    def over(store: SqlStore) -> Refusing:
        return Refusing(store, lambda made: bool(made.children), lambda store, _: store.writer.queue(refuse))

    async with lab.daemon(spinning, Use("faulty-caller"), over=over, crash=True) as daemon:  # type: ignore[arg-type]
        execution = await daemon.submit(CALL_SPIN)
        await asyncio.to_thread(entered.wait, 20)
        await daemon.settled(lambda: len(GUESTS) == 2)
        daemon.members[0].drain(True)  # so that it is not made again
        leave.set()
        await daemon.settled(lambda: called not in daemon.members[0]._runs and not GUESTS)
        daemon.members[0].drain(False)
        await daemon.until(lambda: daemon.types(called), lambda types: types == ["created", "locked"])
        await daemon.check(execution, called)


async def test_a_parent_that_went_on_far_ahead_of_its_own_commit_is_dropped_when_that_fails(lab: Lab) -> None:
    """It spins: no append of its own would ever be refused."""
    entered, leave = threading.Event(), threading.Event()

    def refuse(_: Transaction) -> None:
        entered.set()
        assert leave.wait(20)
        raise StorageUnavailableError("storage_full", "the database refused the write")

    def over(store: SqlStore) -> Refusing:
        return Refusing(store, lambda made: bool(made.children), lambda store, _: store.writer.queue(refuse))

    async with lab.daemon(FIBO, Use("logging"), over=over, crash=True) as daemon:  # type: ignore[arg-type]
        execution = await daemon.submit("testing:logging/logging.run", 1, True)
        await asyncio.to_thread(entered.wait, 20)
        first = daemon.members[0]._runs[execution]
        await daemon.settled(lambda: first.ahead_of is not None and not first.is_blocked)  # type: ignore[attr-defined]
        daemon.members[0].drain(True)
        leave.set()
        await daemon.settled(lambda: not daemon.members[0]._runs and not GUESTS)
        await daemon.until(lambda: daemon.types(execution), lambda types: types == ["created", "locked", "unlocked"])
        await daemon.check(execution)


async def test_while_the_disk_stalls_only_so_much_runs_ahead_of_it_as_there_are_slots(lab: Lab) -> None:
    """Else what waits to be written would grow for as long as it stalls."""
    async with slow_creation(lab, FIBO, calls=50, max_running=4) as (daemon, execution, leave, refusing):
        await daemon.settled(lambda: daemon.executor.members[0]._slots.ending == 4)
        for _ in range(200):
            await asyncio.sleep(0)
        ended = {append.execution_id for append in refusing.appends if ends(append, append.execution_id)}
        assert len({one for one in ended if one.startswith(f"{execution}.")}) == 4
        assert daemon.executor.members[0]._slots.taken == 2  # the workflow, and the call that waits for the disk
        leave.set()
        assert await daemon.result(execution) == OK
        await daemon.settled(lambda: daemon.executor.running == 0)


@asynccontextmanager
async def slow_creation(
    lab: Lab, activity: Use, calls: int = 1, max_running: int = 100
) -> AsyncIterator[tuple[Daemon, ExecutionId, threading.Event, Refusing]]:
    """Run a workflow, and hold the commit that makes its child until the event is set."""
    entered, leave = threading.Event(), threading.Event()

    def slow(_: Transaction) -> None:
        entered.set()
        assert leave.wait(20)

    def hold(store: SqlStore, append: Append) -> Ticket:
        store.writer.queue(slow)
        return store.append(append)

    refusing: list[Refusing] = []

    def over(store: SqlStore) -> Refusing:
        refusing.append(Refusing(store, asks_for_call, hold))
        return refusing[0]

    async with lab.daemon(activity, FIBOA, over=over, max_running=max_running) as daemon:  # type: ignore[arg-type]
        assert await daemon.call(RUN, 10, 1, number=2) == OK  # the timers have looked: nothing else can be due
        execution = await daemon.submit_elsewhere(RUN, 10, calls)
        await asyncio.to_thread(entered.wait, 20)
        yield daemon, execution, leave, refusing[0]


async def limit_pages(daemon: Daemon, more: int) -> None:
    def limit(tx: Transaction) -> None:
        (pages,) = raw_of(tx).execute("PRAGMA page_count").fetchone()
        raw_of(tx).execute(f"PRAGMA max_page_count = {pages + more}")

    await daemon.store.writer.queue(limit).durable()


async def test_a_full_disk_loses_no_run_and_counts_none(lab: Lab) -> None:
    text = "x" * 200_000
    async with lab.daemon(Use("faults")) as daemon:
        await limit_pages(daemon, 60)
        execution = await daemon.submit("testing:faults/faults.echo-text", text)
        await daemon.until(lambda: daemon.types(execution), lambda types: "unlocked" in types)
        await limit_pages(daemon, 10_000)
        assert await daemon.result(execution) == Returned({"ok": text})
        assert (await daemon.row(execution)).attempts == 1
        reasons = {e.event.reason for e in await daemon.log(execution) if hasattr(e.event, "reason")}
        assert reasons == {"storage_full"}
        await daemon.check(execution)
