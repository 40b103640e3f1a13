"""Situations that aborted the process in a prototype.

`test_lifetime_rules` runs each in a process of its own.
"""

import asyncio
import gc
import json
import sys
from collections.abc import Awaitable, Callable

import pytest

from obelisk_daemon.ffqn import Ffqn
from obelisk_daemon.wasm import abi
from obelisk_daemon.wasm.callbacks import GUESTS, IMPORTS
from obelisk_daemon.wasm.engine import Engines
from obelisk_daemon.wasm.guest import Guest, GuestLimits, Returned, Trapped
from obelisk_daemon.wasm.linker import LinkedComponent
from obelisk_daemon.wasm.values import ValueShapeError
from tests.integration.wasm.loading import FIBOA, RUN, THINGS, calling, computing, from_wat, load

LIMITS = GuestLimits()
WATCHED = [900]


async def a_host_function_raises_what_stops_python(engines: Engines) -> None:
    for error in (KeyboardInterrupt(), SystemExit(3), GeneratorExit(), RecursionError(), ValueError("\0 \ud800")):

        def fail(_guest: Guest, _n: int, error: BaseException = error) -> object:
            raise error

        linked = LinkedComponent(load(engines, "fibo-workflow"), lambda *_, fail=fail: fail)
        with pytest.raises(type(error)) as caught:
            await linked.run(FIBOA, [1, 1], None, LIMITS)
        assert caught.value is error


async def the_table_of_host_functions_is_damaged(engines: Engines) -> None:
    linked = LinkedComponent(load(engines, "fibo-workflow"), lambda *_: lambda _g, _n: {"ok": 1})
    IMPORTS.clear()
    try:
        await linked.run(FIBOA, [1, 1], None, LIMITS)
    except KeyError:
        return
    raise AssertionError("nothing was raised")


async def the_host_gives_text_that_is_not_unicode(engines: Engines) -> None:
    echo = Ffqn("test:echo/api", "f-string")
    char = Ffqn("test:echo/api", "f-char")
    linked = LinkedComponent(load(engines, "echo"), lambda *_: lambda _g, _v: "\ud800")
    for function, value in ((echo, "a"), (char, "a"), (echo, "\udfff"), (char, "\udfff")):
        try:
            await linked.run(function, [value], None, LIMITS)
        except ValueShapeError:
            continue
        raise AssertionError("nothing was raised")


async def a_finished_guest_is_polled_again(engines: Engines) -> None:
    linked = LinkedComponent(load(engines, "fibo-activity"), lambda *_: None)
    export = linked.export(next(iter(linked.component.exports)))
    guest = Guest(linked, export, None, LIMITS)
    assert isinstance(await guest.run([3]), Returned)
    try:
        guest.run_slice()
    except RuntimeError:
        guest.close()
        guest.close()
        return
    raise AssertionError("nothing was raised")


async def a_parked_guest_is_cancelled(engines: Engines) -> None:
    async def wait(_guest: Guest, _n: int) -> object:
        await asyncio.Event().wait()
        return None

    linked = LinkedComponent(load(engines, "fibo-workflow"), lambda *_: wait)
    tasks = [asyncio.create_task(linked.run(FIBOA, [1, 1], None, LIMITS)) for _ in range(300)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert len(GUESTS) == 300
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert not GUESTS


async def memory_is_collected_and_reused_while_a_guest_is_parked(engines: Engines) -> None:
    async def collect(_guest: Guest, _n: int) -> object:
        gc.collect()
        churn = [bytearray(b"\xff" * size) for size in range(8, 2000)]
        await asyncio.sleep(0)
        del churn
        gc.collect()
        return {"ok": 1}

    linked = LinkedComponent(load(engines, "fibo-workflow"), lambda *_: collect)
    task = asyncio.create_task(linked.run(FIBOA, [1, 50], None, LIMITS))
    await asyncio.sleep(0)
    del linked
    gc.collect()
    assert await task == Returned({"ok": 1})


async def the_host_calls_back_into_the_calling_guest(engines: Engines) -> None:
    seen: list[BaseException] = []

    def again(guest: Guest, _n: int) -> object:
        for forbidden in (guest.run_slice, guest.close):
            try:
                forbidden()
            except RuntimeError as error:
                seen.append(error)
        return {"ok": 1}

    linked = LinkedComponent(load(engines, "fibo-workflow"), lambda *_: again)
    assert await linked.run(FIBOA, [1, 1], None, LIMITS) == Returned({"ok": 1})
    assert len(seen) == 2


async def a_host_function_recurses_deeply_in_c(engines: Engines) -> None:
    nested: list[object] = []
    for _ in range(WATCHED[0]):
        nested = [nested]

    def deep(_guest: Guest, _n: int) -> object:
        return {"ok": len(json.dumps(nested)) + len(repr(nested))}

    linked = LinkedComponent(load(engines, "fibo-workflow"), lambda *_: deep)
    assert isinstance(await linked.run(FIBOA, [1, 1], None, LIMITS), Returned)


async def a_guest_recurses_without_end(engines: Engines) -> None:
    linked = LinkedComponent(from_wat(engines, computing("call $run i32.const 1 i32.add")), lambda *_: None)
    trapped = await linked.run(RUN, [], None, LIMITS)
    assert isinstance(trapped, Trapped)
    assert trapped.kind == "stack"


async def a_guest_wants_more_memory_than_its_limit(engines: Engines) -> None:
    linked = LinkedComponent(from_wat(engines, computing("i32.const 0", "(memory 100)")), lambda *_: None)
    trapped = await linked.run(RUN, [], None, GuestLimits(memory=1 << 16))
    assert isinstance(trapped, Trapped)
    assert trapped.kind == "memory"


async def a_host_function_borrows_two_resources_at_once(engines: Engines) -> None:
    def host(_interface: str, function: str, _type: object) -> Callable[..., object]:
        return {
            "[constructor]thing": lambda g: g.table.new(object()),
            "both": lambda g, a, b: a + b,
            "eat": lambda g, a: g.table.take(a) and None,
        }[function]

    assert await LinkedComponent(from_wat(engines, THINGS), host).run(RUN, [], None, LIMITS) == Returned(3)


async def an_answer_of_a_wrong_type_comes_late(engines: Engines) -> None:
    async def wrong(_guest: Guest, _n: int) -> object:
        await asyncio.sleep(0)
        return object()

    linked = LinkedComponent(load(engines, "fibo-workflow"), lambda *_: wrong)
    for _ in range(100):
        try:
            await linked.run(FIBOA, [1, 1], None, LIMITS)
        except ValueShapeError:
            continue
        raise AssertionError("nothing was raised")


async def a_component_is_forgotten_while_its_guest_is_parked(engines: Engines) -> None:
    released = asyncio.Event()

    async def wait(_guest: Guest, n: int) -> object:
        await released.wait()
        return n

    linked = LinkedComponent(from_wat(engines, calling("(call $ask (i32.const 7))")), lambda *_: wait)
    task = asyncio.create_task(linked.run(RUN, [], None, LIMITS))
    await asyncio.sleep(0)
    del linked
    gc.collect()
    released.set()
    assert await task == Returned(7)


async def the_process_ends_with_parked_guests(engines: Engines) -> None:
    async def wait(_guest: Guest, n: int) -> object:
        await asyncio.Event().wait()
        return n

    linked = LinkedComponent(from_wat(engines, calling("(call $ask (i32.const 7))")), lambda *_: wait)
    guests = [Guest(linked, linked.export(RUN), None, LIMITS) for _ in range(10)]
    coroutines = [guest.run([]) for guest in guests]
    for coroutine in coroutines:
        coroutine.send(None)
    KEPT.extend([guests, coroutines, linked])


KEPT: list[object] = []


async def many_wrong_values_are_lowered(engines: Engines) -> None:
    echo = Ffqn("test:echo/api", "f-points")
    linked = LinkedComponent(load(engines, "echo"), lambda *_: lambda _g, v: v)
    export = linked.export(echo)
    buffer = export.buffer()
    address = __import__("ctypes").addressof(buffer)
    good = {"x": 1, "y": 2.0, "name": "q" * 1000}
    for _ in range(2000):
        try:
            export.codec.lowers[0]([good, {"x": 1, "y": 2.0, "name": 9}], address, Guest.__new__(Guest))
        except ValueShapeError:
            abi.value_delete(address)
            continue
        raise AssertionError("nothing was raised")


CASES: dict[str, Callable[[Engines], Awaitable[None]]] = {
    name: case for name, case in list(globals().items()) if asyncio.iscoroutinefunction(case)
}


async def run_case(name: str) -> None:
    engines = Engines()
    await CASES[name](engines)
    engines.close()


if __name__ == "__main__":
    asyncio.run(run_case(sys.argv[1]))
    print("survived")
