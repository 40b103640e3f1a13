"""The interpreting guests do what their README says, on a host that is a fake."""

import json

import pytest

from obelisk_daemon.wasm.guest import Returned, Trapped
from tests.integration.interpreter.programs import CREATE, PYTHON, SHARED, SOON, op, submit

pytestmark = [pytest.mark.anyio, pytest.mark.guests]


def ids(cases):
    return [case[0] for case in cases]


@pytest.mark.parametrize(("_name", "steps"), SHARED, ids=ids(SHARED))
async def test_both_interpreters_give_the_same(interpreter, _name, steps):
    assert await interpreter.gives(*(asked for asked, _ in steps)) == [gave for _, gave in steps]


@pytest.mark.parametrize(("_name", "steps"), PYTHON, ids=ids(PYTHON))
async def test_the_python_interpreter_has_the_typed_functions_too(python, _name, steps):
    assert await python.gives(*(asked for asked, _ in steps)) == [gave for _, gave in steps]


async def test_the_programs_here_call_every_function_of_the_host(python):
    called = set()
    for _, steps in [*SHARED, *PYTHON]:
        await python.gives(*(asked for asked, _ in steps))
        called.update(python.host.called)
    assert called == python.imports


async def test_the_result_is_the_same_text_in_both(load):
    program = json.dumps([asked for _, steps in SHARED for asked, _ in steps])
    texts = [
        (await (await load(name, "testing:interpreter/interpreter.run")).call(program)).value["ok"]
        for name in ("interpreter-python", "interpreter-js")
    ]
    assert texts[0] == texts[1]


async def test_params_and_times_reach_the_host_as_they_were_written(interpreter):
    when = {"at": {"seconds": 9_007_199_254_740_993, "nanoseconds": 7}}
    await interpreter.gives(
        CREATE, op("submit-delay", set=0, when=when), submit(18446744073709551615), op("sleep", when=SOON, name="nap")
    )
    support = "obelisk:workflow/workflow-support"
    assert interpreter.host.arguments[f"{support}.submit-delay"][1] == when
    assert interpreter.host.arguments[f"{support}.submit-json"][2] == "[18446744073709551615]"
    assert interpreter.host.arguments[f"{support}.sleep"] == (SOON, "nap")


@pytest.mark.parametrize("end", [[], [op("fail", message="enough")], [op("trap")]])
async def test_what_a_program_leaves_open_is_open_at_its_end(interpreter, end):
    await interpreter.call(json.dumps([CREATE, *end]))
    assert [each.given_up for each in interpreter.host.join_sets] == [False]


async def test_a_drop_gives_the_join_set_up_at_once(python):
    await python.gives(CREATE, CREATE, op("join-set-drop", set=1))
    assert [each.given_up for each in python.host.join_sets] == [False, True]


async def test_a_program_can_fail_and_trap(interpreter):
    assert await interpreter.call(json.dumps([op("fail", message="enough")])) == Returned({"err": "enough"})
    assert isinstance(await interpreter.call(json.dumps([op("trap")])), Trapped)
    assert isinstance(
        await interpreter.call(json.dumps([CREATE, op("join-set-close", set=0), op("join-next", set=0, reuse=True)])),
        Trapped,
    )


@pytest.mark.parametrize("program", ["[", '[{"op": "dance"}]'])
async def test_a_program_that_is_none_fails(interpreter, program):
    outcome = await interpreter.call(program)
    assert outcome.value.keys() == {"err"}


async def test_what_the_language_calls_random_comes_from_the_host(interpreter):
    program = [op("wasi-random", bytes=8), op("language-random")]
    first, again, other = [await interpreter.gives(*program, seed=seed) for seed in (1, 1, 2)]
    assert first == again
    assert first[0] != other[0]
    assert first[1] != other[1]
