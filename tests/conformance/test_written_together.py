"""Promises about what is committed in one group: it comes to the same as if each had a commit of its own."""

import asyncio
import random
from collections.abc import Sequence

import msgspec
import pytest

from obelisk_daemon.execution.events import ChildFinished, Entry, Finished
from obelisk_daemon.execution.state import apply, unblock
from obelisk_daemon.ids import ExecutionId
from obelisk_daemon.storage.records import Append, Held, NewResponse, VersionConflictError
from obelisk_daemon.storage.sql import appending
from obelisk_daemon.storage.sql.transaction import Transaction
from tests.building import OK, RunScript, execution_id, locked, run_id
from tests.conformance.world import World

pytestmark = pytest.mark.anyio
SEEDS = 30
STEPS = 25


class Play:
    """A workflow with children that call others, by chance: the appends of all these runs, in an order they allow."""

    def __init__(self, root: RunScript, seed: int, now: int) -> None:
        self.appends: list[Append] = []
        self.ids = [root.execution_id]
        self._chance = random.Random(seed)
        self._now = now
        self._alive = [root]
        self._parents: dict[ExecutionId, tuple[ExecutionId, str]] = {}
        self._asked: dict[ExecutionId, int] = {}
        self._unfinished: dict[ExecutionId, int] = {}
        for _ in range(STEPS):
            self._now += self._chance.randrange(3)
            self._step(self._chance.choice(self._alive))
        for run in reversed(self._alive[:]):  # children first
            self._finish(run)

    def _step(self, run: RunScript) -> None:
        what = self._chance.random()
        if what < 0.45:
            self._call(run, stays=self._chance.random() < 0.8)
        elif what < 0.55:
            self.appends.append(run.sleep(self._now, self._next(run), self._now + 1_000_000))
        elif what < 0.9 and run is not self._alive[0]:
            self._finish(run)
        else:
            run.state = unblock(run.state)
            self.appends.append(run.append(self._now))

    def _next(self, run: RunScript) -> int:
        self._asked[run.execution_id] = self._asked.get(run.execution_id, 0) + 1
        return self._asked[run.execution_id]

    def _call(self, run: RunScript, *, stays: bool) -> None:
        number = self._next(run)
        made = run.call(self._now, number, keep=True)
        if not stays:  # what is asked for is written without waiting
            run.state = unblock(run.state)
            made = msgspec.structs.replace(made, state=run.state, awaits=None)
        (child,) = made.children
        self._parents[child.execution_id] = (run.execution_id, f"o:{number}")
        self._unfinished[run.execution_id] = self._unfinished.get(run.execution_id, 0) + 1
        self.ids.append(child.execution_id)
        if self._chance.random() < 0.8:
            event = locked(100 + len(self.ids))
            entry = Entry(1, child.entries[0].created_at, event)
            child = msgspec.structs.replace(child, entries=(*child.entries, entry), state=apply(child.state, entry))
            held = Held(child.execution_id, event, child.created, child.entries[0].created_at, child.state)
            self._alive.append(RunScript(held))
        self.appends.append(msgspec.structs.replace(made, children=(child,)))

    def _finish(self, run: RunScript) -> None:
        if self._unfinished.get(run.execution_id):
            return
        self._alive.remove(run)
        run.state = unblock(run.state)
        parent = self._parents.get(run.execution_id)
        if parent is not None:
            self._unfinished[parent[0]] -= 1
        answer = None if parent is None else NewResponse(*parent, self._now, ChildFinished(run.execution_id, OK))  # type: ignore[arg-type]
        self.appends.append(run.append(self._now, Finished(OK), response=answer, may_have_delays=True))


async def stored(world: World, ids: Sequence[ExecutionId]) -> list[object]:
    """Give what is stored of executions, and was told of them, without what names them."""
    found: list[object] = []
    for one in ids:
        row, responses = await world.row(one), await world.responses(one)
        state = (row.status, row.version, row.due_at, row.changed_at, row.join_set, row.outcome, row.executor_id)
        answers = [(answer.seq, answer.created_at, answer.join_set) for answer in responses]
        told = [(answer.seq, answer.join_set) for answer in world.delivered(one)]
        last = world.states(one)[-1]
        found.append((state, await world.types(one), answers, told, last.status, last.due_at, last.is_held))
    return found


@pytest.fixture
def carried_out(monkeypatch: pytest.MonkeyPatch) -> list[Append]:
    """Note each append that is carried out, as often as it is."""
    noted: list[Append] = []
    append = appending.append

    def note(tx: Transaction, made: Append) -> None:
        noted.append(made)
        append(tx, made)

    monkeypatch.setattr(appending, "append", note)
    return noted


@pytest.mark.parametrize("seed", range(SEEDS))
async def test_what_is_written_together_comes_to_the_same_as_one_after_the_other(
    world: World, seed: int, carried_out: list[Append]
) -> None:
    alone, together = await world.workflow(1), await world.workflow(2)
    one_by_one, at_once = Play(alone, seed, world.now), Play(together, seed, world.now)
    for made in one_by_one.appends:
        await world.store.append(made).durable()
    before = world.store.writer.commits
    carried_out.clear()
    await asyncio.gather(*[world.store.append(made).durable() for made in at_once.appends])
    assert world.store.writer.commits == before + 1
    assert carried_out == at_once.appends, "none was refused, so each was carried out once"
    assert await stored(world, at_once.ids) == await stored(world, one_by_one.ids)
    await world.check()


async def test_a_run_that_holds_its_execution_no_more_hears_that_though_its_child_is_there(world: World) -> None:
    parent = await world.workflow()
    made = parent.call(world.now, 1, keep=True)
    await world.append(made)
    with pytest.raises(VersionConflictError):
        await world.append(made)
    await world.check()


async def test_one_that_is_refused_leaves_what_the_others_of_its_group_wrote(world: World) -> None:
    first, second = await world.workflow(1), await world.workflow(2)
    stolen = msgspec.structs.replace(first.append(world.now, Finished(OK)), run_id=run_id(99))
    asleep = second.sleep(world.now, 1, world.now + 1_000)
    made = [stolen, asleep, second.append(world.now, Finished(OK), may_have_delays=True)]
    done = await asyncio.gather(*[world.store.append(one).durable() for one in made], return_exceptions=True)
    assert [type(one) for one in done] == [VersionConflictError, type(None), type(None)]
    assert (await world.row(execution_id(1))).status == "locked"
    assert (await world.row(execution_id(2))).status == "finished"
    await world.check()


async def test_a_run_that_lost_its_execution_adds_nothing_to_what_its_holder_writes_at_the_same_time(
    world: World,
) -> None:
    holder = await world.workflow()
    made = [holder.sleep(world.now, 1, world.now + 1_000)]
    made.append(msgspec.structs.replace(holder.append(world.now, Finished(OK)), run_id=run_id(99)))
    done = await asyncio.gather(*[world.store.append(one).durable() for one in made], return_exceptions=True)
    assert [type(one) for one in done] == [type(None), VersionConflictError]
    assert (await world.row(holder.execution_id)).status == "blocked"
    await world.check()


async def test_an_answer_for_what_has_finished_in_the_same_commit_is_dropped(world: World) -> None:
    parent = await world.workflow()
    await world.append(parent.call(world.now, 1, keep=True))
    (held,) = await world.lock()
    child, parent.state = RunScript(held), unblock(parent.state)
    ended = parent.append(world.now, Finished(OK))
    answer = NewResponse(parent.execution_id, "o:1", world.now, ChildFinished(child.execution_id, OK))
    made = [ended, child.append(world.now, Finished(OK), response=answer)]
    await asyncio.gather(*[world.store.append(one).durable() for one in made])
    assert await world.responses(parent.execution_id) == []
    assert world.delivered(parent.execution_id) == []


async def test_what_was_made_in_a_group_is_seen_by_what_asks_for_it_there(world: World) -> None:
    parent = await world.workflow()
    made = parent.call(world.now, 1, keep=True)
    (child,) = made.children
    append, cancel = world.store.append(made), world.store.request_cancellation(child.execution_id, world.now)
    _, progress = await asyncio.gather(append.durable(), cancel)
    assert not progress.already_finished
    assert await world.types(child.execution_id) == ["created", "cancellation_requested"]
    await world.check()
