"""The test kit on our small guests: stubs, virtual time, failures, and what a wrong use says."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from obelisk_daemon.execution.events import ChildFinished
from obelisk_daemon.testing import Call, Err, Failure, KitError, WorkflowKit
from tests.integration.kit.conftest import MakeKit

FIBO = "testing:fibo/fibo.fibo"
FIBOA = "testing:fibo/workflow.fiboa"
NAP = "testing:sleeper/sleeper.nap"
FANOUT = "testing:fanout/fanout.run"


def test_a_call_is_answered_by_the_stub_and_recorded(make_kit: MakeKit) -> None:
    kit = make_kit("fibo-workflow")
    kit.stub(FIBO, lambda n: {"ok": n * n})
    assert kit.run(FIBOA, [7, 2]) == {"ok": 49}
    first, second = kit.calls_of(FIBO)
    assert first == Call(FIBO, [7], second.execution_id.replace("o:2", "o:1"), {"ok": 49})
    assert second.execution_id.endswith(".o:2_1")
    kit.replay_check()


def test_one_value_may_answer_all_calls(make_kit: MakeKit) -> None:
    kit = make_kit("fibo-workflow")
    kit.stub(FIBO, {"ok": 5})
    assert kit.run(FIBOA, [7, 3]) == {"ok": 5}
    assert len(kit.calls) == 3


def test_a_stub_may_be_a_coroutine_function(make_kit: MakeKit) -> None:
    kit = make_kit("fibo-workflow")

    async def fibo(n: int) -> object:
        await asyncio.sleep(0)
        return {"ok": n + 1}

    kit.stub(FIBO, fibo)
    assert kit.run(FIBOA, [7, 1]) == {"ok": 8}


@pytest.mark.anyio
async def test_in_a_running_loop_there_is_an_asynchronous_form(make_kit: MakeKit) -> None:
    kit = make_kit("fibo-workflow")
    kit.stub(FIBO, {"ok": 5})
    assert await kit.run_async(FIBOA, [7, 1]) == {"ok": 5}
    assert (await kit.replay_async(kit.log)).kind == "finished_equal"
    with pytest.raises(KitError, match="use await run_async"):
        kit.run(FIBOA, [7, 1])


def test_a_stub_returns_an_error_or_raises_one(make_kit: MakeKit) -> None:
    kit = make_kit("fibo-workflow")
    kit.stub(FIBO, {"err": "too big"})
    assert kit.run(FIBOA, [7, 2]) == {"err": "too big"}

    def refuse(_: int) -> object:
        raise Err("no")

    kit.stub(FIBO, refuse)
    assert kit.run(FIBOA, [7, 2]) == {"err": "no"}
    assert [call.result for call in kit.calls] == [{"err": "no"}]


def test_what_else_a_stub_raises_ends_the_test(make_kit: MakeKit) -> None:
    kit = make_kit("fibo-workflow")

    def broken(_: int) -> object:
        raise ZeroDivisionError("a bug of the test")

    kit.stub(FIBO, broken)
    with pytest.raises(ZeroDivisionError, match="a bug of the test"):
        kit.run(FIBOA, [7, 2])


@pytest.mark.parametrize("kind", ["timed_out", "trap", "cancelled", "out_of_fuel"])
def test_a_simulated_failure_is_seen_as_the_error_type_shows_it(kind: str, make_kit: MakeKit) -> None:
    kit = make_kit("fibo-workflow")
    kit.fail(FIBO, kind, "the disk is full")
    error = kit.run(FIBOA, [7, 2])["err"]
    assert error.startswith(f"execution_failed: {kind} (Err_")
    assert error.endswith("the disk is full")
    (call,) = kit.calls
    assert call.result is not None
    assert call.result["execution_failure"]["kind"] == kind
    kit.replay_check()


def test_one_call_of_several_may_fail(make_kit: MakeKit) -> None:
    kit = make_kit("fibo-workflow")
    left = iter([{"ok": 1}, Failure("timed_out"), {"ok": 2}])

    def fibo(_: int) -> object:
        answer = next(left)
        if isinstance(answer, Failure):
            raise answer
        return answer

    kit.stub(FIBO, fibo)
    assert "timed_out" in kit.run(FIBOA, [7, 3])["err"]
    assert len(kit.calls) == 2


def test_a_failure_that_the_type_can_not_say_fails_the_workflow_with_its_cause(make_kit: MakeKit) -> None:
    kit = make_kit("faulty-caller")
    kit.fail("testing:faults/faults.trap-no-result", "trap", "unreachable")
    failed = kit.run("testing:faulty-caller/caller.call-trap-no-result")["execution_failure"]
    assert failed["kind"] == "child_failed"
    assert kit.failure is not None
    assert kit.failure.failure_id == failed["failure_id"]
    response = kit.log.responses[0].item
    assert isinstance(response, ChildFinished)
    assert kit.failure.cause == response.outcome.failure_id  # type: ignore[union-attr]


def test_time_is_skipped_and_told(make_kit: MakeKit) -> None:
    kit = make_kit("sleeper", start=datetime(2031, 5, 1, tzinfo=UTC))
    week = 7 * 86_400
    assert kit.run(NAP, [week * 1_000]) == {"ok": int(datetime(2031, 5, 8, tzinfo=UTC).timestamp())}
    assert kit.slept == timedelta(days=7)
    assert kit.now == datetime(2031, 5, 8, tzinfo=UTC)


def test_a_call_takes_the_time_that_the_test_says(make_kit: MakeKit) -> None:
    kit = make_kit("fibo-workflow")
    kit.stub(FIBO, {"ok": 5}, takes=timedelta(minutes=20))
    kit.run(FIBOA, [7, 3])
    assert kit.slept == timedelta(hours=1)


def test_children_of_a_join_set_answer_in_the_order_they_end(make_kit: MakeKit) -> None:
    kit = make_kit("fanout")
    kit.stub(FIBO, {"ok": 3}, takes=timedelta(seconds=5))
    assert kit.run(FANOUT, [4, 9]) == {"ok": 12}
    assert kit.slept == timedelta(seconds=5)
    assert [call.params for call in kit.calls] == [[9]] * 4
    kit.replay_check()


def test_what_is_left_open_is_cancelled_at_the_end(make_kit: MakeKit) -> None:
    kit = make_kit("fanout")
    answers = iter([{"ok": 1}, {"err": "one failed"}, {"ok": 1}])
    seconds = iter([60, 1, 30])
    kit.stub(FIBO, lambda n: next(answers), takes=lambda n: timedelta(seconds=next(seconds)))
    assert kit.run(FANOUT, [3, 9]) == {"err": "one failed"}
    assert kit.slept == timedelta(seconds=1)
    results = [call.result for call in kit.calls]
    assert results[1] == {"err": "one failed"}
    assert [result["execution_failure"]["kind"] for result in (results[0], results[2])] == ["cancelled"] * 2
    kit.replay_check()


def test_what_is_not_cancellable_is_awaited_at_the_end(make_kit: MakeKit) -> None:
    kit = make_kit("fanout")
    answers = iter([{"ok": 1}, {"err": "one failed"}])
    seconds = iter([60, 1])
    kit.stub(FIBO, lambda n: next(answers), takes=lambda n: timedelta(seconds=next(seconds)), cancellable=False)
    assert kit.run(FANOUT, [2, 9]) == {"err": "one failed"}
    assert kit.slept == timedelta(seconds=60)
    assert kit.calls[0].result == {"ok": 1}
    kit.replay_check()


def test_two_runs_are_the_same_but_for_their_ids(make_kit: MakeKit) -> None:
    kit = make_kit("random")
    first = kit.run("testing:random/random.draw")
    assert kit.run("testing:random/random.draw") == first
    other = make_kit("random", seed=2)
    assert other.run("testing:random/random.draw") != first
    other.replay_check()


def test_a_log_that_is_saved_replays_on_the_code_it_came_from_and_not_on_other(
    make_kit: MakeKit, tmp_path: Path
) -> None:
    kit = make_kit("fibo-workflow")
    kit.stub(FIBO, {"ok": 5})
    kit.run(FIBOA, [7, 3])
    kit.save_log(tmp_path / "log.json")
    make_kit("fibo-workflow").replay_check(tmp_path / "log.json")
    with pytest.raises(AssertionError, match=r"diverges at version 6: expected a call .* \[7\] .* got a call .* \[8\]"):
        make_kit("fiboa-changed").replay_check(tmp_path / "log.json")


def test_a_guest_that_computes_for_ever_runs_out_of_fuel(make_kit: MakeKit) -> None:
    kit = make_kit("fibo-workflow", fuel=10)
    kit.stub(FIBO, {"ok": 5})
    assert kit.run(FIBOA, [7, 3])["execution_failure"]["kind"] == "out_of_fuel"
    kit.replay_check()


def test_too_many_events_fail_the_workflow_as_they_would_in_production(make_kit: MakeKit) -> None:
    kit = make_kit("fibo-workflow", max_history_events=10)
    kit.stub(FIBO, {"ok": 5})
    assert kit.run(FIBOA, [7, 30])["execution_failure"]["kind"] == "limit_exceeded"
    assert len(kit.calls) == 3


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (5, r'the stub of testing:fibo/fibo.fibo returned 5, but .* result<u64, string>: return {"ok": ...}'),
        ({"ok": -1}, r"the stub of testing:fibo/fibo.fibo returned.ok: expected u64, got -1"),
        ({"ok": "5"}, r'returned.ok: expected u64, got "5"'),
        ({"err": 5}, r"returned.err: expected string, got 5"),
        (None, r"returned None"),
    ],
)
def test_a_stub_of_a_wrong_type_is_told(answer: object, message: str, make_kit: MakeKit) -> None:
    kit = make_kit("fibo-workflow")
    kit.stub(FIBO, lambda n: answer)
    with pytest.raises(KitError, match=message):
        kit.run(FIBOA, [7, 3])


def test_a_stub_that_is_missing_is_told_with_the_call(make_kit: MakeKit) -> None:
    with pytest.raises(KitError, match=r"the workflow calls testing:fibo/fibo.fibo with \[7\], .* kit.stub\("):
        make_kit("fibo-workflow").run(FIBOA, [7, 3])


def test_a_stub_of_what_the_component_does_not_call_is_told(make_kit: MakeKit) -> None:
    with pytest.raises(KitError, match=r"does not import testing:fibo/fibo.fibbo: did you mean testing:fibo/fibo.fibo"):
        make_kit("fibo-workflow").stub("testing:fibo/fibo.fibbo", {"ok": 5})


@pytest.mark.parametrize(
    ("ffqn", "params", "message"),
    [
        (
            "testing:fibo/workflow.fib",
            [7, 3],
            "does not export testing:fibo/workflow.fib, but testing:fibo/workflow.fiboa",
        ),
        (FIBOA, [7], "expected 2 parameters"),
        (FIBOA, [7, -1], "parameter iterations: expected u32, got -1"),
    ],
)
def test_a_wrong_call_is_told(ffqn: str, params: list[object], message: str, make_kit: MakeKit) -> None:
    with pytest.raises(KitError, match=message):
        make_kit("fibo-workflow").run(ffqn, params)


def test_a_component_that_is_not_there_is_told() -> None:
    with pytest.raises(KitError, match=r"no-such.wasm can't be read"):
        WorkflowKit("no-such.wasm")


def test_a_failure_of_no_known_kind_is_told(make_kit: MakeKit) -> None:
    with pytest.raises(KitError, match="no failure of the kind 'timeout'"):
        make_kit("fibo-workflow").fail(FIBO, "timeout")


def test_before_a_run_there_is_nothing_to_look_at(make_kit: MakeKit) -> None:
    with pytest.raises(KitError, match="nothing has run"):
        _ = make_kit("fibo-workflow").calls


def test_a_child_that_nobody_answers_is_told(make_kit: MakeKit) -> None:
    kit = make_kit("fibo-workflow")
    kit.leave_pending(FIBO)
    with pytest.raises(KitError, match=r"waits for ever in join set o:1 for .*o:1_1 \(testing:fibo/fibo.fibo\)"):
        kit.run(FIBOA, [7, 3])
