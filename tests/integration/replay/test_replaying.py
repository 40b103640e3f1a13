"""What a replay says of a log: whole, cut off, of other code, of code that means ill. The test kit makes the logs."""

import json
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from obelisk_daemon.deployment.rehearsal import link_alone, rehearse
from obelisk_daemon.errors import CallerError, ComponentError
from obelisk_daemon.execution.events import Created, Finished, GuestTerms
from obelisk_daemon.execution.outcome import Failed, FailureKind, Returned
from obelisk_daemon.execution.saved_log import SavedLog
from obelisk_daemon.execution.wit_types import FunctionType, Primitive, ResultType
from obelisk_daemon.executor.replaying import replay
from obelisk_daemon.executor.workflow_guest import Program, limits_of
from obelisk_daemon.ffqn import Ffqn
from obelisk_daemon.ids import FailureId
from obelisk_daemon.testing import WorkflowKit
from obelisk_daemon.testing.loading import load
from obelisk_daemon.wasm.guest import GuestLimits
from tests import guests
from tests.integration.replay.conftest import MakeKit
from tests.integration.replay.logs import DRAW, RUN, cut, drawing, ending

FIBO = "testing:fibo/fibo.fibo"
FIBOA = "testing:fibo/workflow.fiboa"


def three_calls(make_kit: MakeKit) -> tuple[WorkflowKit, SavedLog]:
    """Versions 0 and 1 are `created` and `locked`, each call has three events from 2 on, and 11 is `finished`."""
    kit = make_kit("fibo-workflow")
    kit.stub(FIBO, lambda n: {"ok": 55})
    kit.run(FIBOA, [7, 3])
    return kit, kit.log


def failed(kind: FailureKind) -> Failed:
    return Failed(kind, FailureId("Err_00000000000000000000000001"), "told so")


def test_the_code_of_a_finished_log_finishes_equal(make_kit: MakeKit) -> None:
    kit, log = three_calls(make_kit)
    verdict = kit.replay(log)
    assert (verdict.kind, verdict.version, verdict.outcome) == ("finished_equal", 11, {"ok": 55})
    assert verdict.passed
    assert verdict.summary == 'finished equal: {"ok":55}'


def test_other_code_diverges_where_it_asks_for_something_else(make_kit: MakeKit) -> None:
    _, log = three_calls(make_kit)
    verdict = make_kit("fiboa-changed").replay(log)
    assert (verdict.kind, verdict.version) == ("diverges", 6)
    assert verdict.expected == "a call of testing:fibo/fibo.fibo with [7] in join set o:2"
    assert verdict.got == "a call of testing:fibo/fibo.fibo with [8] in join set o:2"
    assert not verdict.passed
    assert make_kit("fiboa-reordered").replay(log).version in (2, 3)


def test_a_log_that_waits_is_blocked_at_the_same_place(make_kit: MakeKit) -> None:
    kit, log = three_calls(make_kit)
    verdict = kit.replay(cut(log, 8, 1))
    assert (verdict.kind, verdict.version, verdict.got) == ("blocked", 8, "waits for a response in join set o:2")
    assert verdict.passed


def test_a_log_whose_response_has_come_goes_on_with_what_is_asked_next(make_kit: MakeKit) -> None:
    kit, log = three_calls(make_kit)
    verdict = kit.replay(cut(log, 8, 2))
    assert (verdict.kind, verdict.version, verdict.got) == ("reaches_end", 8, "a new join set o:3")


def test_a_log_without_its_last_event_would_finish(make_kit: MakeKit) -> None:
    kit, log = three_calls(make_kit)
    verdict = kit.replay(cut(log, 11))
    assert (verdict.kind, verdict.version, verdict.outcome) == ("would_finish", 11, {"ok": 55})


def test_an_end_with_another_result_diverges_at_the_end(make_kit: MakeKit) -> None:
    kit, log = three_calls(make_kit)
    verdict = kit.replay(ending(log, Finished(Returned({"ok": 56}))))
    assert (verdict.kind, verdict.version) == ("diverges", 11)
    assert (verdict.expected, verdict.got) == ('the end with {"ok":56}', 'the end with {"ok":55}')


@pytest.mark.parametrize("kind", ["cancelled", "timed_out", "nondeterminism", "limit_exceeded"])
def test_an_end_that_somebody_else_decided_says_nothing_of_the_code(kind: FailureKind, make_kit: MakeKit) -> None:
    kit, log = three_calls(make_kit)
    ended = ending(cut(log, 9, 1), Finished(failed(kind)))
    assert kit.replay(ended).kind == "blocked"
    assert kit.replay(ending(log, Finished(failed(kind)))).kind == "would_finish"


def test_code_that_ends_early_diverges_at_what_is_left(make_kit: MakeKit, tmp_path: Path) -> None:
    kit = make_kit(drawing(tmp_path / "two.wasm", f"(i64.add {DRAW} {DRAW})"))
    kit.run(RUN)
    one = make_kit(drawing(tmp_path / "one.wasm", DRAW))
    verdict = one.replay(kit.log)
    assert (verdict.kind, verdict.version, verdict.got) == ("diverges", 3, "the end of the function")
    assert verdict.expected.startswith("random-u64")


def test_code_that_goes_on_after_the_end_diverges_there(make_kit: MakeKit, tmp_path: Path) -> None:
    kit = make_kit(drawing(tmp_path / "one.wasm", DRAW))
    result = kit.run(RUN)
    verdict = make_kit(drawing(tmp_path / "two.wasm", f"(i64.add {DRAW} {DRAW})")).replay(kit.log)
    assert (verdict.kind, verdict.version) == ("diverges", 3)
    assert verdict.expected == f'the end with {{"ok":{result["ok"]}}}'
    assert verdict.got.startswith("random-u64")


def test_a_trap_is_equal_to_a_trap(make_kit: MakeKit, tmp_path: Path) -> None:
    kit = make_kit(drawing(tmp_path / "traps.wasm", f"{DRAW} unreachable"))
    assert kit.run(RUN)["execution_failure"]["kind"] == "trap"
    verdict = kit.replay(kit.log)
    assert verdict.kind == "finished_equal"
    assert "unreachable" in str(verdict.outcome)
    other = make_kit(drawing(tmp_path / "returns.wasm", DRAW)).replay(kit.log)
    assert (other.kind, other.expected) == ("diverges", 'the end with {"execution_failure":"trap"}')


def test_a_trap_before_the_end_of_the_record_diverges(make_kit: MakeKit, tmp_path: Path) -> None:
    kit = make_kit(drawing(tmp_path / "two.wasm", f"(i64.add {DRAW} {DRAW})"))
    kit.run(RUN)
    verdict = make_kit(drawing(tmp_path / "traps.wasm", f"{DRAW} unreachable")).replay(kit.log)
    assert (verdict.kind, verdict.version) == ("diverges", 3)
    assert verdict.got.startswith("a failure of the function: ")


def test_what_is_closed_at_the_end_is_replayed_and_may_still_wait(make_kit: MakeKit) -> None:
    kit = make_kit("fanout")
    answers, seconds = iter([{"err": "one failed"}, {"ok": 1}]), iter([1, 60])
    kit.stub(FIBO, lambda n: next(answers), takes=lambda n: timedelta(seconds=next(seconds)), cancellable=False)
    kit.run("testing:fanout/fanout.run", [2, 9])
    log = kit.log
    assert kit.replay(log).kind == "finished_equal"
    closing = len(log.entries) - 1
    waiting = kit.replay(cut(log, closing, 1))
    assert (waiting.kind, waiting.outcome) == ("blocked", {"err": "one failed"})
    assert kit.replay(cut(log, closing)).kind == "would_finish"
    assert kit.replay(cut(log, closing - 1, 1)).kind == "would_finish"


def test_a_closing_that_carries_another_outcome_diverges(make_kit: MakeKit) -> None:
    kit = make_kit("fanout")
    answers, seconds = iter([{"err": "one failed"}, {"ok": 1}]), iter([1, 60])
    kit.stub(FIBO, lambda n: next(answers), takes=lambda n: timedelta(seconds=next(seconds)), cancellable=False)
    kit.run("testing:fanout/fanout.run", [2, 9])
    text = msgspec.msgpack.encode(kit.log).replace(b"one failed", b"oneFAILED!", 1)
    changed = msgspec.msgpack.decode(text, type=SavedLog)
    verdict = kit.replay(cut(changed, len(changed.entries) - 1, 1))
    assert verdict.kind == "diverges"


def test_a_guest_that_never_ends_runs_out_of_the_fuel_of_its_creation(make_kit: MakeKit, tmp_path: Path) -> None:
    kit = make_kit(drawing(tmp_path / "spins.wasm", f"{DRAW} (loop $l (br $l))"), fuel=1_000_000)
    assert kit.run(RUN)["execution_failure"]["kind"] == "out_of_fuel"
    assert kit.replay(kit.log).kind == "finished_equal"


@pytest.mark.anyio
async def test_a_replay_that_takes_too_long_is_given_up(make_kit: MakeKit, tmp_path: Path, artifacts: Path) -> None:
    kit = make_kit(drawing(tmp_path / "one.wasm", DRAW))
    await kit.run_async(RUN)
    spins = load(drawing(tmp_path / "spins.wasm", f"{DRAW} (loop $l (br $l))"), artifacts)
    program = Program(spins.linked, Ffqn.parse(RUN), GuestLimits())
    with pytest.raises(CallerError, match=r"took longer than 0.05 s") as refused:
        await replay(program, kit.log, {}, timedelta(milliseconds=50))
    assert refused.value.code == "replay_too_long"


def test_memory_is_bounded_by_what_the_execution_was_created_with(make_kit: MakeKit, tmp_path: Path) -> None:
    grows = drawing(tmp_path / "grows.wasm", "(memory.grow (i32.const 1000))", result="u32")
    kit = make_kit(grows, memory=1 << 20)
    assert kit.run(RUN) == {"ok": (1 << 32) - 1}
    assert kit.replay(kit.log).kind == "finished_equal"
    larger = make_kit(grows, memory=128 << 20)
    assert larger.run(RUN) == {"ok": 1}
    assert larger.replay(kit.log).kind == "finished_equal", "the log's own limit holds"


def test_a_guest_that_calls_the_host_without_end_is_stopped(make_kit: MakeKit, tmp_path: Path) -> None:
    kit = make_kit(drawing(tmp_path / "one.wasm", DRAW))
    kit.run(RUN)
    logs = drawing(tmp_path / "logs.wasm", "(loop $l (call $info (i32.const 0) (i32.const 0)) (br $l)) unreachable")
    verdict = make_kit(logs).replay(kit.log)
    assert (verdict.kind, verdict.version) == ("diverges", 2)
    assert "host calls" in verdict.got


def test_a_log_whose_responses_are_incomplete_is_refused(make_kit: MakeKit) -> None:
    kit, log = three_calls(make_kit)
    with pytest.raises(CallerError, match="the responses are incomplete") as refused:
        kit.replay(cut(log, 12, 1))
    assert refused.value.code == "invalid_log"


def test_a_component_without_the_function_is_refused(make_kit: MakeKit) -> None:
    _, log = three_calls(make_kit)
    with pytest.raises(
        CallerError, match=r"doesn't export testing:fibo/workflow.fiboa, but testing:sleeper/"
    ) as refused:
        make_kit("sleeper").replay(log)
    assert refused.value.code == "not_exported"


def test_parameters_of_another_type_are_refused(make_kit: MakeKit) -> None:
    kit, log = three_calls(make_kit)
    created = log.entries[0].event
    assert isinstance(created, Created)
    other = msgspec.structs.replace(created, params=[7, 3, 1])
    entries = [msgspec.structs.replace(log.entries[0], event=other), *log.entries[1:]]
    with pytest.raises(CallerError, match="expected 2 parameters"):
        kit.replay(msgspec.structs.replace(log, entries=entries))


@pytest.mark.anyio
async def test_an_import_of_another_type_than_the_function_has_is_refused(make_kit: MakeKit, artifacts: Path) -> None:
    component = load(guests.path("fibo-workflow"), artifacts).component
    kit = make_kit("fibo-workflow")
    kit.stub(FIBO, {"ok": 55})
    await kit.run_async(FIBOA, [7, 3])
    changed = FunctionType((("n", Primitive("u8")),), ResultType(Primitive("u32"), Primitive("string")))
    with pytest.raises(ComponentError, match=r"imports testing:fibo/fibo.fibo as .*u64.*, but it is .*u32") as refused:
        await rehearse(kit.log, component, {FIBO: changed})
    assert refused.value.code == "import_type_mismatch"


def test_a_host_function_of_another_type_is_refused(tmp_path: Path, artifacts: Path) -> None:
    file = drawing(tmp_path / "wrong.wasm", DRAW)
    file.write_bytes(
        file.read_bytes().replace(b"max-exclusive", b"max-inclusive").replace(b"random-u64", b"random-uXX")
    )
    with pytest.raises(ComponentError, match="random-uXX"):
        load(file, artifacts)


def test_extensions_alone_tell_the_type_of_the_function(artifacts: Path) -> None:
    _, known = link_alone(load(guests.path("fanout"), artifacts).component, {})
    result = ResultType(Primitive("u64"), Primitive("string"))
    assert known == {FIBO: FunctionType((("n", Primitive("u8")),), result)}


def test_a_guest_that_ends_early_with_an_open_join_set_diverges_by_its_end(make_kit: MakeKit) -> None:
    kit = make_kit("fanout")
    kit.stub(FIBO, {"ok": 3})
    kit.run("testing:fanout/fanout.run", [3, 9])
    first = kit.log.responses[0]
    item = msgspec.structs.replace(first.item, outcome=Returned({"err": "no"}))
    changed = [msgspec.structs.replace(first, item=item), *kit.log.responses[1:]]
    verdict = kit.replay(msgspec.structs.replace(kit.log, responses=changed))
    assert (verdict.kind, verdict.got) == ("diverges", "the end of the function")
    assert verdict.expected == "join-next on g:1 for testing:fibo/fibo.fibo"


def test_of_two_limits_the_larger_one_holds() -> None:
    now = GuestLimits(memory=100, fuel=2_000, host_calls=7, value=9)
    assert limits_of(now, GuestTerms({}, 200, 1_000)) == GuestLimits(memory=200, fuel=2_000, host_calls=7, value=9)
    assert limits_of(now, GuestTerms({}, 50, 3_000)) == GuestLimits(memory=100, fuel=3_000, host_calls=7, value=9)
    assert limits_of(now, None) == now


@pytest.mark.guests
def test_every_part_of_a_log_that_may_have_been_left_by_a_crash_passes(make_kit: MakeKit) -> None:
    kit = make_kit("interpreter-python")
    kit.stub(FIBO, lambda n: {"ok": n}, takes=lambda n: timedelta(seconds=n))
    submit = {"op": "submit-json", "set": 0, "function": FIBO}
    program = [
        {"op": "join-set-create"},
        submit | {"params": [5]},
        submit | {"params": [2]},
        submit | {"params": [300]},
        {"op": "join-next-try", "set": 0},
        {"op": "submit-delay", "set": 0, "when": {"in": {"seconds": 3}}},
        {"op": "join-next", "set": 0},
        {"op": "random-string", "min": 1, "max": 9},
        {"op": "sleep", "when": {"in": {"minutes": 1}}},
        {"op": "approve-submit", "set": 0, "order": 1},
        {"op": "approve-stub", "execution": 4, "result": {"ok": True}},
        {"op": "fibo-schedule", "when": "now", "n": 3},
        {"op": "join-set-close", "set": 0},
        {"op": "join-set-create-named", "name": "last"},
        {"op": "submit-delay", "set": 1, "when": {"in": {"hours": 1}}},
    ]
    assert "ok" in kit.run("testing:interpreter/interpreter.run", [json.dumps(program)])
    log = kit.log
    kinds = [kit.replay(cut(log, version)).kind for version in range(2, len(log.entries) + 1)]
    assert kinds[-1] == "finished_equal"
    assert set(kinds[:-1]) == {"reaches_end", "would_finish"}
    for number, response in enumerate(log.responses, 1):
        if any(other.created_at == response.created_at for other in log.responses[number:]):
            continue  # with the next one, in one commit
        later = (entry.version for entry in log.entries if entry.created_at > response.created_at)
        assert kit.replay(cut(log, next(later, len(log.entries) - 1), number)).passed
