"""What a daemon does with its database, in pieces small enough to let each operation of the disk fail once."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Literal, NamedTuple, TypeAlias

from obelisk_daemon.clock import Instant, after
from obelisk_daemon.errors import OutcomeUnknownError, StorageUnavailableError
from obelisk_daemon.execution.events import ChildFinished, Event, Finished
from obelisk_daemon.ids import ExecutionId, child_id
from obelisk_daemon.storage.records import Append, Held, ListFilter, LogLine, NewExecution, NewResponse, Release
from obelisk_daemon.storage.sql.store import SqlStore
from obelisk_daemon.storage.sqlite.connection import raw_of
from obelisk_daemon.storage.sqlite.copying import copy_database
from obelisk_daemon.storage.sqlite.keeper import _free_some
from obelisk_daemon.storage.upkeep import NewExecutor
from tests.building import (
    NEVER,
    OK,
    OTHER_EXECUTOR,
    SECOND,
    WORKFLOW,
    RunScript,
    created,
    execution_id,
    failure,
    new_execution,
)
from tests.conformance.world import World
from tests.disk.acknowledged import Acknowledged
from tests.disk.load import activate

MONTH = timedelta(days=30)


Answer: TypeAlias = Literal["acknowledged", "refused", "unknown"]


class Ledger:
    """What a scenario was told of its writes. What was refused must not be there, what was acknowledged must."""

    def __init__(self) -> None:
        self.acknowledged = Acknowledged()
        self.refused: list[tuple[ExecutionId, int]] = []
        """Events by their versions."""
        self.codes: set[str] = set()
        self.is_unknown = False

    async def ask(self, write: Awaitable[object]) -> Answer:
        """Carry out what may fail as a write may."""
        try:
            await write
        except StorageUnavailableError as error:
            self.codes.add(error.code)
            return "refused"
        except OutcomeUnknownError:
            self.is_unknown = True
            return "unknown"
        return "acknowledged"

    async def write(self, write: Awaitable[object], *events: tuple[ExecutionId, int, Event]) -> Answer:
        """Carry out a write of these events."""
        answer = await self.ask(write)
        if answer == "acknowledged":
            self.acknowledged.events |= {(known, version): event for known, version, event in events}
        elif answer == "refused":
            self.refused += [(known, version) for known, version, _ in events]
        return answer

    async def submit(self, world: World, new: NewExecution) -> Answer:
        return await self.write(world.store.submit(new), (new.execution_id, 0, new.created))

    async def append(self, world: World, made: Append) -> Answer:
        events = [(made.execution_id, entry.version, entry.event) for entry in made.entries]
        events += [(child.execution_id, 0, child.created) for child in made.children]
        return await self.write(world.store.append(made).durable(), *events)


class Stage:
    """A store in use. `held` is what the scenario is about, once something is held."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.ledger = Ledger()
        self.held: Held | None = None

    @property
    def known(self) -> Held:
        assert self.held is not None
        return self.held


Act: TypeAlias = Callable[[Stage], Awaitable[None]]


class Scenario(NamedTuple):
    """What was there before, and what is done while the disk fails. `opens`: the start is a part of it."""

    prepare: Act
    act: Act
    opens: bool = False
    is_new: bool = False
    """There is no database before."""
    is_killed: bool = False
    """The daemon before it ended without closing its database."""


async def nothing(_: Stage) -> None:
    pass


async def submit_many(stage: Stage) -> None:
    """Submit ten in one group."""
    new = [new_execution(created(params=["x" * 900]), number, at=stage.world.now) for number in range(101, 111)]
    await asyncio.gather(*[stage.ledger.submit(stage.world, one) for one in new])


async def submit_one(stage: Stage) -> None:
    await stage.ledger.submit(stage.world, new_execution(created(), 101, at=stage.world.now))


async def submit_big(stage: Stage) -> None:
    """Submit what takes many pages."""
    await stage.ledger.submit(stage.world, new_execution(created(params=["x" * 60_000]), 101, at=stage.world.now))


async def have_five(stage: Stage) -> None:
    for number in range(1, 6):
        await stage.ledger.submit(stage.world, new_execution(created(), number, at=stage.world.now))


async def lock(stage: Stage) -> None:
    held: list[Held] = []

    async def take() -> None:
        held.extend(await stage.world.store.lock(stage.world.request(limit=5)))

    answer = await stage.ledger.ask(take())
    if answer == "acknowledged":
        assert len(held) == 5
        stage.ledger.acknowledged.events |= {(one.execution_id, 1): one.locked for one in held}
    elif answer == "refused":
        stage.ledger.refused += [(execution_id(number), 1) for number in range(1, 6)]


async def have_workflow(stage: Stage) -> None:
    await stage.ledger.submit(stage.world, new_execution(created(WORKFLOW), 1, at=stage.world.now))
    (stage.held,) = await stage.world.store.lock(stage.world.request())


async def call(stage: Stage) -> None:
    """Have a workflow ask for a child and wait for it."""
    await stage.ledger.append(stage.world, RunScript(stage.known).call(stage.world.now, 1, keep=False))


async def have_call(stage: Stage) -> None:
    await have_workflow(stage)
    await call(stage)
    (stage.held,) = await stage.world.store.lock(stage.world.request())


async def finish_child(stage: Stage) -> None:
    """End a child, with its logs and with the response to its parent."""
    run = RunScript(stage.known)
    response = NewResponse(execution_id(1), "o:1", stage.world.now, ChildFinished(run.execution_id, OK))
    logs = tuple(LogLine(stage.world.now, "info", "x" * 500) for _ in range(10))
    made = run.append(stage.world.now, Finished(OK), response=response, logs=logs)
    if await stage.ledger.append(stage.world, made) == "acknowledged":
        stage.ledger.acknowledged.responses.append((execution_id(1), response.item))
        stage.ledger.acknowledged.lines[run.execution_id] = 10


async def have_sleepers(stage: Stage) -> None:
    for number in range(1, 9):
        await stage.ledger.submit(stage.world, new_execution(created(WORKFLOW), number, at=stage.world.now))
    for held in await stage.world.store.lock(stage.world.request()):
        made = RunScript(held).sleep(stage.world.now, 1, stage.world.now + SECOND, keep=False)
        await stage.ledger.append(stage.world, made)


async def fire(stage: Stage) -> None:
    due = Instant(stage.world.now + SECOND)
    if await stage.ledger.ask(stage.world.store.fire_delays(due, 100)) == "acknowledged":
        stage.ledger.acknowledged.fired += 8


async def cancel(stage: Stage) -> None:
    """Cancel a workflow and its child: as in the daemon, the child ends first."""
    store, now = stage.world.store, stage.world.now
    child, parent = child_id(execution_id(1), "o:1", 1), execution_id(1)
    writes: tuple[Callable[[], Awaitable[object]], ...] = (
        lambda: store.request_cancellation(parent, now, force=True),
        lambda: store.request_cancellation(child, now, force=True),
        lambda: store.release(Release(child, stage.known.run_id, "cancelled", now, now)),
        lambda: store.finish_cancelled(child, now, failure(1, "cancelled")),
        lambda: store.finish_cancelled(parent, now, failure(2, "cancelled")),
    )
    for write in writes:
        if await stage.ledger.ask(write()) != "acknowledged":
            return


async def activate_second(stage: Stage) -> None:
    if await stage.ledger.ask(activate(stage.world, 2, b"x" * 30_000)) == "acknowledged":
        stage.ledger.acknowledged.generations.append(2)


async def have_old(stage: Stage) -> None:
    """Have five that finished long ago."""
    await have_five(stage)
    for held in await stage.world.store.lock(stage.world.request()):
        logs = tuple(LogLine(stage.world.now, "info", "x" * 2_000) for _ in range(3))
        await stage.world.store.append(RunScript(held).append(stage.world.now, Finished(OK), logs=logs)).durable()
    stage.ledger.acknowledged = Acknowledged()


async def remove(stage: Stage) -> None:
    await stage.ledger.ask(
        stage.world.store.remove_trees([execution_id(n) for n in range(1, 6)], after(stage.world.now, MONTH), 20)
    )


async def have_free_pages(stage: Stage) -> None:
    await have_old(stage)
    await remove(stage)


async def give_back(stage: Stage) -> None:
    """Give free pages back to the file system."""
    await stage.ledger.ask(stage.world.store.writer.queue(_free_some).outcome())


async def checkpoint(stage: Stage) -> None:
    """Submit one after the other, with a checkpoint after each."""
    often = stage.world.store.writer.queue(lambda tx: raw_of(tx).execute("PRAGMA wal_autocheckpoint = 1"))
    await stage.ledger.ask(often.durable())
    for number in range(101, 104):
        await stage.ledger.submit(stage.world, new_execution(created(), number, at=stage.world.now))


async def read(stage: Stage) -> None:
    """Read a list and a log, twice: an error is an error, and nothing is read wrongly."""
    for _ in range(2):

        async def look() -> None:
            assert len((await stage.world.store.reads.summaries(ListFilter(limit=10))).rows) == 5
            assert len((await stage.world.store.read_log(execution_id(1))).entries) == 1

        await stage.ledger.ask(look())


async def copy(stage: Stage) -> None:
    """Copy the database: the copy is whole, or not there."""
    file = _file_of(stage.world.store)
    target = file.with_name("copy")
    answer = await stage.ledger.ask(asyncio.to_thread(copy_database, file, target))
    assert target.exists() == (answer == "acknowledged")
    assert not target.with_name("copy.part").exists()


def _file_of(store: SqlStore) -> Path:
    path: str = store.writer._group_commit._thread._conn.execute("PRAGMA database_list").fetchone()[2]
    return Path(path)


async def begin(stage: Stage) -> None:
    """Do what a start does first."""
    store, executor = stage.world.store, NewExecutor(OTHER_EXECUTOR, "host")

    async def activate_first() -> None:
        if await store.active_generation() is None:
            await activate(stage.world, 1, b"code")

    await stage.ledger.ask(activate_first())
    await stage.ledger.ask(store.end_all_leases())
    await stage.ledger.ask(store.register_executor(executor, stage.world.now, NEVER))


SCENARIOS = {
    "first start": Scenario(nothing, begin, opens=True, is_new=True),
    "start after a kill": Scenario(have_five, begin, opens=True, is_killed=True),
    "submit many": Scenario(nothing, submit_many),
    "lock": Scenario(have_five, lock),
    "call": Scenario(have_workflow, call),
    "finish": Scenario(have_call, finish_child),
    "fire delays": Scenario(have_sleepers, fire),
    "cancel": Scenario(have_call, cancel),
    "activate": Scenario(nothing, activate_second),
    "remove": Scenario(have_old, remove),
    "checkpoint": Scenario(nothing, checkpoint),
    "copy": Scenario(have_five, copy),
}
MORE = {
    "start": Scenario(have_five, begin, opens=True),
    "submit one": Scenario(nothing, submit_one),
    "submit big": Scenario(nothing, submit_big),
    "give back": Scenario(have_free_pages, give_back),
    "read": Scenario(have_five, read),
}
"""What the others have for the most part as well."""
