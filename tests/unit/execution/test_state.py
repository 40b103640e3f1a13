"""The state of an execution is a fold over its log: every transition, and every log that can't be."""

import pytest

from obelisk_daemon.clock import Instant
from obelisk_daemon.execution.events import (
    CancellationRequested,
    Entry,
    Event,
    Finished,
    HistoryEvent,
    JoinNext,
    JoinSetCreate,
    Paused,
    TemporarilyFailed,
    TemporarilyTimedOut,
    Unlocked,
    Unpaused,
)
from obelisk_daemon.execution.state import InvariantError, State, apply, block, fold, unload
from tests.building import (
    DIGEST,
    EXECUTOR,
    OK,
    OTHER_DIGEST,
    OTHER_EXECUTOR,
    WORKFLOW,
    call_items,
    created,
    execution_id,
    failed,
    history,
    locked,
    log,
    run_id,
)
from tests.fakes.clock import START

LATER = Instant(START + 9_000_000)
CALL = history(*call_items(execution_id(), 1))
FAILED = TemporarilyFailed(1, "trap", LATER, kind="trap")
TIMED_OUT = TemporarilyTimedOut(1, "timeout", LATER)
PAUSED = Paused("operator")
UNPAUSED = Unpaused("fixed")
CANCEL = CancellationRequested()
FORCE = CancellationRequested(force=True)
END = Finished(OK)


def folded(*events: Event) -> State:
    return fold(log(created(WORKFLOW, due_at=LATER), *events))


def test_a_created_execution_is_pending_until_it_is_due() -> None:
    state = folded()
    assert (state.version, state.status, state.due_at) == (1, "pending_at", LATER)
    assert (state.lifecycle, state.digest, state.attempt) == ("active", DIGEST, 1)
    assert state.changed_at == START


def test_a_lock_names_executor_run_version_and_the_code_that_runs() -> None:
    state = folded(locked(3, executor=OTHER_EXECUTOR, digest=OTHER_DIGEST))
    assert (state.status, state.executor_id, state.run_id) == ("locked", OTHER_EXECUTOR, run_id(3))
    assert (state.locked_version, state.digest, state.due_at) == (1, OTHER_DIGEST, None)


def test_an_unlocked_execution_is_pending_and_nothing_is_counted() -> None:
    state = folded(locked(), Unlocked("stopping", LATER))
    assert (state.status, state.due_at, state.attempt) == ("pending_at", LATER, 1)
    assert (state.executor_id, state.run_id, state.locked_version) == (None, None, None)


@pytest.mark.parametrize("event", [FAILED, TIMED_OUT])
def test_a_failed_attempt_is_counted_and_waits_for_its_backoff(event: Event) -> None:
    state = folded(locked(), event)
    assert (state.status, state.due_at, state.attempt, state.run_id) == ("pending_at", LATER, 2, None)


def test_join_next_blocks_and_keeps_the_run() -> None:
    state = folded(locked(), *CALL)
    assert (state.status, state.join_set, state.run_id, state.executor_id) == ("blocked", "o:1", run_id(), EXECUTOR)
    assert state.locked_version == 1


def test_a_history_event_after_a_block_shows_that_the_workflow_went_on() -> None:
    state = folded(locked(), *CALL, HistoryEvent(JoinSetCreate("o:2")))
    assert (state.status, state.join_set, state.run_id) == ("locked", None, run_id())


def test_a_finished_execution_keeps_its_outcome_and_nothing_of_its_run() -> None:
    state = folded(locked(), *CALL, END)
    assert (state.status, state.outcome, state.run_id, state.join_set, state.due_at) == (
        "finished", OK, None, None, None,
    )  # fmt: skip


@pytest.mark.parametrize("before", [(), (locked(),), (locked(), *CALL), (PAUSED,), (CANCEL,), (locked(), CANCEL)])
def test_every_unfinished_state_may_be_ended_from_outside(before: tuple[Event, ...]) -> None:
    state = folded(*before, Finished(failed(kind="cancelled")))
    assert (state.status, state.lifecycle, state.outcome) == ("finished", "active", failed(kind="cancelled"))


@pytest.mark.parametrize("before", [(), (locked(),), (locked(), *CALL)])
def test_a_pause_ends_the_run(before: tuple[Event, ...]) -> None:
    state = folded(*before, PAUSED)
    assert (state.status, state.lifecycle, state.pause_reason, state.run_id) == (
        "pending_at", "paused", "operator", None,
    )  # fmt: skip


def test_an_execution_that_is_not_due_yet_is_not_due_earlier_for_having_been_paused() -> None:
    assert folded(PAUSED, UNPAUSED).due_at == LATER
    assert folded(locked(), FAILED, PAUSED, UNPAUSED).due_at == LATER


def test_a_paused_run_goes_on_at_once_when_the_pause_is_lifted() -> None:
    entries = log(created(), locked(), PAUSED, UNPAUSED)
    state = fold(entries)
    assert (state.lifecycle, state.pause_reason) == ("active", None)
    assert state.due_at == entries[2].created_at


def test_a_cancellation_leaves_the_run_to_its_owner() -> None:
    state = folded(locked(), CANCEL)
    assert (state.lifecycle, state.status, state.run_id) == ("cancelling", "locked", run_id())


def test_a_cancellation_ends_a_pause() -> None:
    state = folded(PAUSED, CANCEL)
    assert (state.lifecycle, state.pause_reason) == ("cancelling", None)


def test_a_workflow_that_left_memory_without_a_trace_in_the_log_may_be_locked_again() -> None:
    """Its unloading and the response that made it pending are no events of this log."""
    assert folded(locked(), *CALL, locked(2)).run_id == run_id(2)
    assert folded(locked(), *CALL, locked(2), locked(3)).run_id == run_id(3)


def test_a_response_that_is_not_in_the_log_does_not_excuse_a_lock_of_a_running_execution() -> None:
    running = folded(locked())
    with pytest.raises(InvariantError):
        apply(running, Entry(2, LATER, locked(2)))


@pytest.mark.parametrize(
    ("before", "event"),
    [
        ((), created()),
        ((), UNPAUSED),
        ((), FAILED),
        ((), TIMED_OUT),
        ((), Unlocked("stopping", LATER)),
        ((), HistoryEvent(JoinSetCreate("o:1"))),
        ((), HistoryEvent(JoinNext("o:1"))),
        ((PAUSED,), locked()),
        ((PAUSED,), PAUSED),
        ((PAUSED,), HistoryEvent(JoinNext("o:1"))),
        ((CANCEL,), locked()),
        ((CANCEL,), CANCEL),
        ((FORCE,), CANCEL),
        ((CANCEL,), PAUSED),
        ((CANCEL,), UNPAUSED),
        ((locked(), CANCEL), HistoryEvent(JoinNext("o:1"))),
        ((locked(), CANCEL), FAILED),
        ((locked(), FAILED), FAILED),
        ((locked(), FAILED), HistoryEvent(JoinNext("o:1"))),
    ],
)
def test_an_event_that_cannot_follow_is_refused(before: tuple[Event, ...], event: Event) -> None:
    with pytest.raises(InvariantError):
        folded(*before, event)


@pytest.mark.parametrize("event", [locked(), Unlocked("x", LATER), FAILED, TIMED_OUT, END, PAUSED, UNPAUSED, CANCEL])
def test_nothing_follows_the_end(event: Event) -> None:
    with pytest.raises(InvariantError, match="nothing follows `finished`"):
        folded(END, event)


def test_a_log_starts_with_created_at_version_0() -> None:
    with pytest.raises(InvariantError, match="starts with `created`"):
        fold(log(locked()))
    with pytest.raises(InvariantError, match="starts with `created`"):
        fold([Entry(1, START, created())])


@pytest.mark.parametrize("version", [0, 2])
def test_versions_are_dense(version: int) -> None:
    with pytest.raises(InvariantError, match=f"version 1 is next, not {version}"):
        apply(folded(), Entry(version, LATER, locked()))


def test_time_never_goes_back_in_a_log() -> None:
    with pytest.raises(InvariantError, match="created_at goes back"):
        apply(folded(), Entry(1, Instant(START - 1), locked()))


def test_an_unloaded_workflow_is_blocked_and_nobodys() -> None:
    state = unload(block(folded(locked()), "o:3"))
    assert (state.status, state.join_set, state.run_id, state.executor_id, state.locked_version) == (
        "blocked", "o:3", None, None, None,
    )  # fmt: skip


def test_a_cancellation_can_be_forced_later() -> None:
    state = folded(locked(), CANCEL, FORCE)
    assert (state.lifecycle, state.status, state.version) == ("cancelling", "locked", 4)
