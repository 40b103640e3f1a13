"""Two more guests of the workflow interfaces: one with backtraces, one with many children."""

import json

import pytest

from obelisk_daemon.execution.wit_extensions import extension_type, find_extension
from obelisk_daemon.wasm.guest import Returned

INTERPRETER = "testing:interpreter/interpreter.run"

pytestmark = [pytest.mark.anyio, pytest.mark.guests]


@pytest.fixture
async def backtraces(load):
    return await load("backtraces-python", "testing:backtraces/backtraces.run")


@pytest.fixture
async def fanout(load):
    return await load("fanout", "testing:fanout/fanout.run")


@pytest.mark.parametrize("frames", [True, False])
async def test_every_function_with_a_backtrace_is_called(backtraces, frames):
    outcome = await backtraces.call(frames)
    assert json.loads(outcome.value["ok"]) == [5, 7, 8, "ok 55", "ok None", "ok true", "ok 144"]
    # The bindings import all of an interface of which they need a type, so more is imported than called.
    support = "obelisk:workflow/workflow-support-backtrace."
    called = set(backtraces.host.called)
    assert called == {name for name in backtraces.imports if name.startswith(support)}
    assert len(called) == 15


async def test_a_backtrace_names_the_place_in_the_source(backtraces):
    await backtraces.call(True)
    backtrace = backtraces.host.arguments["obelisk:workflow/workflow-support-backtrace.sleep"][-1]
    innermost, outer = backtrace["frames"]
    assert innermost["module"] == "app"
    assert (innermost["func_name"], outer["func_name"]) == ("others", "run")
    (symbol,) = innermost["symbols"]
    assert symbol["file"].endswith("app.py")
    assert symbol["line"] > 1
    await backtraces.call(False)
    assert backtraces.host.arguments["obelisk:workflow/workflow-support-backtrace.sleep"][-1] is None


@pytest.mark.parametrize("children", [0, 1, 10_000])
async def test_the_results_of_all_children_are_summed(fanout, children):
    assert await fanout.call(children, 10) == Returned({"ok": children * 55})
    (join_set,) = fanout.host.join_sets
    assert len(join_set.taken) == children
    assert join_set.given_up


async def test_the_error_of_a_child_is_the_result(fanout):
    assert await fanout.call(2, 94) == Returned({"err": "too large"})
    assert [each.given_up for each in fanout.host.join_sets] == [False]


@pytest.mark.parametrize("name", ["interpreter-python", "fanout"])
async def test_our_wit_of_the_generated_interfaces_is_what_the_host_generates(load, name):
    bases = {wanted.interface: wanted for wanted in (await load("interpreter-python", INTERPRETER)).component.imports}
    guest = await load(name, INTERPRETER if name == "interpreter-python" else "testing:fanout/fanout.run")
    generated = 0
    for wanted in guest.component.imports:
        extension = find_extension(wanted.interface, wanted.function)
        if extension is not None:
            generated += 1
            assert wanted.type == extension_type(extension.kind, bases[extension.target.interface].type)
    assert generated == {"interpreter-python": 8, "fanout": 2}[name]
