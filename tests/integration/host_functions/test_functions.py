"""What each function of the host gives, on the real engine: to a workflow in memory and to one that is replayed."""

import json

import pytest

from obelisk_daemon.execution.outcome import Returned
from obelisk_daemon.ids import ExecutionId
from tests.integration.executor.engine import Lab
from tests.integration.executor.uses import FIBO, Use
from tests.integration.host_functions.conftest import Both, Recording
from tests.integration.host_functions.programs import (
    APPROVE_NAME,
    CREATE,
    FIBO_NAME,
    NEVER,
    RUN,
    SOON,
    Program,
    op,
    submit,
)

pytestmark = [pytest.mark.anyio, pytest.mark.guests]
Steps = list[tuple[Program, object]]
TOO_LARGE = "fibo(94) and above do not fit in a u64"
TOO_LARGE_JSON = f'"{TOO_LARGE}"'


def named(name: str) -> Program:
    return op("join-set-create-named", name=name)


def fibo_json(n: object) -> dict[str, object]:
    return {"function": FIBO_NAME, "params": [n]}


ONE = {"id": "E_.g:1_1"}
TWO = {"id": "E_.g:1_2"}
ALL_PROCESSED = {"err": "all_processed"}
UNKNOWN = {"err": "not_found_in_processed_responses"}
TOP = 2**64 - 1

# For both interpreters: a name, the program, what it gives.
SHARED: list[tuple[str, Steps]] = [
    (
        "join sets are named by their kind and number",
        [
            (CREATE, 0),
            (named("a-b_9"), {"ok": 1}),
            (op("sleep", when="now", hide=True), {"ok": None}),
            (CREATE, 2),
            (op("join-set-id", set=0), "g:1"),
            (op("join-set-id", set=1), "n:a-b_9"),
            (op("join-set-id", set=2), "g:2"),
        ],
    ),
    (
        "a name is used once, also after its join set was closed",
        [
            (named("a"), {"ok": 0}),
            (named("a"), {"err": "conflict"}),
            (op("join-set-close", set=0), None),
            (named("a"), {"err": "conflict"}),
            (named("A"), {"ok": 3}),
            (op("sleep", when=SOON, hide=True), {"ok": None}),
        ],
    ),
    (
        "children answer with their result as JSON",
        [
            (CREATE, 0),
            (submit(FIBO_NAME, 10), {"ok": ONE}),
            (op("join-next", set=0), {"ok": {"ok": "55"}}),
            (op("join-next", set=0), ALL_PROCESSED),
            (submit(FIBO_NAME, 94), {"ok": TWO}),
            (op("join-next", set=0), {"ok": {"err": TOO_LARGE_JSON}}),
            (op("join-next-try", set=0), ALL_PROCESSED),
            (op("get-result-json", execution=0), {"ok": {"ok": "55"}}),
            (op("get-result-json", execution=1), {"ok": {"err": TOO_LARGE_JSON}}),
            (op("join-set-close", set=0), None),
        ],
    ),
    (
        "a result is known once its response was taken",
        [
            (CREATE, 0),
            (submit(FIBO_NAME, 10), {"ok": ONE}),
            (op("get-result-json", execution=0), UNKNOWN),
            (op("get-result-json", execution={"id": "E_00000000000000000000000009"}), UNKNOWN),
            (op("join-next", set=0), {"ok": {"ok": "55"}}),
            (op("get-result-json", execution=0), {"ok": {"ok": "55"}}),
        ],
    ),
    (
        "delays are members of join sets, and of names",
        [
            (named("timers"), {"ok": 0}),
            (op("submit-delay", set=0, when="now"), {"id": "Delay_.n:timers_1"}),
            (op("join-next", set=0), {"ok": {"ok": None}}),
            (op("submit-delay", set=0, when={"at": {"seconds": 1, "nanoseconds": 0}}), {"id": "Delay_.n:timers_2"}),
            (op("join-next", set=0), {"ok": {"ok": None}}),
            (op("submit-delay", set=0, when=NEVER), {"id": "Delay_.n:timers_3"}),
            (op("join-next-try", set=0), {"err": "pending"}),
            (op("join-set-close", set=0), None),
        ],
    ),
    (
        "a call by JSON waits for its result",
        [
            (op("call-json", **fibo_json(10)), {"ok": {"ok": "55"}}),
            (op("call-json", **fibo_json(94)), {"ok": {"err": TOO_LARGE_JSON}}),
        ],
    ),
    (
        "a sleep until a time that has passed gives that time",
        [
            (
                op("sleep", when={"at": {"seconds": 7, "nanoseconds": 5_000}}),
                {"ok": {"seconds": 7, "nanoseconds": 5000}},
            ),
            (op("sleep", when=SOON, name="nap", hide=True), {"ok": None}),
        ],
    ),
    (
        "a range of one has one value",
        [
            (op("random-u64", min=0, max=1), 0),
            (op("random-u64", min=TOP - 1, max=TOP), TOP - 1),
            (op("random-u64-inclusive", min=TOP, max=TOP), TOP),
            (op("random-u64-inclusive", min=0, max=0), 0),
            (op("random-string", min=0, max=1), ""),
            (op("sleep", when=SOON, hide=True), {"ok": None}),
        ],
    ),
    (
        "the current execution is named",
        [(op("execution-id-current"), {"id": "E_"}), (op("sleep", when=SOON, hide=True), {"ok": None})],
    ),
    (
        "lines of every level are logged",
        [(op("log", level=level, message=level), None) for level in ("trace", "debug", "info", "warn", "error")],
    ),
]

MISMATCH_OF_DELAY = {
    "specified_function": {"interface_name": "testing:fibo/fibo", "function_name": "fibo"},
    "actual_function": None,
    "actual_id": {"delay_id": {"id": "Delay_.g:1_1"}},
}
MISMATCH_OF_CHILD = {
    "specified_function": {"interface_name": "testing:approval/approval", "function_name": "approve"},
    "actual_function": {"interface_name": "testing:fibo/fibo", "function_name": "fibo"},
    "actual_id": {"execution_id": TWO},
}

# For the Python interpreter alone.
PYTHON: list[tuple[str, Steps]] = [
    (
        "typed children",
        [
            (CREATE, 0),
            (op("fibo-submit", set=0, n=10), ONE),
            (op("join-set-last-id", set=0), None),
            (op("fibo-get", execution=0), UNKNOWN),
            (op("fibo-await-next", set=0), {"ok": {"ok": 55}}),
            (op("join-set-last-id", set=0), {"execution_id": ONE}),
            (op("fibo-get", execution={"last-of": 0}), {"ok": {"ok": 55}}),
            (op("fibo-submit", set=0, n=94), TWO),
            (op("fibo-await-next", set=0), {"ok": {"err": TOO_LARGE}}),
            (op("fibo-get", execution=1), {"ok": {"err": TOO_LARGE}}),
            (op("fibo-await-next", set=0), ALL_PROCESSED),
            (op("get-execution-failure-kind", execution=0), {"ok": None}),
            (op("get-execution-failure-kind", execution=1), {"ok": None}),
        ],
    ),
    (
        "a response of another function is a mismatch, and is taken",
        [
            (CREATE, 0),
            (op("submit-delay", set=0, when="now"), {"id": "Delay_.g:1_1"}),
            (op("fibo-await-next", set=0), {"err": {"function_mismatch": MISMATCH_OF_DELAY}}),
            (op("join-set-last-id", set=0), {"delay_id": {"id": "Delay_.g:1_1"}}),
            (op("fibo-submit", set=0, n=10), TWO),
            (op("approve-await-next", set=0), {"err": {"function_mismatch": MISMATCH_OF_CHILD}}),
            (op("approve-get", execution=0), {"err": {"function_mismatch": MISMATCH_OF_CHILD}}),
            (op("fibo-get", execution=0), {"ok": {"ok": 55}}),
            (op("approve-await-next", set=0), ALL_PROCESSED),
        ],
    ),
    (
        "stubs",
        [
            (CREATE, 0),
            (op("approve-submit", set=0, order=7), ONE),
            (op("join-next-try", set=0), {"err": "pending"}),
            (op("approve-stub", execution=0, result={"ok": True}), {"ok": None}),
            (op("approve-stub", execution=0, result={"ok": True}), {"ok": None}),
            (op("approve-stub", execution=0, result={"err": "no"}), {"err": "conflict"}),
            (op("approve-await-next", set=0), {"ok": {"ok": True}}),
            (op("approve-get", execution=0), {"ok": {"ok": True}}),
            (op("approve-submit", set=0, order=8), TWO),
            (op("stub-json", execution=1, result={"err": "no"}), {"ok": None}),
            (op("stub-json", execution=1, result={"ok": True}), {"err": "conflict"}),
            (op("join-next-try", set=0), {"ok": {"err": '"no"'}}),
            (op("stub-json", execution="current", result={"ok": True}), {"err": "execution_not_found"}),
            (op("approve-stub", execution="current", result={"ok": True}), {"err": "execution_not_found"}),
        ],
    ),
    (
        "a stub's result for what is no stub's execution finds nothing",
        [
            (CREATE, 0),
            (submit(FIBO_NAME, 10), {"ok": ONE}),
            (op("approve-stub", execution=0, result={"ok": True}), {"err": "execution_not_found"}),
            (op("stub-json", execution=0, result={"ok": True}), {"err": "execution_not_found"}),
            (op("join-next", set=0), {"ok": {"ok": "55"}}),
        ],
    ),
    (
        "the last one-off is a call or a sleep, the last direct call only a call",
        [
            (op("last-direct-call-id"), None),
            (op("last-oneoff-id"), None),
            (op("fibo", n=10), {"ok": 55}),
            (op("last-direct-call-id"), {"id": "E_.o:1_1"}),
            (op("last-oneoff-id"), {"execution_id": {"id": "E_.o:1_1"}}),
            (op("get-result-json", execution="last-direct-call"), {"ok": {"ok": "55"}}),
            (op("sleep", when=SOON, name="nap", hide=True), {"ok": None}),
            (op("last-direct-call-id"), {"id": "E_.o:1_1"}),
            (op("last-oneoff-id"), {"delay_id": {"id": "Delay_.o:2-nap_1"}}),
            (op("fibo", n=94), {"err": TOO_LARGE}),
            (op("last-direct-call-id"), {"id": "E_.o:3_1"}),
            (op("call-json", **fibo_json(9)), {"ok": {"ok": "34"}}),
            (op("last-oneoff-id"), {"execution_id": {"id": "E_.o:4_1"}}),
        ],
    ),
    (
        "executions of nobody",
        [
            (op("execution-id-generate"), {"id": "E_2"}),
            (op("schedule-json", execution=0, when="now", **fibo_json(10)), {"ok": None}),
            (op("fibo-schedule", when=SOON, n=9), {"id": "E_3"}),
            (op("sleep", when=SOON, hide=True), {"ok": None}),
        ],
    ),
    (
        "a stub of nobody takes its result",
        [
            (op("execution-id-generate"), {"id": "E_2"}),
            (op("schedule-json", execution=0, when="now", function=APPROVE_NAME, params=[7]), {"ok": None}),
            (op("approve-stub", execution=0, result={"ok": True}), {"ok": None}),
            (op("stub-json", execution=0, result={"ok": False}), {"err": "conflict"}),
            (op("get-result-json", execution=0), UNKNOWN),
            (op("sleep", when=SOON, hide=True), {"ok": None}),
        ],
    ),
    (
        "a dropped join set is closed",
        [
            (CREATE, 0),
            (op("approve-submit", set=0, order=7), ONE),
            (op("join-set-drop", set=0), None),
            (op("get-execution-failure-kind", execution=0), {"ok": "cancelled"}),
        ],
    ),
]


def ids(cases: list[tuple[str, Steps]]) -> list[str]:
    return [name for name, _ in cases]


async def gives(both: Both, steps: Steps, guest: str = "interpreter-python") -> None:
    assert (await both(*(asked for asked, _ in steps), guest=guest)).gave == [gave for _, gave in steps]


@pytest.mark.parametrize("guest", ["interpreter-python", "interpreter-js"])
@pytest.mark.parametrize(("_name", "steps"), SHARED, ids=ids(SHARED))
async def test_the_host_gives_the_same_to_both_languages(both: Both, guest: str, _name: str, steps: Steps) -> None:
    await gives(both, steps, guest)


@pytest.mark.parametrize(("_name", "steps"), PYTHON, ids=ids(PYTHON))
async def test_the_host_gives(both: Both, _name: str, steps: Steps) -> None:
    await gives(both, steps)


async def test_a_direct_call_of_a_stub_gives_what_a_person_answers(lab: Lab) -> None:
    async with lab.daemon(FIBO, Use("interpreter-python")) as daemon:
        execution = await daemon.submit(RUN, json.dumps([op("approve", order=7)]))
        await daemon.waiting(execution)
        stub = ExecutionId(f"{execution}.o:1_1")
        given = {"ok": True}
        now = daemon.services.clock.now()
        assert await daemon.store.finish_stub(stub, APPROVE_NAME, Returned(given), now) == "ok"
        assert await daemon.result(execution) == Returned({"ok": '[{"ok":true}]'})


async def test_the_programs_here_call_every_function_of_the_host(lab: Lab, linked: Recording) -> None:
    linked.called.clear()
    async with lab.daemon(FIBO, Use("interpreter-python")) as daemon:
        for number, (_, steps) in enumerate([*SHARED, *PYTHON], 1):
            await daemon.call(RUN, json.dumps([asked for asked, _ in steps]), number=number)
        await daemon.submit(RUN, json.dumps([op("approve", order=7)]), number=90)
        await daemon.until(lambda: linked.called, lambda called: "testing:approval/approval.approve" in called)
    imports = {
        f"{wanted.interface}.{wanted.function}"
        for wanted in linked["interpreter-python"].component.imports
        if not wanted.interface.startswith("wasi:")
    }
    assert linked.called == imports
    assert len(imports) > 30


@pytest.mark.parametrize("frames", [True, False])
@pytest.mark.parametrize("on_block", ["hot", "unload"])
async def test_the_functions_with_a_backtrace_give_the_same(
    lab: Lab, linked: Recording, frames: bool, on_block: str
) -> None:
    linked.called.clear()
    async with lab.daemon(FIBO, Use("backtraces-python", on_block=on_block)) as daemon:
        execution = await daemon.submit("testing:backtraces/backtraces.run", frames)
        outcome = await daemon.result(execution)
        assert json.loads(str(outcome.value["ok"])) == [5, 7, 8, "ok 55", "ok None", "ok true", "ok 144"]
        await daemon.check(execution)
    wanted = {f"{i.interface}.{i.function}" for i in linked["backtraces-python"].component.imports}
    support = "obelisk:workflow/workflow-support-backtrace@6.0.0"
    assert linked.called == {name for name in wanted if name.startswith(support)}
    assert len(linked.called) == 15
