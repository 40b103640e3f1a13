"""A workflow that goes on before a commit names that commit in its next append, and no other does."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from obelisk_daemon.execution.events import ChildFinished, Entry, Response
from obelisk_daemon.execution.written import written
from obelisk_daemon.executor.logs import LogBuffer
from obelisk_daemon.executor.workflow import WorkflowRun
from obelisk_daemon.ids import child_id
from obelisk_daemon.storage.records import Append, Awaits, Held
from tests.building import (
    ACTIVITY,
    OK,
    WORKFLOW,
    call_items,
    created,
    execution_id,
    history,
    id_source,
    locked,
    new_execution,
)
from tests.fakes.clock import START, ManualClock

pytestmark = pytest.mark.anyio
ANSWER = Response(0, START, "o:1", ChildFinished(child_id(execution_id(), "o:1", 1), OK))


class ManualTicket:
    """A write that is durable when the test says so."""

    def __init__(self) -> None:
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    error: BaseException | None = None
    left_unlocked = ()

    def when_settled(self, act: Callable[[], None]) -> None:
        self.done.add_done_callback(lambda _: act())

    async def durable(self) -> None:
        await self.done


class RecordingStore:
    def __init__(self) -> None:
        self.appends: list[tuple[Append, object]] = []
        self.tickets: list[ManualTicket] = []

    def append(self, append: Append, *, after: object = None) -> ManualTicket:
        self.appends.append((append, after))
        self.tickets.append(ManualTicket())
        return self.tickets[-1]


class Alone:
    """No neighbours."""

    def try_reserve(self, _: object) -> bool:
        return False

    def rest(self, _: object) -> None: ...

    def resume(self, _: object) -> None: ...


class Fake:
    """An object with the attributes it is given."""

    def __init__(self, **attributes: object) -> None:
        self.__dict__.update(attributes)


def replayed(store: RecordingStore) -> WorkflowRun:
    """Give a run whose guest has replayed its only call, and is about to wait for it."""
    clock = ManualClock()
    component = Fake(
        on_block="hot", max_hot=1, kind="activity", name="fibo", digest="sha256:1", max_history_events=1_000
    )
    function: Any = Fake(component=component, terms=None, ffqn=ACTIVITY)
    plan = Fake(callee=lambda *_: function)
    services: Any = Fake(store=store, clock=clock, ids=id_source(clock), random=bytes, plan=plan)
    new = new_execution(created(WORKFLOW))
    held = Held(execution_id(), locked(), created(WORKFLOW), START, new.state)
    run = WorkflowRun(services, Alone(), held, function)  # type: ignore[arg-type]
    run._early, run._logs = None, LogBuffer(clock, 1_000)
    run.entries([(START, locked())])
    recorded = run.entries([(START, event) for event in history(*call_items(execution_id(), 1))])
    run.journal = run._journal(written([Entry(0, START, created(WORKFLOW)), *recorded], []))
    run.journal.call(ACTIVITY, [10])
    return run


async def let_run() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def next_append(run: WorkflowRun, store: RecordingStore) -> object:
    """Make the next call, and give what its append came after."""
    join_set = run.journal.call(ACTIVITY, [10])
    waiting = asyncio.get_running_loop().create_task(run.wait(join_set))
    await let_run()
    waiting.cancel()
    await asyncio.wait([waiting])
    return store.appends[-1][1]


async def test_an_answer_ahead_of_its_commit_is_named_by_the_next_append() -> None:
    store, child = RecordingStore(), ManualTicket()
    run = replayed(store)
    waiting = asyncio.get_running_loop().create_task(run.wait("o:1"))
    await let_run()
    store.tickets[0].done.set_result(None)
    await let_run()
    run.deliver(ANSWER, ahead_of=child)  # type: ignore[arg-type]
    assert await waiting == ANSWER.item
    assert await next_append(run, store) is child


async def test_so_is_one_that_comes_while_the_wait_itself_is_being_committed() -> None:
    store, child = RecordingStore(), ManualTicket()
    run = replayed(store)
    waiting = asyncio.get_running_loop().create_task(run.wait("o:1"))
    await let_run()
    run.deliver(ANSWER, ahead_of=child)  # type: ignore[arg-type]
    assert await waiting == ANSWER.item  # it doesn't wait for either commit
    assert await next_append(run, store) is child


async def test_an_answer_that_is_durable_is_not_named() -> None:
    store = RecordingStore()
    run = replayed(store)
    waiting = asyncio.get_running_loop().create_task(run.wait("o:1"))
    await let_run()
    store.tickets[0].done.set_result(None)
    run.deliver(ANSWER)
    await waiting
    assert await next_append(run, store) is None


async def test_a_commit_is_named_once() -> None:
    store, child = RecordingStore(), ManualTicket()
    run = replayed(store)
    waiting = asyncio.get_running_loop().create_task(run.wait("o:1"))
    await let_run()
    store.tickets[0].done.set_result(None)
    run.deliver(ANSWER, ahead_of=child)  # type: ignore[arg-type]
    await waiting
    await next_append(run, store)
    assert await next_append(run, store) is None


async def test_a_wait_at_the_end_of_a_replay_asks_whether_its_answer_is_there_already() -> None:
    store = RecordingStore()
    run = replayed(store)
    waiting = asyncio.get_running_loop().create_task(run.wait("o:1"))
    await let_run()
    append, _ = store.appends[0]
    assert (append.entries, append.awaits, append.state.status) == ((), Awaits("o:1", 1, is_new=False), "blocked")
    waiting.cancel()
    await asyncio.wait([waiting])
