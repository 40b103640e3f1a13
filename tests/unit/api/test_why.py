"""The rules by which reasons are given, on facts that are made up."""

from typing import Any

import pytest
from msgspec.structs import replace

from obelisk_daemon.api.services import DaemonStatus, ExecutorInfo, FunctionInfo
from obelisk_daemon.api.why.facts import Facts, Reason, span
from obelisk_daemon.api.why.rules import explain
from obelisk_daemon.clock import Instant
from obelisk_daemon.execution.events import Entry, Event, Finished, Paused, TemporarilyFailed, Unlocked, Unpaused
from obelisk_daemon.execution.outcome import Returned
from obelisk_daemon.execution.wit_types import FunctionType, Primitive
from obelisk_daemon.executor.children import NEVER
from obelisk_daemon.ids import DelayId, ExecutionId, ExecutorId
from obelisk_daemon.storage.records import MOST_COUNTED, Child, Delay, Standing, Summary, Waiting
from tests.building import DIGEST, EXECUTOR, OTHER_DIGEST, created, locked
from tests.golden.why.stage import APPROVE, DEFAULT, FIBO, FIBOA, LARGE

ID = ExecutionId("E_x")
NOW = Instant(1_767_323_045_000_000)
SECOND = 1_000_000
SUMMARY = Summary(
    execution_id=ID,
    ffqn=str(FIBO.ffqn),
    component="fibo",
    digest=DIGEST,
    status="pending_at",
    lifecycle="active",
    created_at=NOW,
    changed_at=NOW,
    version=1,
    attempts=0,
    due_at=NOW,
    join_set=None,
    pause_reason=None,
    parent_id=None,
    outcome=None,
)
DAEMON = DaemonStatus(
    version="0.1.0",
    executor_id=EXECUTOR,
    generation=3,
    started_at=NOW,
    now=NOW,
    running=0,
    hot=0,
    state_dir="/var/lib/obelisk",
    pid=1,
    executors=(DEFAULT, LARGE),
)
STARTED = {"started_at": NOW, "digest": OTHER_DIGEST, "ffqn": str(FIBOA.ffqn)}
TWO_CHILDREN = (Child(ExecutionId("E_a"), "f", "locked", "active"), Child(ExecutionId("E_b"), "f", "blocked", "active"))


def known(
    *tail: Event,
    function: FunctionInfo | None = FIBO,
    daemon: DaemonStatus = DAEMON,
    standing: dict[str, Any] | None = None,
    failed_on: tuple[int | None, str] | None = None,
    running: int = 0,
    **row: object,
) -> Facts:
    entries = tuple(Entry(version, NOW, event) for version, event in enumerate(tail or (created(),)))
    found = Standing(replace(SUMMARY, **row), entries, **(standing or {}))
    return Facts(standing=found, daemon=daemon, function=function, failed_on=failed_on, running=running)


def codes(facts: Facts) -> list[str]:
    return [reason.code for reason in explain(facts)]


def one(facts: Facts) -> Reason:
    (reason,) = explain(facts)
    return reason


def with_executors(*executors: ExecutorInfo) -> DaemonStatus:
    return replace(DAEMON, executors=executors)


@pytest.mark.parametrize(
    ("micros", "said"),
    [
        (1_000, "1ms"),
        (999_999, "999ms"),
        (1_000_000, "1s"),
        (1_567_000, "1.5s"),
        (59_990_000, "59.9s"),
        (60_000_000, "1m"),
        (61_000_000, "1m 1s"),
        (3_600_000_000, "1h"),
        (3_605_000_000, "1h"),
        (5_400_000_000, "1h 30m"),
        (93_784_000_000, "1d 2h"),
        (864_000_000_000, "10d"),
    ],
)
def test_a_duration_is_told_in_its_two_largest_units(micros: int, said: str) -> None:
    assert span(micros) == said


def test_times_tell_how_far_they_are_from_now() -> None:
    facts = known()
    told = [facts.at(Instant(NOW + offset)) for offset in (-2 * SECOND, -999, 0, 999, 1_000, 2 * SECOND)]
    assert [text.partition(" ")[2] for text in told] == ["(2s ago)", "(now)", "(now)", "(now)", "(in 1ms)", "(in 2s)"]


def test_everything_that_holds_is_told_with_the_nearest_first() -> None:
    busy = [replace(one, running=one.max_running) for one in (DEFAULT, LARGE)]
    facts = known(
        function=replace(FIBOA, max_running=1, older=(OTHER_DIGEST,)),
        daemon=replace(DAEMON, not_ready="stopping", disk_full=True, executors=tuple(busy)),
        standing={"queued_before": 1},
        failed_on=(12, "at version 12: expected a, got b"),
        running=1,
        **STARTED,
    )
    assert codes(facts) == [
        "daemon_not_ready",
        "storage_full",
        "limit_reached",
        "slots_taken",
        "queued",
        "outdated_code",
    ]


def test_what_is_not_due_is_not_told_of_others_that_are_served_before_it() -> None:
    facts = known(
        function=replace(FIBO, max_running=1, labels=("arm",)),
        daemon=replace(DAEMON, not_ready="stopping"),
        running=1,
        due_at=Instant(NOW + 1),
    )
    assert codes(facts) == ["not_due", "no_executor_offers"]


def test_what_no_executor_may_run_is_not_told_of_slots_and_queues_but_of_its_limit() -> None:
    busy = replace(DEFAULT, running=200)
    facts = known(
        function=replace(FIBO, max_running=1, labels=("arm",)),
        daemon=with_executors(busy),
        standing={"queued_before": 5},
        running=1,
    )
    assert codes(facts) == ["no_executor_offers", "limit_reached"]


@pytest.mark.parametrize(("running", "found"), [(2, "due"), (3, "limit_reached"), (4, "limit_reached")])
def test_a_limit_is_reached_when_as_many_run(running: int, found: str) -> None:
    assert codes(known(function=replace(FIBO, max_running=3), running=running)) == [found]


def test_slots_count_on_those_executors_only_that_offer_the_labels() -> None:
    full, free = replace(LARGE, running=8), replace(DEFAULT, running=199)
    assert codes(known(daemon=with_executors(full, free))) == ["due"]
    assert codes(known(daemon=with_executors(full, free), labels=("gpu",))) == ["slots_taken"]
    assert codes(known(daemon=with_executors(full, replace(free, running=200)))) == ["slots_taken"]


def test_labels_of_the_function_and_of_the_submitter_count_together() -> None:
    arm, gpu = replace(DEFAULT, labels=("arm",)), replace(LARGE, labels=("gpu",))
    function = replace(FIBO, labels=("arm",))
    assert codes(known(function=function, labels=("gpu",), daemon=with_executors(arm, gpu))) == ["no_executor_offers"]
    both = replace(arm, labels=("arm", "eu", "gpu"))
    assert codes(known(function=function, labels=("gpu",), daemon=with_executors(both))) == ["due"]


def test_a_queue_is_counted_up_to_a_bound() -> None:
    texts = [one(known(standing={"queued_before": before})).text for before in (1, MOST_COUNTED - 1, MOST_COUNTED)]
    assert texts[0].startswith("1 execution of ")
    assert texts[1].startswith("999 executions of ")
    assert texts[2].startswith("at least 1,000 executions of ")


def test_a_due_time_is_reached_at_the_instant_itself() -> None:
    assert codes(known(due_at=NOW)) == ["due"]
    assert codes(known(due_at=Instant(NOW + 1))) == ["not_due"]


def test_an_attempt_that_failed_is_named_only_where_the_execution_waits_for_its_retry() -> None:
    due_at = Instant(NOW + SECOND)
    failed = TemporarilyFailed(1, "no route", due_at, "error")
    assert codes(known(failed, due_at=due_at)) == ["waits_for_retry"]
    assert codes(known(failed, Paused("operator"), Unpaused("operator"), due_at=due_at)) == ["waits_for_retry"]
    assert codes(known(failed, Unlocked("storage_failed", Instant(due_at + 1)), due_at=Instant(due_at + 1))) == [
        "given_up"
    ]
    for ended in (failed, Unlocked("stopping", NOW)):
        assert codes(known(ended, due_at=Instant(due_at + 1))) == ["not_due"]


@pytest.mark.parametrize("policy", ["latest", "force", "replay"])
def test_code_that_was_not_tried_is_no_reason(policy: str) -> None:
    function = replace(FIBOA, on_upgrade=policy, older=(OTHER_DIGEST,))
    assert codes(known(function=function, **STARTED)) == ["due"]


@pytest.mark.parametrize(("policy", "stays"), [("latest", False), ("force", False), ("replay", True), ("pin", True)])
def test_it_stays_on_older_code_as_the_policy_has_it(policy: str, stays: bool) -> None:
    function = replace(FIBOA, on_upgrade=policy)
    assert codes(known(function=function, failed_on=(1, ""), **STARTED)) == ["outdated_code" if stays else "due"]


def test_what_was_never_started_starts_on_the_current_code() -> None:
    function = replace(FIBOA, on_upgrade="pin")
    assert codes(known(function=function, **{**STARTED, "started_at": None})) == ["due"]


def test_the_current_code_is_not_outdated_though_it_failed_there_before() -> None:
    row = {**STARTED, "digest": DIGEST}
    assert codes(known(function=FIBOA, failed_on=(1, "at version 1: ..."), **row)) == ["due"]


def test_older_code_that_is_here_is_no_obstacle() -> None:
    function = replace(FIBOA, on_upgrade="pin", older=("sha256:ff", OTHER_DIGEST))
    assert codes(known(function=function, **STARTED)) == ["due", "outdated_code"]
    assert codes(known(function=replace(function, older=("sha256:ff",)), **STARTED)) == ["outdated_code"]


def test_a_divergence_names_its_version_once_and_another_failure_none() -> None:
    function = replace(FIBOA, older=(OTHER_DIGEST,))
    told = [
        explain(known(function=function, failed_on=failed, **STARTED))[-1].text.partition("the current code, ")[2]
        for failed in ((12, "at version 12: expected a, got b"), (None, "the stored values don't fit"))
    ]
    assert told == [
        "sha256:abababababab, diverges at version 12: expected a, got b",
        "sha256:abababababab, can't go on with it: the stored values don't fit",
    ]


def test_a_workflow_in_memory_is_taken_on_by_its_executor_and_by_others_after_a_while() -> None:
    hot = {"executor_id": EXECUTOR, "ffqn": str(FIBOA.ffqn)}
    assert codes(known(function=FIBOA, due_at=Instant(NOW + SECOND), **hot)) == ["response_arrived"]
    nobody = known(function=FIBOA, daemon=with_executors(), due_at=NOW, **hot)
    assert codes(nobody) == ["response_arrived", "no_executor_offers"]


@pytest.mark.parametrize(("result", "shape"), [(Primitive("u8"), "'...'"), (None, "'null'")])
def test_a_stub_without_a_result_type_is_shown_what_to_give(result: Primitive | None, shape: str) -> None:
    function = replace(APPROVE, type=FunctionType((), result))
    reason = one(known(function=function, due_at=NEVER))
    assert (reason.code, reason.commands) == ("waits_for_result", (f"obelisk-ctl stub E_x {shape}",))
    assert (", of type u8:" in reason.text) == (result is not None)


def test_an_execution_of_what_has_become_a_stub_can_be_given_its_result_too() -> None:
    assert codes(known(function=APPROVE, due_at=NOW)) == ["waits_for_result"]


def test_what_executors_offer_and_have_left_is_nothing_to_a_stub() -> None:
    limited, full = replace(APPROVE, max_running=1), replace(DEFAULT, running=200)
    for due_at, executors in ((NEVER, ()), (NOW, ()), (NOW, (full,))):
        facts = known(function=limited, due_at=due_at, daemon=with_executors(*executors), running=1)
        assert codes(facts) == ["waits_for_result"]


def test_a_paused_stub_still_takes_its_result() -> None:
    facts = known(Paused("operator"), function=APPROVE, lifecycle="paused", due_at=NEVER)
    assert codes(facts) == ["paused", "waits_for_result"]


def test_a_pause_is_told_though_its_event_is_far_back() -> None:
    reason = one(known(lifecycle="paused", pause_reason="operator"))
    assert (reason.code, reason.commands) == ("paused", ("obelisk-ctl resume E_x",))


def test_a_pause_that_failed_on_the_current_code_is_told_apart_from_one_that_may_be_upgraded() -> None:
    paused = Paused("nondeterminism", None, OTHER_DIGEST, "at version 3: expected a, got b")
    of = {"lifecycle": "paused", "function": replace(FIBOA, older=(OTHER_DIGEST,)), **STARTED}
    assert one(known(paused, **of)).commands == ("obelisk-ctl upgrade E_x",)
    assert one(known(paused, failed_on=(7, "no"), **of)).commands == ("obelisk-ctl replay E_x --component FILE",)


def test_an_error_is_told_with_what_repeats_it_and_a_result_with_what_prints_it() -> None:
    row = {"status": "finished", "due_at": None}
    error = Returned({"err": 1})
    assert one(known(Finished(error), outcome=error, **row)).commands == ("obelisk-ctl retry E_x",)
    fine = Returned({"ok": 1})
    assert one(known(Finished(fine), outcome=fine, **row)).commands == ("obelisk-ctl result E_x",)


@pytest.mark.parametrize(("function", "until"), [(FIBO, True), (FIBOA, False), (None, False)])
def test_only_an_attempt_of_an_activity_is_told_to_end_at_some_time(function: FunctionInfo | None, until: bool) -> None:
    entry = Entry(1, NOW, locked(attempt=2))
    row = {"status": "locked", "due_at": None, "executor_id": ExecutorId("Exr_x")}
    text = one(known(function=function, standing={"locked": entry}, **row)).text
    assert text.startswith("it is running on executor Exr_x of another daemon, since 2026-01-02T03:04:05.000000Z (now)")
    assert ("in attempt 2, which may take until 2026-01-02T03:04:35.000000Z" in text) == until


def waiting_for(waiting: Waiting, **more: object) -> Facts:
    row = {"status": "blocked", "due_at": None, "join_set": "n:batch", "ffqn": str(FIBOA.ffqn)}
    return known(function=FIBOA, standing={"waiting": waiting}, **{**row, **more})


def delayed(seconds: int, *, paused: bool = False) -> Delay:
    return Delay(DelayId(f"Delay_{seconds}"), "n:batch", Instant(NOW + seconds * SECOND), paused)


def test_a_single_member_is_waited_for_without_a_word_of_its_join_set() -> None:
    assert codes(waiting_for(Waiting(5, 1, 1, TWO_CHILDREN[:1]))) == ["waits_for_child"]
    assert codes(waiting_for(Waiting(5, 1, 1, (), (delayed(1),)))) == ["waits_for_delay"]


def test_of_several_members_the_first_child_and_the_next_delay_are_named() -> None:
    reasons = explain(waiting_for(Waiting(1, 4, 4, TWO_CHILDREN, (delayed(1), delayed(2)))))
    assert [reason.code for reason in reasons] == ["waits_for_answers", "waits_for_delay", "waits_for_child"]
    assert reasons[0].text == "it waits for 4 more answers in join set n:batch: 1 of 5 have come"
    assert "Delay_1 " in reasons[1].text
    assert (reasons[2].child, "E_a (f), which runs" in reasons[2].text) == ("E_a", True)


def test_a_member_that_has_just_answered_leaves_the_join_set_to_be_told() -> None:
    reason = one(waiting_for(Waiting(2, 1, 0)))
    assert reason.text == "it waits for the next answer in join set n:batch: 2 of 2 have come"


@pytest.mark.parametrize(
    ("delay", "said", "commands"),
    [
        (delayed(1), "Delay_1 until", ()),
        (delayed(0), "Delay_0, which is due since", ()),
        (delayed(-1, paused=True), "Delay_-1, which is paused", ("obelisk-ctl delay resume Delay_-1",)),
    ],
)
def test_a_delay_is_told_with_what_ends_it(delay: Delay, said: str, commands: tuple[str, ...]) -> None:
    reason = one(waiting_for(Waiting(0, 1, 1, (), (delay,))))
    assert said in reason.text
    assert reason.commands == commands


@pytest.mark.parametrize(
    ("child", "said"),
    [
        (Child(ID, "f", "pending_at", "active"), "is pending"),
        (Child(ID, "f", "locked", "active"), "runs"),
        (Child(ID, "f", "blocked", "active"), "waits itself"),
        (Child(ID, "f", "pending_at", "paused"), "is paused"),
        (Child(ID, "f", "blocked", "cancelling"), "is being cancelled"),
    ],
)
def test_a_child_is_told_with_its_state(child: Child, said: str) -> None:
    assert one(waiting_for(Waiting(0, 1, 1, (child,)))).text.endswith(f"(f), which {said}")


def test_what_would_keep_a_blocked_workflow_from_going_on_matters_only_outside_of_memory() -> None:
    waiting = Waiting(0, 1, 1, (), (delayed(1),))
    nobody = with_executors()
    assert codes(waiting_for(waiting, daemon=nobody)) == ["waits_for_delay", "no_executor_offers"]
    assert codes(waiting_for(waiting, daemon=nobody, executor_id=EXECUTOR)) == ["waits_for_delay"]


@pytest.mark.parametrize(
    ("lifecycles", "command"),
    [
        (["active"], ("obelisk-ctl cancel E_0 --force",)),
        (["active", "cancelling"], ("obelisk-ctl cancel E_x --force",)),
        (["cancelling", "cancelling"], ()),
        ([], ()),
    ],
)
def test_a_cancellation_tells_what_force_would_end(lifecycles: list[Any], command: tuple[str, ...]) -> None:
    children = [Child(ExecutionId(f"E_{n}"), "f", "blocked", lifecycle) for n, lifecycle in enumerate(lifecycles)]
    reason = one(waiting_for(Waiting(0, 0, len(children), tuple(children)), lifecycle="cancelling"))
    assert (reason.code, reason.commands) == ("cancelling", command)
    assert reason.child == (children[0].execution_id if children else None)
