"""The test kit on a guest that does what it is told, so with all that a workflow can ask for."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from obelisk_daemon.testing import KitError, Log, WorkflowKit
from tests.integration.kit.conftest import MakeKit

pytestmark = pytest.mark.guests

FIBO = "testing:fibo/fibo.fibo"
APPROVE = "testing:approval/approval.approve"
CREATE = {"op": "join-set-create"}


def op(name: str, /, **arguments: object) -> dict[str, object]:
    return {"op": name, **arguments}


def submit(function: str, *params: object) -> dict[str, object]:
    return op("submit-json", set=0, function=function, params=list(params))


def delay(**duration: int) -> dict[str, object]:
    return op("submit-delay", set=0, when={"in": duration})


NEXT = op("join-next", set=0)
TRY = op("join-next-try", set=0)


@pytest.fixture
def kit(make_kit: MakeKit) -> WorkflowKit:
    kit = make_kit("interpreter-python")
    kit.stub(FIBO, lambda n: {"ok": n * 10})
    return kit


def run(kit: WorkflowKit, *program: dict[str, object]) -> list[Any]:
    result = kit.run("testing:interpreter/interpreter.run", [json.dumps(program)])
    assert result.keys() == {"ok"}, f"{result} {kit.failure}"
    gave: list[Any] = json.loads(result["ok"])
    return gave


def test_of_two_delays_the_earlier_one_wins_and_the_other_is_cancelled(kit: WorkflowKit) -> None:
    last_id = op("join-set-last-id", set=0)
    gave = run(kit, CREATE, delay(hours=2), delay(minutes=3), NEXT, last_id, op("join-set-close", set=0), op("clock"))
    assert gave[3] == {"ok": {"ok": None}}
    assert gave[4]["delay_id"]["id"].endswith("g:1_2")
    assert kit.slept == timedelta(minutes=3)
    kit.replay_check()


def test_a_slow_child_loses_against_a_delay(kit: WorkflowKit) -> None:
    kit.stub(FIBO, {"ok": 1}, takes=timedelta(seconds=30))
    gave = run(kit, CREATE, submit(FIBO, 3), delay(seconds=10), NEXT, NEXT, NEXT)
    assert gave[3:] == [{"ok": {"ok": None}}, {"ok": {"ok": "1"}}, {"err": "all_processed"}]
    assert kit.slept == timedelta(seconds=30)
    kit.replay_check()


def test_a_look_finds_nothing_then_the_response_then_the_end(kit: WorkflowKit) -> None:
    kit.stub(FIBO, {"ok": 4}, takes=timedelta(seconds=1))
    nap = op("sleep", when={"in": {"seconds": 1}}, hide=True)
    gave = run(kit, CREATE, submit(FIBO, 3), TRY, nap, TRY, TRY)
    assert [gave[2], gave[4], gave[5]] == [{"err": "pending"}, {"ok": {"ok": "4"}}, {"err": "all_processed"}]
    kit.replay_check()


def test_polling_lets_time_pass(kit: WorkflowKit) -> None:
    kit.stub(FIBO, {"ok": 4}, takes=timedelta(milliseconds=5))
    gave = run(kit, CREATE, submit(FIBO, 3), op("repeat", times=7, body=[TRY]))
    assert [{"ok": {"ok": "4"}}] in gave[2]
    assert gave[2][0] == [{"err": "pending"}]


def test_a_stub_is_given_its_result_by_the_workflow_once(kit: WorkflowKit) -> None:
    answer = {"ok": True}
    gave = run(
        kit,
        CREATE,
        op("approve-submit", set=0, order=7),
        op("approve-stub", execution=0, result=answer),
        op("approve-stub", execution=0, result=answer),
        op("approve-stub", execution=0, result={"err": "too late"}),
        op("approve-stub", execution={"id": "E_01KDVDNA000000000000000009"}, result=answer),
        NEXT,
    )
    assert gave[2:6] == [{"ok": None}, {"ok": None}, {"err": "conflict"}, {"err": "execution_not_found"}]
    assert gave[6] == {"ok": {"ok": "true"}}
    assert kit.calls[0].result == answer
    kit.replay_check()


def test_a_person_answers_after_two_hours(kit: WorkflowKit) -> None:
    kit.stub(APPROVE, {"err": "no"}, takes=timedelta(hours=2))
    gave = run(kit, CREATE, op("approve-submit", set=0, order=7), NEXT)
    assert gave[2] == {"ok": {"err": '"no"'}}
    assert kit.slept == timedelta(hours=2)


def test_a_stub_that_nobody_answers_makes_the_workflow_wait_for_ever(kit: WorkflowKit) -> None:
    with pytest.raises(KitError, match=r"waits for ever in join set g:1 for .* \(testing:approval/approval.approve\)"):
        run(kit, CREATE, op("approve-submit", set=0, order=7), NEXT)


def test_what_is_scheduled_is_recorded_and_never_run(kit: WorkflowKit) -> None:
    run(kit, op("fibo-schedule", when={"in": {"days": 3}}, n=9))
    (scheduled,) = kit.scheduled
    assert (scheduled.ffqn, scheduled.params, scheduled.due_at) == (FIBO, [9], datetime(2026, 1, 4, tzinfo=UTC))
    assert kit.calls == []
    kit.replay_check()


def test_a_function_that_is_called_by_json_only_is_declared(kit: WorkflowKit) -> None:
    call = op("call-json", function="shop:mail/mailer.send", params=["a@example.com", [1, 2]])
    assert run(kit, call) == [{"err": "function_not_found"}]
    kit.replay_check()
    kit.declare("shop:mail/mailer.send", {"to": "string", "body": "list<u8>"}, "result<_, string>")
    kit.stub("shop:mail/mailer.send", {"err": "bounced"})
    assert run(kit, call) == [{"ok": {"err": '"bounced"'}}]
    assert kit.calls[0].params == ["a@example.com", [1, 2]]
    kit.replay_check()


def test_a_declaration_that_is_no_wit_is_told(kit: WorkflowKit) -> None:
    with pytest.raises(KitError, match=r'shop:mail/mailer.send: .* there is no type "str"; did you mean "string"'):
        kit.declare("shop:mail/mailer.send", {"to": "str"})


def test_lines_of_the_log_and_of_stderr_are_kept(kit: WorkflowKit) -> None:
    run(kit, op("log", level="warn", message="low on paper"))
    assert kit.logs == [Log("warn", "low on paper")]


def test_a_trap_is_a_failure_with_its_reason_and_what_the_guest_wrote(kit: WorkflowKit) -> None:
    program = json.dumps([CREATE, delay(hours=1), op("trap", message="the author's mistake")])
    failed = kit.run("testing:interpreter/interpreter.run", [program])["execution_failure"]
    assert failed["kind"] == "trap"
    assert kit.failure is not None
    assert kit.failure.backtrace
    assert "the author's mistake" in kit.failure.evidence.stderr
    assert any("the author's mistake" in line.message for line in kit.logs if line.level == "stderr")
    assert kit.slept == timedelta()
    kit.replay_check()


def test_random_values_and_ids_replay(kit: WorkflowKit) -> None:
    run(
        kit,
        op("random-u64", min=0, max=1_000_000),
        op("random-string", min=3, max=40),
        op("execution-id-generate"),
        op("language-random"),
        op("clock"),
    )
    kit.replay_check()
