"""Promises of a store about what it removes: all of what is too old, and nothing that anybody needs."""

from collections.abc import Iterable, Sequence
from datetime import timedelta

import pytest

from obelisk_daemon.clock import Instant, after
from obelisk_daemon.errors import NotFoundError
from obelisk_daemon.execution.events import ChildFinished, Finished, Schedule, TemporarilyFailed
from obelisk_daemon.execution.outcome import FailureRecord
from obelisk_daemon.ids import ExecutionId, FailureId
from obelisk_daemon.storage.generations import AllowedFunction
from obelisk_daemon.storage.records import LogLine, NewResponse
from tests.building import (
    ACTIVITY,
    DIGEST,
    OK,
    OTHER_DIGEST,
    THIRD_DIGEST,
    WORKFLOW,
    RunScript,
    created,
    execution_id,
    failed,
    failure,
    history,
    new_execution,
)
from tests.conformance.world import World

pytestmark = pytest.mark.anyio
MONTH = timedelta(days=30)


async def purge(world: World, budget: int = 1_000) -> set[ExecutionId]:
    """Remove all that finished a month ago or before; give what was due."""
    before = after(world.now, -MONTH)
    found = await world.store.finished_before(before, "", 1_000)
    left = list(found.due)
    while left:
        left = left[(await world.store.remove_trees(left, before, budget)).trees :]
    await world.check()
    return set(found.due)


async def is_there(world: World, execution: ExecutionId) -> bool:
    return await world.store.find_function(execution) is not None


async def failing_parent(world: World) -> tuple[RunScript, ExecutionId]:
    """Have a workflow fail since its child has failed."""
    parent = await world.workflow()
    await world.append(parent.call(world.now, 1, keep=False))
    (held,) = await world.lock()
    child = RunScript(held)
    line = LogLine(world.now, "info", "hello")
    response = NewResponse(parent.execution_id, "o:1", world.now, ChildFinished(child.execution_id, failed(1)))
    ended = child.append(world.now, Finished(failed(1)), response=response, logs=(line,), failures=(failure(1),))
    await world.append(ended)
    caused = FailureRecord(FailureId("Err_2"), "child_failed", "a child failed", cause=failure(1).failure_id)
    (again,) = await world.lock()
    parent = RunScript(again)
    await world.append(parent.append(world.now, Finished(failed(2, "child_failed")), failures=(caused,)))
    return parent, child.execution_id


async def test_what_finished_long_ago_goes_with_its_children_and_its_id_may_be_used_again(world: World) -> None:
    parent, child = await failing_parent(world)
    world.clock.advance(MONTH - timedelta(seconds=1))
    assert await purge(world) == set()
    chain = await world.store.reads.failure_chain(FailureId("Err_2"), 10)
    assert [record.failure_id for _, record in chain] == ["Err_2", failure(1).failure_id]
    world.clock.advance(timedelta(seconds=2))
    assert await purge(world) == {parent.execution_id}
    for gone in (parent.execution_id, child):
        assert not await is_there(world, gone)
        assert await world.log(gone) == []
        assert await world.store.reads.log_lines(gone, 0, 10) == []
    for record in (FailureId("Err_2"), failure(1).failure_id):
        with pytest.raises(NotFoundError):
            await world.store.reads.failure(record)
    assert await world.submit() == parent.execution_id


async def test_an_unfinished_execution_stays_however_old_it_is(world: World) -> None:
    waiting = await world.submit(created(due_at=after(world.now, timedelta(days=400))), 2)
    parent = await world.workflow()
    await world.append(parent.sleep(world.now, 1, after(world.now, timedelta(days=400))))
    world.clock.advance(MONTH * 3)
    assert await purge(world) == set()
    assert await is_there(world, waiting)
    assert await is_there(world, parent.execution_id)


async def test_a_finished_parent_stays_until_its_last_child_has_finished(world: World) -> None:
    parent = await world.workflow()
    await world.append(parent.call(world.now, 1, keep=False))
    await world.store.request_cancellation(parent.execution_id, world.now)
    await world.finish_cancelled(parent.execution_id, failure(3, "cancelled"))
    world.clock.advance(MONTH * 2)
    assert await purge(world) == set()
    (held,) = await world.lock()
    await world.append(RunScript(held).append(world.now, Finished(OK)))
    assert await purge(world) == {parent.execution_id}


async def test_what_a_workflow_scheduled_outlives_it(world: World) -> None:
    run = await world.workflow()
    later = after(world.now, MONTH * 12)
    asked = Schedule(execution_id(9), ACTIVITY, [10], ("at", later), later)
    new = new_execution(created(due_at=later), 9, at=world.now)
    await world.append(run.append(world.now, *history(asked), Finished(OK), scheduled=(new,)))
    world.clock.advance(MONTH * 2)
    assert await purge(world) == {run.execution_id}
    assert await is_there(world, execution_id(9))


async def test_a_removal_that_was_begun_is_ended_also_when_things_are_kept_for_longer_by_then(world: World) -> None:
    parent, child = await failing_parent(world)
    other = await world.start(number=7)
    await world.append(other.append(world.now, Finished(OK)))
    world.clock.advance(MONTH * 2)
    roots = [parent.execution_id, other.execution_id]
    removed = await world.store.remove_trees(roots, after(world.now, -MONTH), 1)
    assert (removed.trees, removed.executions) == (0, 0)
    assert await world.store.half_removed() == [parent.execution_id]
    for_ever = Instant(0)
    while roots:
        roots = roots[(await world.store.remove_trees(roots, for_ever, 1)).trees :]
    assert not await is_there(world, parent.execution_id)
    assert not await is_there(world, child)
    assert await is_there(world, other.execution_id)
    assert await world.store.half_removed() == []


async def test_what_was_submitted_anew_under_a_removed_id_is_left_alone(world: World) -> None:
    run = await world.start()
    await world.append(run.append(world.now, Finished(OK)))
    world.clock.advance(MONTH * 2)
    before = after(world.now, -MONTH)
    due = (await world.store.finished_before(before, "", 10)).due
    assert (await world.store.remove_trees(due, before, 100)).executions == 1
    await world.submit()
    assert (await world.store.remove_trees(due, before, 100)).executions == 0
    assert await is_there(world, run.execution_id)


async def test_all_executions_are_looked_at_in_windows(world: World) -> None:
    started = [await world.start(number=number) for number in range(1, 6)]
    for run in started[:4]:
        await world.append(run.append(world.now, Finished(OK)))
    world.clock.advance(MONTH * 2)
    seen: list[ExecutionId] = []
    last: str | None = ""
    sizes = []
    while last is not None:
        window = await world.store.finished_before(after(world.now, -MONTH), last, 2)
        seen += window.due
        sizes.append(len(window.due))
        last = window.last
    assert seen == [run.execution_id for run in started[:4]]
    assert max(sizes) == 2


async def test_a_transaction_removes_few_executions_whose_values_are_long(world: World) -> None:
    long = created(due_at=world.now, params=("x" * 1_000_000,))
    roots = [await world.submit(long, number) for number in range(1, 7)]
    for held in await world.lock(limit=6):
        await world.append(RunScript(held).append(world.now, Finished(OK)))
    world.clock.advance(MONTH * 2)
    left, sizes = list(roots), []
    while left:
        removed = await world.store.remove_trees(left, after(world.now, -MONTH), 400)
        left = left[removed.trees :]
        sizes.append(removed.executions)
    assert sizes == [2, 2, 2]


async def test_an_execution_with_many_long_values_goes_bit_by_bit(world: World) -> None:
    parent = await world.start(created(due_at=world.now))
    long = [TemporarilyFailed(1, "x" * 400_000, world.now, "error")]
    run = parent
    for _ in range(6):
        await world.append(run.append(world.now, *long))
        (held,) = await world.lock()
        run = RunScript(held)
    await world.append(run.append(world.now, Finished(OK)))
    world.clock.advance(MONTH * 2)
    left, rows = [parent.execution_id], []
    while left:
        removed = await world.store.remove_trees(left, after(world.now, -MONTH), 100)
        left = left[removed.trees :]
        rows.append(removed.rows)
    assert len(rows) > 3
    assert max(rows) < 10
    assert not await is_there(world, parent.execution_id)


async def test_tags_of_what_is_removed_are_not_found_any_more(world: World) -> None:
    run = await world.start(created(due_at=world.now, tags={"order": "17"}))
    await world.append(run.append(world.now, Finished(OK)))
    world.clock.advance(MONTH * 2)
    await purge(world)
    left = await world.store.reads._on_connection(lambda connection: connection.execute("orphans_tag").fetchall())
    assert left == []


def _on(digests: Sequence[str]) -> dict[str, AllowedFunction]:
    return {
        ffqn: AllowedFunction(digest, "fibo", "replay")
        for ffqn, digest in zip((ACTIVITY, WORKFLOW), digests, strict=False)
    }


async def _code(world: World) -> set[str]:
    return set(await world.store.stored_digests())


async def _forget(digests: Iterable[str], world: World) -> list[bool]:
    return [await world.store.remove_code(digest) for digest in digests]


async def test_generations_beyond_those_kept_are_forgotten_oldest_first(world: World) -> None:
    for number in range(2, 7):
        await world.activate(number, _on([DIGEST]))
    assert await world.store.remove_generations(3, 1) == 1
    assert await world.store.remove_generations(3, 10) == 1
    assert await world.store.remove_generations(3, 10) == 0
    assert [row.number for row in await world.store.generations(100, 100)] == [6, 5, 4, 3]
    assert await world.store.remove_generations(0, 10) == 3
    active = await world.store.active_generation()
    assert active is not None
    assert (active.number, dict(active.components)) == (6, {f"component-{ACTIVITY}": DIGEST})


async def test_code_goes_when_no_generation_and_no_unfinished_execution_is_on_it(world: World) -> None:
    run = await world.workflow()  # on the first digest
    await world.activate(2, _on([OTHER_DIGEST, OTHER_DIGEST]))
    await world.activate(3, _on([THIRD_DIGEST, THIRD_DIGEST]))
    assert await world.store.unneeded_code() == []
    await world.store.remove_generations(0, 10)
    assert await world.store.unneeded_code() == [OTHER_DIGEST]
    assert await _forget([OTHER_DIGEST, THIRD_DIGEST], world) == [True, False]
    assert await _code(world) == {DIGEST, THIRD_DIGEST}
    await world.append(run.append(world.now, Finished(OK)))
    assert await world.store.unneeded_code() == [DIGEST]


async def test_code_that_was_activated_again_meanwhile_stays(world: World) -> None:
    await world.activate(2, _on([OTHER_DIGEST]))
    await world.store.remove_generations(0, 10)
    assert await world.store.unneeded_code() == [DIGEST]
    await world.activate(3, _on([DIGEST]))
    assert await _forget([DIGEST], world) == [False]
    assert await _code(world) == {DIGEST, OTHER_DIGEST}
