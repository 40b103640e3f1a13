"""What `run` gives or raises, for every way in which a guest can end."""

import asyncio
from typing import Any

import pytest

from obelisk_daemon.errors import CallerError, OperatorError
from obelisk_daemon.ffqn import Ffqn
from obelisk_daemon.wasm.callbacks import GUESTS
from obelisk_daemon.wasm.engine import Engines
from obelisk_daemon.wasm.guest import Guest, GuestLimits, GuestStopped, Returned, TrapKind, Trapped
from obelisk_daemon.wasm.linker import LinkedComponent
from obelisk_daemon.wasm.recipe import EngineKind, EngineSettings
from tests.integration.wasm.loading import FIBO, FIBOA, RUN, THINGS, calling, computing, from_wat, load

pytestmark = pytest.mark.anyio

LIMITS = GuestLimits()
PAGE = 1 << 16


async def outcome_of(
    engines: Engines, text: str, limits: GuestLimits = LIMITS, kind: EngineKind = "activity"
) -> Returned | Trapped:
    linked = LinkedComponent(from_wat(engines, text, kind), lambda *_: None)
    return await linked.run(RUN, [], None, limits)


async def test_a_function_returns_its_value(engines: Engines) -> None:
    linked = LinkedComponent(load(engines, "fibo-activity"), lambda *_: None)
    assert await linked.run(FIBO, [10], None, LIMITS) == Returned({"ok": 55})


async def test_a_function_without_result_returns_none(engines: Engines) -> None:
    linked = LinkedComponent(load(engines, "misc"), lambda *_: lambda _guest: None)
    assert await linked.run(Ffqn("test:misc/run", "noarg"), [], None, LIMITS) == Returned(None)


@pytest.mark.parametrize(
    ("body", "parts", "limits", "kind", "message"),
    [
        ("unreachable", "", LIMITS, "trap", "wasm `unreachable` instruction executed"),
        ("(i32.div_u (i32.const 1) (i32.const 0))", "", LIMITS, "trap", "integer divide by zero"),
        ("call $run i32.const 1 i32.add", "", LIMITS, "stack", "call stack exhausted"),
        (
            "i32.const 0", "(memory 100)", GuestLimits(memory=PAGE),
            "memory", "memory minimum size of 100 pages exceeds memory limits",
        ),
    ],
)  # fmt: skip
async def test_a_trap_says_its_kind_and_cause(
    engines: Engines, body: str, parts: str, limits: GuestLimits, kind: TrapKind, message: str
) -> None:
    outcome = await outcome_of(engines, computing(body, parts), limits)
    assert isinstance(outcome, Trapped)
    assert (outcome.kind, outcome.message) == (kind, message)


async def test_a_trap_has_the_wasm_backtrace(engines: Engines) -> None:
    outcome = await outcome_of(engines, computing("unreachable"))
    assert isinstance(outcome, Trapped)
    assert len(outcome.backtrace) == 1
    assert "m!run" in outcome.backtrace[0]


async def test_a_function_name_that_pretends_to_be_another_trap_fools_nobody(engines: Engines) -> None:
    name = "x\\n\\nCaused by:\\n    all fuel consumed, os error 12"
    text = computing("call $evil", f'(func $evil (@name "{name}") (result i32) unreachable)')
    outcome = await outcome_of(engines, text)
    assert isinstance(outcome, Trapped)
    assert (outcome.kind, outcome.message) == ("trap", "wasm `unreachable` instruction executed")


async def test_growing_over_the_memory_limit_fails_inside_the_guest(engines: Engines) -> None:
    text = computing("(memory.grow (i32.const 100))")
    assert await outcome_of(engines, text, GuestLimits(memory=50 * PAGE)) == Returned(2**32 - 1)
    assert await outcome_of(engines, text, GuestLimits(memory=101 * PAGE)) == Returned(1)


@pytest.mark.parametrize("kind", ["activity", "workflow"])
async def test_a_memory_may_grow_to_its_whole_limit(engines: Engines, kind: EngineKind) -> None:
    text = computing("(drop (memory.grow (i32.const 4095))) (memory.size)")
    assert await outcome_of(engines, text, GuestLimits(memory=4096 * PAGE), kind) == Returned(4096)


async def test_fuel_ends_a_workflow(engines: Engines) -> None:
    outcome = await outcome_of(engines, computing("(loop $l (br $l)) i32.const 0"), GuestLimits(fuel=1000), "workflow")
    assert isinstance(outcome, Trapped)
    assert outcome.kind == "out_of_fuel"


async def test_fuel_for_an_activity_is_a_mistake_of_ours(engines: Engines) -> None:
    with pytest.raises(ValueError, match="workflows only"):
        await outcome_of(engines, computing("i32.const 0"), GuestLimits(fuel=1000))


async def test_a_memory_limit_over_the_reservation_is_refused() -> None:
    engines = Engines(EngineSettings(memory_reservation=64 * PAGE))
    with pytest.raises(OperatorError) as caught:
        await outcome_of(engines, computing("i32.const 0"), GuestLimits(memory=65 * PAGE), "workflow")
    assert caught.value.code == "limit_too_large"
    engines.close()


async def test_a_host_call_too_many_ends_the_guest(engines: Engines) -> None:
    linked = LinkedComponent(load(engines, "fibo-workflow"), lambda *_: lambda _g, _n: {"ok": 1})
    limits = GuestLimits(host_calls=10)
    assert await linked.run(FIBOA, [1, 10], None, limits) == Returned({"ok": 1})
    outcome = await linked.run(FIBOA, [1, 11], None, limits)
    assert isinstance(outcome, Trapped)
    assert outcome.kind == "host_calls"
    assert outcome.backtrace


@pytest.mark.parametrize(
    ("function", "small", "large"),
    [
        ("f-string", "x" * 100, "x" * 101),
        ("f-bytes", b"x" * 100, b"x" * 101),
        ("f-list-u32", [1] * 12, [1] * 13),
        ("f-list-str", ["xx"] * 10, ["xxx"] * 10),
        ("f-points", [{"x": 1, "y": 1.0, "name": "x"}] * 4, [{"x": 1, "y": 1.0, "name": "xx"}] * 4),
    ],
)
async def test_a_value_over_its_limit_ends_the_guest(engines: Engines, function: str, small: Any, large: Any) -> None:
    linked = LinkedComponent(load(engines, "echo"), lambda *_: lambda _g, v: v)
    limits = GuestLimits(value=100)
    assert await linked.run(Ffqn("test:echo/api", function), [small], None, limits) == Returned(small)
    outcome = await linked.run(Ffqn("test:echo/api", function), [large], None, limits)
    assert isinstance(outcome, Trapped)
    assert outcome.kind == "value_size"


async def test_a_result_over_the_limit_ends_the_guest(engines: Engines) -> None:
    linked = LinkedComponent(load(engines, "echo"), lambda *_: lambda _g, _v: "x" * 101)
    outcome = await linked.run(Ffqn("test:echo/api", "f-string"), ["x"], None, GuestLimits(value=100))
    assert isinstance(outcome, Trapped)
    assert outcome.kind == "value_size"


async def test_the_host_can_end_a_guest_as_its_exit_does(engines: Engines) -> None:
    def leave(_guest: Guest, _n: int) -> object:
        raise GuestStopped("exit", "exit with status 3")

    async def leave_later(guest: Guest, n: int) -> object:
        return leave(guest, n)

    for function in (leave, leave_later):
        linked = LinkedComponent(load(engines, "fibo-workflow"), lambda *_, f=function: f)
        outcome = await linked.run(FIBOA, [1, 1], None, LIMITS)
        assert isinstance(outcome, Trapped)
        assert (outcome.kind, outcome.message) == ("exit", "exit with status 3")


@pytest.mark.parametrize("function", ["noarg", "flag", "slow"])
@pytest.mark.parametrize("late", [False, True])
async def test_what_the_host_raises_comes_out_as_it_is(engines: Engines, function: str, late: bool) -> None:
    error = RuntimeError("ours")

    def fail(_guest: Guest, *_arguments: object) -> object:
        raise error

    async def fail_later(_guest: Guest, *_arguments: object) -> object:
        await asyncio.sleep(0)
        raise error

    arguments = {"noarg": [], "flag": [True], "slow": [1]}[function]
    linked = LinkedComponent(load(engines, "misc"), lambda *_: fail_later if late else fail)
    with pytest.raises(RuntimeError) as caught:
        await linked.run(Ffqn("test:misc/run", function), arguments, None, LIMITS)
    assert caught.value is error


async def test_cancelling_a_run_cancels_the_host_function_it_waits_for(engines: Engines) -> None:
    seen: list[str] = []
    waiting = asyncio.Event()

    async def wait(_guest: Guest, _milliseconds: int) -> str:
        waiting.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise
        finally:
            await asyncio.sleep(0)
            seen.append("cleaned up")
        return ""

    linked = LinkedComponent(load(engines, "misc"), lambda *_: wait)
    task = asyncio.create_task(linked.run(Ffqn("test:misc/run", "slow"), [1], None, LIMITS))
    await waiting.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert seen == ["cancelled", "cleaned up"]
    assert not GUESTS


async def test_a_host_function_runs_in_the_task_of_its_run_and_sees_its_context(engines: Engines) -> None:
    seen: list[Any] = []

    async def look(guest: Guest, n: int) -> int:
        seen.append((asyncio.current_task(), guest.context))
        return n + 1

    linked = LinkedComponent(from_wat(engines, calling("(call $ask (i32.const 7))")), lambda *_: look)
    context = object()
    task = asyncio.create_task(linked.run(RUN, [], context, LIMITS))
    assert await task == Returned(8)
    assert seen == [(task, context)]


async def test_an_unknown_function_or_a_wrong_number_of_parameters_is_the_callers_error(engines: Engines) -> None:
    linked = LinkedComponent(load(engines, "fibo-activity"), lambda *_: None)
    with pytest.raises(CallerError, match=r"doesn't export testing:fibo/fibo\.nope"):
        await linked.run(Ffqn("testing:fibo/fibo", "nope"), [], None, LIMITS)
    with pytest.raises(CallerError, match="expected 1 parameters, got list"):
        await linked.run(FIBO, [1, 2], None, LIMITS)


class Thing:
    def __init__(self, name: int, dropped: list[int]) -> None:
        self.name = name
        self.dropped = dropped

    def drop(self) -> None:
        self.dropped.append(self.name)


async def test_resources_are_dropped_when_the_guest_drops_them_or_ends(engines: Engines) -> None:
    dropped: list[int] = []
    eaten: list[int] = []
    functions = {
        "[constructor]thing": lambda guest: guest.table.new(Thing(len(guest.table), dropped)),
        "both": lambda guest, a, b: guest.table.get(a).name * 10 + guest.table.get(b).name,
        "eat": lambda guest, a: eaten.append(guest.table.take(a).name),
    }
    linked = LinkedComponent(from_wat(engines, THINGS), lambda _i, function, _t: functions[function])
    assert await linked.run(RUN, [], None, LIMITS) == Returned(1)
    assert (dropped, eaten) == ([0, 0], [1])


async def test_a_drop_that_fails_fails_the_run(engines: Engines) -> None:
    class Broken:
        def drop(self) -> None:
            raise RuntimeError("no")

    functions = {
        "[constructor]thing": lambda guest: guest.table.new(Broken()),
        "both": lambda _guest, a, b: a + b,
        "eat": lambda guest, a: guest.table.take(a) and None,
    }
    linked = LinkedComponent(from_wat(engines, THINGS), lambda _i, function, _t: functions[function])
    with pytest.raises(ExceptionGroup) as caught:
        await linked.run(RUN, [], None, LIMITS)
    assert isinstance(caught.value.__context__, RuntimeError)


async def test_a_full_table_of_resources_ends_the_guest(engines: Engines) -> None:
    linked = LinkedComponent(from_wat(engines, THINGS), lambda *_: lambda guest, *_a: guest.table.new(object()))
    outcome = await linked.run(RUN, [], None, GuestLimits(resources=1))
    assert outcome.message == "the guest holds more than 1 resources"  # type: ignore[union-attr]
