"""What a workflow is told that asks for what can't be: errors of the functions that have them, traps of the others."""

import json

import pytest

from obelisk_daemon.execution.outcome import Failed, Returned
from obelisk_daemon.ids import ExecutionId
from tests.integration.executor.engine import Lab
from tests.integration.executor.uses import FIBO, Use
from tests.integration.host_functions.conftest import Both
from tests.integration.host_functions.programs import APPROVE_NAME, CREATE, FIBO_NAME, RUN, SOON, Program, op, told

pytestmark = [pytest.mark.anyio, pytest.mark.guests]
INTERPRETERS = pytest.mark.parametrize("guest", ["interpreter-python", "interpreter-js"])
NAMELESS = {"interface_name": "testing:fibo", "function_name": "fibo"}
ERRORS: list[tuple[object, object, object]] = [
    (NAMELESS, [], {"ffqn_parsing_error": "'testing:fibo.fibo'"}),
    ({"interface_name": "", "function_name": ""}, [], {"ffqn_parsing_error": "'.'"}),
    ("no:such/thing.f", [], "function_not_found"),
    ("testing:fibo/fibo.fib", [10], "function_not_found"),
    (FIBO_NAME, [], {"type_check_error": "1 parameter"}),
    (FIBO_NAME, [300], {"type_check_error": "u8"}),
    (FIBO_NAME, ["10"], {"type_check_error": "u8"}),
    (FIBO_NAME, {"n": 10}, {"type_check_error": ""}),
    (FIBO_NAME, "[10", {"type_check_error": ""}),
    (FIBO_NAME, "[" * 3_000, {"type_check_error": ""}),
]
"""A function, params, and the error: the case, and a part of its text."""
OPERATIONS = ("submit-json", "call-json", "schedule-json")


def is_error(gave: object, wanted: object) -> bool:
    """Compare an error with its case, and a part of its text."""
    assert isinstance(gave, dict)
    assert list(gave) == ["err"]
    error = gave["err"]
    if isinstance(wanted, str) or isinstance(error, str):
        return bool(error == wanted)
    assert isinstance(wanted, dict)
    return list(error) == list(wanted) and all(wanted[case] in text for case, text in error.items())


@INTERPRETERS
async def test_a_call_by_json_that_can_not_be_made_is_an_error_and_stays_one_in_replay(both: Both, guest: str) -> None:
    names = OPERATIONS if guest == "interpreter-python" else OPERATIONS[:2]
    start = [CREATE, *([op("execution-id-generate")] if "schedule-json" in names else [])]
    asked = [
        op(name, function=function, params=params, set=0, execution=0, when="now")
        for name in names
        for function, params, _ in ERRORS
    ]
    run = await both(*start, *asked, op("sleep", when=SOON, hide=True), guest=guest)
    assert isinstance(run.gave, list)
    wanted = [of for _, _, of in ERRORS] * len(names)
    for one, error, gave in zip(asked, wanted, run.gave[len(start) : -1], strict=True):
        assert is_error(gave, error), (one, gave)
    recorded = [str(item["type"]) for item in run.history if isinstance(item, dict)]
    refused = len(ERRORS) * 2
    assert recorded.count("join_set_request") == refused + 1
    assert recorded.count("schedule") == (len(ERRORS) if "schedule-json" in names else 0)


async def told_in_two_daemons(lab: Lab, *program: Program, later: list[Use]) -> object:
    """Run a program that waits for a stub, and give the stub its result in a daemon with more functions."""
    wait = [CREATE, op("submit-json", set=0, function=APPROVE_NAME, params=[1]), op("join-next", set=0, hide=True)]
    async with lab.daemon(FIBO, Use("interpreter-python")) as daemon:
        execution = await daemon.submit(RUN, json.dumps([*wait[:2], *program, wait[2]]))
        await daemon.waiting(execution)
    async with lab.daemon(FIBO, Use("interpreter-python"), *later) as daemon:
        stub = ExecutionId(f"{execution}.g:1_1")
        now = daemon.services.clock.now()
        assert await daemon.store.finish_stub(stub, APPROVE_NAME, Returned({"ok": True}), now) == "ok"
        await daemon.until(
            lambda: daemon.row(execution), lambda row: row.status == "finished" or row.lifecycle == "paused"
        )
        row = await daemon.row(execution)
        assert row.lifecycle == "active", (await daemon.log(execution))[-1]
        return (await told(daemon, execution)).gave


@pytest.mark.parametrize("name", OPERATIONS)
async def test_a_function_that_came_later_was_not_there_for_a_workflow_that_had_asked(lab: Lab, name: str) -> None:
    call = op(name, function="testing:sleeper/sleeper.nap", params=[1], set=0, execution=1, when="now")
    gave = await told_in_two_daemons(lab, op("execution-id-generate", hide=True), call, later=[Use("sleeper")])
    assert isinstance(gave, list)
    assert gave[3] == {"err": "function_not_found"}


# names


@pytest.mark.parametrize("name", ["", "a b", "a.b", "ä", "a:1", "a/b", "x" * 65, "\n"])
@INTERPRETERS
async def test_a_name_that_is_none_is_an_error_that_says_so(both: Both, guest: str, name: str) -> None:
    run = await both(op("join-set-create-named", name=name), op("sleep", when=SOON, hide=True), guest=guest)
    assert isinstance(run.gave, list)
    reason = run.gave[0]["err"]["invalid_name"]
    assert "is no name: 1 to 64 ASCII letters" in reason
    assert repr(name)[1:5] in reason


async def test_the_longest_name_is_fine(both: Both) -> None:
    name = "x" * 64
    run = await both(
        op("join-set-create-named", name=name), op("join-set-id", set=0), op("sleep", when=SOON, name=name, hide=True)
    )
    assert run.gave == [{"ok": 0}, f"n:{name}", {"ok": None}]


# traps


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ([op("sleep", when=SOON, name="a b")], "'a b' is no name"),
        ([op("sleep", when=SOON, name="")], "'' is no name"),
        ([op("random-u64", min=5, max=5)], "random-u64: the range from 5 to 5 (exclusive) is empty"),
        ([op("random-u64", min=6, max=5)], "random-u64: the range from 6 to 5 (exclusive) is empty"),
        ([op("random-u64", min=0, max=0)], "random-u64: the range from 0 to 0 (exclusive) is empty"),
        ([op("random-u64-inclusive", min=6, max=5)], "the range from 6 to"),
        ([op("random-string", min=3, max=3)], "random-string: the range from 3 to 3 (exclusive) is empty"),
    ],
)
@INTERPRETERS
async def test_arguments_without_a_meaning_are_a_trap(
    both: Both, guest: str, program: list[Program], reason: str
) -> None:
    run = await both(op("sleep", when=SOON), *program, guest=guest)
    assert isinstance(run.gave, list)
    assert run.gave[0] == "trap"
    assert reason in run.gave[1]


@pytest.mark.parametrize(
    "use",
    [
        op("join-next", set=0),
        op("join-next-try", set=0),
        op("submit-delay", set=0, when=SOON),
        op("submit-json", set=0, function=FIBO_NAME, params=[1]),
        op("join-set-id", set=0),
        op("join-set-close", set=0),
        op("fibo-submit", set=0, n=1),
        op("fibo-await-next", set=0),
    ],
    ids=lambda asked: asked["op"],
)
async def test_a_join_set_that_was_closed_is_no_handle_any_more(lab: Lab, use: Program) -> None:
    async with lab.daemon(FIBO, Use("interpreter-python")) as daemon:
        program = [CREATE, op("join-set-close", set=0), {**use, "reuse": True}]
        outcome = await daemon.result(await daemon.submit(RUN, json.dumps(program)))
        assert isinstance(outcome, Failed)
        assert outcome.kind == "trap"


@pytest.mark.parametrize("execution", ["E_1.o:1_1", "nonsense", "", "E_00000000000000000000000001.g:1_1"])
async def test_an_id_that_can_not_be_chosen_is_a_trap(both: Both, execution: str) -> None:
    call = op("schedule-json", execution={"id": execution}, when="now", function=FIBO_NAME, params=[1])
    run = await both(op("sleep", when=SOON), call)
    assert isinstance(run.gave, list)
    assert run.gave[0] == "trap"
    assert "schedule-json: " in run.gave[1]
    assert "can't be submitted" in run.gave[1]


@pytest.mark.parametrize("execution", ["nonsense", "", "Delay_00000000000000000000000001.g:1_1"])
async def test_an_id_that_is_none_is_an_error_where_there_is_one(both: Both, execution: str) -> None:
    names = ("get-result-json", "get-execution-failure-kind", "stub-json")
    asked = [op(name, execution={"id": execution}, result={"ok": True}) for name in names]
    run = await both(*asked, op("sleep", when=SOON, hide=True))
    assert isinstance(run.gave, list)
    for gave in run.gave[:3]:
        assert is_error(gave, {"execution_id_parsing_error": "is not an execution id"})


@pytest.mark.parametrize(
    ("result", "reason"), [("{", ""), ({"ok": 5}, "bool"), ({"fine": True}, ""), ([True], ""), ("[" * 3_000, "")]
)
async def test_a_result_of_another_type_is_an_error_for_the_one_who_gives_it(
    both: Both, result: object, reason: str
) -> None:
    run = await both(
        CREATE,
        op("approve-submit", set=0, order=7),
        op("stub-json", execution=0, result=result),
        op("stub-json", execution=0, result={"ok": True}),
        op("join-next", set=0),
    )
    assert isinstance(run.gave, list)
    assert is_error(run.gave[2], {"type_check_error": reason})
    assert run.gave[3:] == [{"ok": None}, {"ok": {"ok": "true"}}]


# executions of nobody


async def test_an_id_that_another_call_has_is_a_trap_and_not_tried_for_ever(both: Both) -> None:
    call = {"execution": 0, "when": "now", "function": FIBO_NAME}
    run = await both(
        op("execution-id-generate"),
        op("schedule-json", **call, params=[1]),
        op("schedule-json", **call, params=[1]),
        op("sleep", when=SOON),
        op("schedule-json", **call, params=[1]),
        op("schedule-json", **call, params=[2]),
    )
    assert isinstance(run.gave, list)
    assert run.gave[0] == "trap"
    assert "another call" in run.gave[1]


async def test_its_own_id_is_another_call(both: Both) -> None:
    run = await both(op("schedule-json", execution="current", when="now", function=FIBO_NAME, params=[1]))
    assert isinstance(run.gave, list)
    assert run.gave[0] == "trap"
    assert "another call" in run.gave[1]
