"""Children that fail: what their parent sees of it, for each kind of failure and of error type."""

import json
import re

import pytest

from obelisk_daemon.execution.outcome import Failed, Returned
from obelisk_daemon.ids import ExecutionId
from tests.integration.executor.engine import Lab
from tests.integration.executor.uses import FIBO, FIBOA, Use
from tests.integration.host_functions.conftest import Both
from tests.integration.host_functions.guests import ERRORS
from tests.integration.host_functions.programs import CREATE, ENDING, NEVER, ONCE, RUN, SHORT, Program, ending, op, told

pytestmark = [pytest.mark.anyio, pytest.mark.guests]
KINDS = {
    # interface, spins, the kind in the API, its code, the kind in WIT
    "timed out": ("activity", True, "timed_out", 0, "timed_out"),
    "out of fuel": ("workflow", True, "out_of_fuel", 2, "out_of_fuel"),
    "cancelled": ("elsewhere", True, "cancelled", 3, "cancelled"),
    "trap of an activity": ("activity", False, "trap", 4, "uncategorized"),
    "trap of a workflow": ("workflow", False, "trap", 4, "uncategorized"),
}


def results_of(children: int) -> list[Program]:
    kinds = [op("get-execution-failure-kind", execution=number) for number in range(children)]
    return [*kinds, *[op("get-result-json", execution=number) for number in range(children)]]


def seen(error: str, kind: str, code: int, reason: str) -> object:
    """Give what a function's error type shows, as JSON."""
    text = f"execution_failed: {kind} (Err_): {reason}"
    return {
        "none": None,
        "text": text,
        "number": 2**32 - 1 - code,
        "choice": "execution_failed",
        "told": {"execution_failed": text},
        "detailed": {"execution_failed": {"kind": kind, "failure_id": "Err_", "reason": reason}},
    }[error]


@pytest.mark.parametrize("name", KINDS)
async def test_every_error_type_shows_every_kind_of_failure(both: Both, name: str) -> None:
    interface, spin, kind, code, in_wit = KINDS[name]
    submits = [op("submit-json", set=0, **ending(interface, error, spin=spin)) for error in ERRORS]
    takes = [op("join-next", set=0, hide=True)] * len(ERRORS)
    # one after the other, so that the order of the answers is no chance
    taken = [step for pair in zip(submits, takes, strict=True) for step in pair]
    closed = [*submits, op("join-set-close", set=0)]
    run = await both(CREATE, *(closed if kind == "cancelled" else taken), *results_of(len(ERRORS)), uses=ENDING)
    assert isinstance(run.gave, list)
    kinds, results = run.gave[-2 * len(ERRORS) : -len(ERRORS)], run.gave[-len(ERRORS) :]
    assert kinds == [{"ok": in_wit}] * len(ERRORS)
    reason = ""
    for error, result in zip(ERRORS, results, strict=True):
        text = result["ok"]["err"]
        shown = None if text is None else json.loads(re.sub(r"Err_\d+", "Err_", text))
        if error == "text":
            reason = shown.partition("): ")[2]
            assert reason
        assert shown == seen(error, kind, code, reason)


async def test_a_call_by_json_of_a_child_that_fails_gives_its_error(both: Both) -> None:
    run = await both(op("call-json", **ending("workflow", "number")), uses=ENDING)
    assert run.gave == [{"ok": {"err": str(2**32 - 1 - 4)}}]


async def test_a_failure_that_no_type_can_carry_is_an_error_without_a_text_that_has_a_kind(both: Both) -> None:
    run = await both(
        CREATE,
        op("submit-json", set=0, **ending("activity", "bare")),
        op("join-next", set=0),
        op("get-result-json", execution=0),
        op("get-execution-failure-kind", execution=0),
        uses=ENDING,
    )
    assert isinstance(run.gave, list)
    assert run.gave[2:] == [{"ok": {"err": None}}, {"ok": {"err": None}}, {"ok": "uncategorized"}]


async def test_an_error_that_a_child_returned_is_no_failure(both: Both) -> None:
    failing = json.dumps([op("fail", message="enough")])
    run = await both(
        CREATE,
        op("submit-json", set=0, function=RUN, params=[failing]),
        op("join-next", set=0),
        op("get-execution-failure-kind", execution=0),
    )
    assert isinstance(run.gave, list)
    assert run.gave[2:] == [{"ok": {"err": '"enough"'}}, {"ok": None}]


async def test_an_interpreter_without_fuel_fails_its_parent_does_not(lab: Lab) -> None:
    """The parent is in JavaScript, whose program is the same; only the child in Python has little fuel."""
    spinning = ending("workflow", "text", spin=True)
    async with lab.daemon(Use("interpreter-js"), *ENDING) as daemon:
        program = [CREATE, op("submit-json", set=0, **spinning), op("join-next", set=0)]
        run = await told(daemon, await daemon.submit(RUN, json.dumps(program)))
        assert isinstance(run.gave, list)
        assert run.gave[2]["ok"]["err"].startswith('"execution_failed: out_of_fuel (Err_')


async def test_a_child_that_diverges_tells_its_parent(lab: Lab) -> None:
    """The child waits for an activity that only another executor runs, until other code replays it."""
    elsewhere = Use("fibo-activity", labels=frozenset({"elsewhere"}))
    parent = Use("interpreter-python")
    call = {"function": "testing:fibo/workflow.fiboa", "params": [10, 3]}
    program = [CREATE, op("submit-json", set=0, **call), op("join-next", set=0), *results_of(1)]
    async with lab.daemon(elsewhere, FIBOA, parent, crash=True) as daemon:
        execution = await daemon.submit(RUN, json.dumps(program))
        child = ExecutionId(f"{execution}.g:1_1")
        await daemon.until(lambda: daemon.store.find_function(child), lambda ffqn: ffqn is not None)
        await daemon.waiting(child)
    async with lab.daemon(FIBO, Use("fiboa-reordered", on_nondeterminism="fail"), parent) as daemon:
        run = await told(daemon, execution)
        assert isinstance(run.gave, list)
        assert run.gave[3] == {"ok": "nondeterminism_detected"}
        shown = json.loads(run.gave[4]["ok"]["err"])
        assert shown.startswith("execution_failed: nondeterminism (Err_")
        assert "at version 3: expected a call of testing:fibo/fibo.fibo" in shown


@pytest.mark.parametrize("on_block", ["hot", "unload"])
async def test_a_child_that_is_cancelled_from_outside_tells_its_parent(lab: Lab, on_block: str) -> None:
    sleeping = json.dumps([op("sleep", when=NEVER)])
    program = [
        CREATE,
        op("submit-json", set=0, function=RUN, params=[sleeping]),
        op("join-next", set=0),
        *results_of(1),
    ]
    async with lab.daemon(FIBO, Use("interpreter-python", on_block=on_block)) as daemon:
        execution = await daemon.submit(RUN, json.dumps(program))
        child = ExecutionId(f"{execution}.g:1_1")
        await daemon.until(lambda: daemon.store.find_function(child), lambda ffqn: ffqn is not None)
        await daemon.waiting(child)
        await daemon.cancel(child)
        run = await told(daemon, execution)
        assert isinstance(run.gave, list)
        assert run.gave[3] == {"ok": "cancelled"}
        assert json.loads(run.gave[4]["ok"]["err"]).startswith("execution_failed: cancelled (Err_")


# in the types of the guest's own bindings


@pytest.mark.parametrize("on_block", ["hot", "unload"])
@pytest.mark.parametrize(
    ("function", "begins"),
    [
        ("call-trap", "execution_failed: trap (Err_"),
        ("call-spin", "execution_failed: timed_out (Err_"),
        ("call-trap-variant", "execution-failed: execution_failed: trap (Err_"),
        ("call-permanent", "permanent-thing"),
    ],
)
async def test_a_direct_call_shows_the_failure_in_its_type(lab: Lab, on_block: str, function: str, begins: str) -> None:
    uses = Use("faults", timeout=SHORT, retry=ONCE), Use("faulty-caller", on_block=on_block)
    async with lab.daemon(*uses) as daemon:
        outcome = await daemon.call(f"testing:faulty-caller/caller.{function}")
        assert isinstance(outcome, Returned)
        assert str(outcome.value["ok"]).startswith(begins)


@pytest.mark.parametrize("on_block", ["hot", "unload"])
async def test_a_direct_call_whose_type_has_no_place_for_it_fails_the_caller_with_the_cause(
    lab: Lab, on_block: str
) -> None:
    uses = Use("faults", timeout=SHORT, retry=ONCE), Use("faulty-caller", on_block=on_block)
    async with lab.daemon(*uses) as daemon:
        execution = await daemon.submit("testing:faulty-caller/caller.call-trap-no-result")
        outcome = await daemon.result(execution)
        assert isinstance(outcome, Failed)
        assert outcome.kind == "child_failed"
        below = (await daemon.row(ExecutionId(f"{execution}.o:1_1"))).outcome
        assert isinstance(below, Failed)
        assert (await daemon.store.reads.failure(outcome.failure_id)).cause == below.failure_id
        await daemon.check(execution)
