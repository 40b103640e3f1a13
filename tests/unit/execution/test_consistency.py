"""Whether a stored projection follows from its log."""

import msgspec
import pytest

from obelisk_daemon.clock import Instant
from obelisk_daemon.execution.consistency import contradictions
from obelisk_daemon.execution.events import ChildFinished, Entry, Finished, Paused, Response
from obelisk_daemon.execution.state import State, block, fold, unblock, unload
from obelisk_daemon.ids import child_id
from tests.building import OK, START, WORKFLOW, call_items, created, execution_id, history, locked, log

CALLING = log(created(WORKFLOW), locked(), *history(*call_items(execution_id(), 1)))
ANSWER = Response(1, Instant(START), "o:1", ChildFinished(child_id(execution_id(), "o:1", 1), OK))
LOGS = {
    "pending": log(created()),
    "locked": log(created(), locked()),
    "finished": log(created(), locked(), Finished(OK)),
    "paused": log(created(), Paused("by hand")),
    "blocked": CALLING,
}


def wrong(state: State, entries: list[Entry], *responses: Response) -> list[str]:
    return list(contradictions(state, entries, responses))


@pytest.mark.parametrize("name", LOGS)
def test_the_fold_of_a_log_follows_from_it(name: str) -> None:
    assert wrong(fold(LOGS[name]), LOGS[name]) == []


def pending_again(at: int = START) -> State:
    return msgspec.structs.replace(
        unload(block(fold(CALLING), "o:1")), status="pending_at", join_set="o:1", due_at=Instant(at)
    )


@pytest.mark.parametrize(
    ("state", "responses"),
    [
        (fold(CALLING), ()),
        (unload(fold(CALLING)), ()),
        (unblock(fold(CALLING)), (ANSWER,)),
        (pending_again(), (ANSWER,)),
    ],
    ids=["in memory", "unloaded", "running on", "woken"],
)
def test_a_workflow_may_wait_in_each_of_these_ways(state: State, responses: tuple[Response, ...]) -> None:
    assert wrong(state, CALLING, *responses) == []


@pytest.mark.parametrize("name", LOGS)
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("version", 9),
        ("lifecycle", "cancelling"),
        ("digest", "sha256:00"),
        ("changed_at", Instant(1)),
        ("pause_reason", "none"),
        ("outcome", "none"),
        ("failed_attempts", 2),
        ("started_at", Instant(1)),
    ],
)
def test_a_field_that_the_log_says_otherwise_is_named(name: str, field: str, value: object) -> None:
    state = msgspec.structs.replace(fold(LOGS[name]), **{field: value})
    (message,) = wrong(state, LOGS[name])
    assert message.startswith(f"{field} is {value!r}, and its log says ")


@pytest.mark.parametrize("name", ["pending", "finished", "paused"])
@pytest.mark.parametrize("field", ["status", "due_at", "join_set"])
def test_what_does_not_wait_for_others_is_told_by_its_log_alone(name: str, field: str) -> None:
    state = msgspec.structs.replace(fold(LOGS[name]), **{field: "blocked"})
    assert [one.partition(" ")[0] for one in wrong(state, LOGS[name])] == [field]


@pytest.mark.parametrize("field", ["executor_id", "run_id", "locked_version"])
def test_a_run_is_the_one_that_locked_last(field: str) -> None:
    state = msgspec.structs.replace(fold(CALLING), **{field: 77})
    assert [one.partition(" ")[0] for one in wrong(state, CALLING)] == [field]


def test_a_lock_of_nobody_is_a_contradiction() -> None:
    state = msgspec.structs.replace(fold(LOGS["locked"]), run_id=None)
    assert wrong(state, LOGS["locked"]) == ["it is locked, and by no run"]


def test_a_workflow_that_waits_though_its_answer_has_come_is_a_contradiction() -> None:
    assert wrong(unload(fold(CALLING)), CALLING, ANSWER) == [
        "it is blocked, though what it waits for has come",
        "it is due at None, though what it waits for has come",
    ]


def test_a_workflow_that_goes_on_without_its_answer_is_a_contradiction() -> None:
    messages = wrong(pending_again(), CALLING)
    assert messages[0] == "it is pending_at, though what it waits for has not come"
    assert len(messages) == 2


def test_a_workflow_that_waits_for_another_join_set_is_a_contradiction() -> None:
    assert wrong(block(fold(CALLING), "n:x"), CALLING) == ["it waits for the join set n:x, and its log for o:1"]


def test_a_log_that_waits_for_nothing_blocks_nobody() -> None:
    state = block(fold(LOGS["locked"]), "o:1")
    assert "it is blocked, and its log waits for nothing" in wrong(state, LOGS["locked"])


def test_responses_are_numbered_without_a_gap() -> None:
    second = msgspec.structs.replace(ANSWER, seq=2)
    assert wrong(unblock(fold(CALLING)), CALLING, second) == ["its responses are not numbered 1, 2, 3, ..."]


def test_a_log_that_is_not_there_or_can_not_be_is_a_contradiction() -> None:
    state = fold(LOGS["finished"])
    assert wrong(state, []) == ["it has no log"]
    (message,) = wrong(state, [*LOGS["finished"][:1], *LOGS["finished"][2:]])
    assert message.startswith("its log can't be: ")
