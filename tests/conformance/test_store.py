"""Promises of a store: submitting, locking, appending and releasing. Each test is one promise."""

import asyncio
from datetime import timedelta

import msgspec
import pytest

from obelisk_daemon.clock import Instant
from obelisk_daemon.errors import ConflictError, NotFoundError
from obelisk_daemon.execution.events import ChildFinished, Finished, TemporarilyFailed
from obelisk_daemon.execution.outcome import Returned
from obelisk_daemon.ids import FailureId, child_id
from obelisk_daemon.storage.records import ListFilter, LogLine, NewResponse, VersionConflictError
from tests.building import (
    ACTIVITY,
    DIGEST,
    EXECUTOR,
    OK,
    OTHER_DIGEST,
    OTHER_EXECUTOR,
    SECOND,
    WORKFLOW,
    RunScript,
    created,
    delay_items,
    execution_id,
    failure,
    held_by,
    new_execution,
    run_id,
)
from tests.conformance.world import World

pytestmark = pytest.mark.anyio


# submit


async def test_a_submitted_execution_is_there_and_pending(world: World) -> None:
    submitted = await world.submit(created(params=(1, "x", None), due_at=world.now + 7))
    row = await world.row(submitted)
    assert (row.status, row.due_at, row.ffqn, row.digest, row.attempts) == (
        "pending_at", world.now + 7, ACTIVITY, DIGEST, 0,
    )  # fmt: skip
    assert [e.event for e in await world.log(submitted)] == [created(params=[1, "x", None], due_at=world.now + 7)]


async def test_submitting_the_same_again_answers_false_and_writes_nothing(world: World) -> None:
    submitted = await world.submit()
    published = len(world.changes)
    again = new_execution(created(due_at=world.now + 99, seed=8), at=world.now + 5)
    assert await world.store.submit(again) is False
    assert len(await world.log(submitted)) == 1
    assert len(world.changes) == published


async def test_submitting_the_same_again_is_fine_after_its_end(world: World) -> None:
    run = await world.start()
    await world.append(run.append(world.now, Finished(OK)))
    assert await world.store.submit(new_execution(created())) is False


@pytest.mark.parametrize(
    "other", [created(params=(11,)), created(params=(10.0,)), created(params=()), created(WORKFLOW)]
)
async def test_an_id_that_is_taken_by_another_call_is_a_conflict(world: World, other: object) -> None:
    submitted = await world.submit()
    with pytest.raises(ConflictError, match="is another call") as conflict:
        await world.store.submit(new_execution(other))  # type: ignore[arg-type]
    assert conflict.value.code == "execution_exists"
    assert len(await world.log(submitted)) == 1


async def test_a_nan_parameter_is_the_same_call_again(world: World) -> None:
    await world.submit(created(params=(float("nan"),)))
    assert await world.store.submit(new_execution(created(params=(float("nan"),)))) is False


async def test_two_submits_at_once_make_one_execution(world: World) -> None:
    answers = await asyncio.gather(*[world.store.submit(new_execution(created())) for _ in range(5)])
    assert sorted(answers) == [False, False, False, False, True]


async def test_what_is_not_there_is_not_found(world: World) -> None:
    with pytest.raises(NotFoundError) as missing:
        await world.row(execution_id(9))
    assert missing.value.code == "execution_not_found"
    with pytest.raises(NotFoundError) as missing:
        await world.store.reads.failure(FailureId("Err_9"))
    assert missing.value.code == "failure_not_found"


# lock


async def test_a_lock_is_an_event_with_the_run_and_the_attempt(world: World) -> None:
    submitted = await world.submit()
    (held,) = await world.lock()
    assert held.execution_id == submitted
    assert (await world.log(submitted))[1].event == held.locked
    assert (held.run_id, held.locked.attempt, held.locked.executor_id) == (run_id(1), 1, EXECUTOR)
    assert (held.state.version, held.created, held.created_at) == (2, created(params=[10]), world.now)


async def test_an_execution_is_locked_once(world: World) -> None:
    await world.submit()
    locks = await asyncio.gather(world.lock(), world.lock(executor=OTHER_EXECUTOR))
    assert sorted(len(held) for held in locks) == [0, 1]


async def test_an_execution_is_not_locked_before_it_is_due(world: World) -> None:
    await world.submit(created(due_at=world.now + 5))
    assert await world.lock(at=Instant(world.now + 4)) == []
    assert len(await world.lock(at=Instant(world.now + 5))) == 1


async def test_the_longest_due_are_locked_first_and_no_more_than_asked_for(world: World) -> None:
    due = {1: world.now - 1, 2: world.now - 3, 3: world.now - 2}
    for number, at in due.items():
        await world.submit(created(due_at=at), number)
    assert [held.execution_id for held in await world.lock(limit=2)] == [execution_id(2), execution_id(3)]
    assert [held.execution_id for held in await world.lock(limit=2)] == [execution_id(1)]


async def test_only_functions_that_the_executor_runs_are_locked(world: World) -> None:
    await world.submit(created(WORKFLOW), 1)
    await world.submit(created(), 2)
    assert [held.execution_id for held in await world.lock(runnable={ACTIVITY: DIGEST})] == [execution_id(2)]


async def test_a_digest_that_is_not_allowed_is_not_locked(world: World) -> None:
    """The executor's memory is of the generation before."""
    await world.submit()
    await world.activate(2, {ACTIVITY: OTHER_DIGEST})
    assert await world.lock(runnable={ACTIVITY: DIGEST}) == []
    (held,) = await world.lock(runnable={ACTIVITY: OTHER_DIGEST})
    assert held.locked.digest == OTHER_DIGEST
    assert (await world.row(held.execution_id)).digest == OTHER_DIGEST


async def test_a_function_that_left_the_manifest_is_not_locked(world: World) -> None:
    await world.submit()
    await world.activate(2, {WORKFLOW: DIGEST})
    assert await world.lock() == []


async def test_one_that_cannot_run_here_does_not_hide_those_that_can(world: World) -> None:
    for number in range(1, 6):
        await world.submit(created(WORKFLOW, due_at=world.now - 10), number)
    await world.submit(created(), 6)
    assert [held.execution_id for held in await world.lock(limit=1, runnable={ACTIVITY: DIGEST})] == [execution_id(6)]


async def test_the_attempt_counts_the_failures_before(world: World) -> None:
    run = await world.start()
    await world.append(run.append(world.now, TemporarilyFailed(1, "x", world.now, kind="trap")))
    (held,) = await world.lock()
    assert held.locked.attempt == 2


# append


async def test_an_append_is_fenced_by_the_version(world: World) -> None:
    run = await world.start()
    stale = RunScript(msgspec.structs.replace(held_by(run), state=msgspec.structs.replace(run.state, version=1)))
    with pytest.raises(VersionConflictError) as conflict:
        await world.append(stale.append(world.now, Finished(OK)))
    assert conflict.value.execution_id == run.execution_id
    assert await world.types(run.execution_id) == ["created", "locked"]


async def test_an_append_is_fenced_by_the_run(world: World) -> None:
    run = await world.start()
    made = msgspec.structs.replace(run.append(world.now, Finished(OK)), run_id=run_id(99))
    with pytest.raises(VersionConflictError):
        await world.append(made)
    assert await world.types(run.execution_id) == ["created", "locked"]


async def test_of_two_appends_at_one_version_the_first_counts(world: World) -> None:
    run = await world.start()
    other = RunScript(held_by(run))
    first = world.store.append(run.append(world.now, Finished(OK)))
    second = world.store.append(other.append(world.now, Finished(Returned({"ok": 2}))))
    await first.durable()
    with pytest.raises(VersionConflictError):
        await second.durable()
    assert (await world.row(run.execution_id)).outcome == OK


async def test_the_result_of_a_run_that_was_released_is_refused(world: World) -> None:
    run = await world.start()
    await world.release(run)
    with pytest.raises(VersionConflictError):
        await world.append(run.append(world.now, Finished(OK)))


async def test_the_result_of_an_older_run_is_refused(world: World) -> None:
    run = await world.start()
    await world.release(run)
    (newer,) = await world.lock()
    late = msgspec.structs.replace(held_by(run), state=newer.state)  # knows the version, but not the run
    with pytest.raises(VersionConflictError):
        await world.append(RunScript(late).append(world.now, Finished(OK)))
    assert (await world.row(run.execution_id)).status == "locked"


async def test_a_conflict_leaves_nothing_of_an_append(world: World) -> None:
    parent = await world.workflow()
    child = child_id(parent.execution_id, "o:1", 1)
    other = await world.workflow(2)
    made = parent.call(
        world.now,
        1,
        keep=True,
        delays=((("o:2"), delay_items(parent.execution_id, 2, world.now)[1].request),),  # type: ignore[union-attr]
        response=NewResponse(other.execution_id, "o:1", world.now, ChildFinished(child, OK)),
        logs=(LogLine(world.now, "info", "hello"),),
        failures=(failure(),),
    )
    published = len(world.changes)
    with pytest.raises(VersionConflictError):
        await world.append(msgspec.structs.replace(made, run_id=run_id(99)))
    assert await world.types(parent.execution_id) == ["created", "locked"]
    with pytest.raises(NotFoundError):
        await world.row(child)
    with pytest.raises(NotFoundError):
        await world.store.reads.failure(failure().failure_id)
    assert await world.store.reads.log_lines(parent.execution_id, 0, 10) == []
    assert await world.responses(other.execution_id) == []
    assert await world.fire() == 0
    assert len(world.changes) == published


async def test_an_append_writes_all_it_holds(world: World) -> None:
    run = await world.start()
    lines = (LogLine(world.now, "info", "one"), LogLine(world.now, "stderr", "two"))
    await world.append(run.append(world.now, Finished(OK), logs=lines, failures=(failure(),)))
    stored = await world.store.reads.log_lines(run.execution_id, 0, 10)
    assert [(run_of, line) for _, run_of, line in stored] == [(run.run_id, line) for line in lines]
    assert await world.store.reads.failure(failure().failure_id) == failure()
    assert (await world.row(run.execution_id)).outcome == OK


async def test_lines_that_come_before_the_end_of_their_run_are_kept_in_order(world: World) -> None:
    run = await world.start()
    lines = [LogLine(world.now, "info", text) for text in ("one", "two", "three")]
    await world.store.keep_lines(run.execution_id, run.run_id, lines[:2])
    await world.append(run.append(world.now, Finished(OK), logs=(lines[2],)))
    stored = await world.store.reads.log_lines(run.execution_id, 0, 10)
    assert [(run_of, line) for _, run_of, line in stored] == [(run.run_id, line) for line in lines]


async def test_lines_of_a_run_that_holds_nothing_any_more_are_refused(world: World) -> None:
    run = await world.start()
    await world.release(run)
    with pytest.raises(VersionConflictError):
        await world.store.keep_lines(run.execution_id, run.run_id, [LogLine(world.now, "info", "late")])
    assert await world.store.reads.log_lines(run.execution_id, 0, 10) == []


async def test_log_lines_are_read_on_from_a_position(world: World) -> None:
    run = await world.start()
    lines = tuple(LogLine(world.now, "info", str(n)) for n in range(5))
    await world.append(run.append(world.now, Finished(OK), logs=lines))
    first = await world.store.reads.log_lines(run.execution_id, 0, 2)
    rest = await world.store.reads.log_lines(run.execution_id, first[-1][0], 10)
    assert [line.message for _, _, line in [*first, *rest]] == ["0", "1", "2", "3", "4"]


async def test_values_come_back_exactly(world: World) -> None:
    values = [2**64 - 1, -(2**63), 0.1, -0.0, b"\x00\xff", "\0ä😀", {"a": [None, True]}, float("inf")]
    run = await world.start(created(params=values))
    await world.append(run.append(world.now, Finished(Returned({"err": values}))))
    entries = await world.log(run.execution_id)
    assert entries[0].event == created(params=values)
    assert repr(entries[2].event) == repr(Finished(Returned({"err": values})))


# release


async def test_releasing_a_locked_run_unlocks_it_without_counting(world: World) -> None:
    run = await world.start()
    await world.release(run, reason="stopping", wait=timedelta(seconds=1))
    row = await world.row(run.execution_id)
    assert (row.status, row.due_at, row.attempts) == ("pending_at", world.now + SECOND, 0)
    assert await world.types(run.execution_id) == ["created", "locked", "unlocked"]


async def test_releasing_a_blocked_workflow_writes_no_event(world: World) -> None:
    run = await world.workflow()
    await world.append(run.call(world.now, 1, keep=True))
    version = len(await world.log(run.execution_id))
    await world.release(run)
    row = await world.row(run.execution_id)
    assert (row.status, row.due_at, row.version) == ("blocked", None, version)
    assert world.states(run.execution_id)[-1].is_held is False


async def test_releasing_a_workflow_whose_response_has_come_makes_it_due(world: World) -> None:
    run = await world.workflow()
    await world.append(run.sleep(world.now, 1, world.now))
    await world.fire()
    await world.release(run, wait=timedelta(seconds=2))
    row = await world.row(run.execution_id)
    assert (row.status, row.due_at) == ("pending_at", world.now + 2 * SECOND)
    assert world.states(run.execution_id)[-1].due_at == world.now + 2 * SECOND
    world.clock.advance(timedelta(seconds=2))
    assert len(await world.lock()) == 1


async def test_releasing_a_run_that_holds_nothing_any_more_does_nothing(world: World) -> None:
    run = await world.start()
    await world.release(run)
    (newer,) = await world.lock()
    await world.release(run)
    assert (await world.row(run.execution_id)).status == "locked"
    await world.append(RunScript(newer).append(world.now, Finished(OK)))
    await world.release(RunScript(newer))
    assert (await world.row(run.execution_id)).status == "finished"


async def test_releasing_a_child_whose_creation_was_refused_does_nothing(world: World) -> None:
    """Its slot was reserved and its run made before the commit that should have created it."""
    run = await world.start()
    ghost = RunScript(msgspec.structs.replace(held_by(run), execution_id=execution_id(77)))
    await world.release(ghost)
    assert len((await world.store.reads.summaries(ListFilter())).rows) == 1
