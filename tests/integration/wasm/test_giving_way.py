"""Guests that call the host again and again: between two shares the loop does whatever else it has to do."""

import asyncio

import pytest

from obelisk_daemon.wasm import guest as guest_module
from obelisk_daemon.wasm.callbacks import GUESTS
from obelisk_daemon.wasm.engine import Engines
from obelisk_daemon.wasm.guest import Guest, GuestLimits, Returned, Trapped
from obelisk_daemon.wasm.linker import LinkedComponent
from obelisk_daemon.wasm.recipe import EngineSettings
from tests.integration.wasm.loading import COUNTER, RUN, calling, from_wat

pytestmark = pytest.mark.anyio

CALLS = 20_000
FIRST_SHARE = 256
FLOOD = f"""(local.set $i (i32.const {CALLS}))
    (loop $again
      (drop (call $ask (local.get $i)))
      (br_if $again (local.tee $i (i32.sub (local.get $i) (i32.const 1)))))
    (i32.const 7)"""


class Told:
    """A clock that goes on when it is told to."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def perf_counter(self) -> float:
        return self.seconds


class Loop:
    """Counts the turns that everything else gets, and the host calls before each."""

    def __init__(self) -> None:
        self.calls = 0
        self.shares: list[int] = []

    async def watch(self) -> None:
        seen = 0
        while True:
            await asyncio.sleep(0)
            if self.calls > seen:
                self.shares.append(self.calls - seen)
                seen = self.calls


@pytest.fixture
def engines() -> Engines:
    """Give engines without epochs: then only what is tested here ends a slice."""
    return Engines(EngineSettings(tick=None, compute_threads=0))


async def flooded(engines: Engines, told: Told | None = None, limit: int = CALLS) -> tuple[Returned | Trapped, Loop]:
    loop = Loop()

    def ask(_guest: Guest, n: int) -> int:
        loop.calls += 1
        if told is not None:
            told.seconds += 0.000_1
        return n

    linked = LinkedComponent(from_wat(engines, calling(FLOOD, COUNTER)), lambda *_: ask)
    watching = asyncio.create_task(loop.watch())
    outcome = await linked.run(RUN, [], None, GuestLimits(host_calls=limit))
    watching.cancel()
    assert not GUESTS
    return outcome, loop


async def test_a_flood_of_host_calls_lets_everything_else_have_its_turn(engines: Engines) -> None:
    outcome, loop = await flooded(engines)
    assert outcome == Returned(7)
    assert loop.calls == CALLS
    assert len(loop.shares) >= 5


async def test_a_share_has_about_as_many_calls_as_fit_into_half_a_millisecond(
    engines: Engines, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = Told()
    monkeypatch.setattr(guest_module, "time", told)
    _, loop = await flooded(engines, told)
    first, *others, _last = loop.shares
    assert first == FIRST_SHARE + 1
    assert set(others) <= {5, 6}


@pytest.mark.parametrize("limit", [1, FIRST_SHARE - 1, FIRST_SHARE, FIRST_SHARE + 1, 1_000])
async def test_a_guest_makes_as_many_calls_as_its_limit_allows_and_no_more(engines: Engines, limit: int) -> None:
    outcome, loop = await flooded(engines, limit=limit)
    assert isinstance(outcome, Trapped)
    assert (outcome.kind, loop.calls) == ("host_calls", limit)


@pytest.mark.parametrize("is_later", [False, True])
async def test_what_the_call_raises_after_which_a_guest_gives_way_is_raised(engines: Engines, is_later: bool) -> None:
    calls = 0

    async def fail_later() -> int:
        raise LookupError("later")

    def ask(_guest: Guest, n: int) -> object:
        nonlocal calls
        calls += 1
        if calls <= FIRST_SHARE:
            return n
        if is_later:
            return fail_later()
        raise LookupError("now")

    linked = LinkedComponent(from_wat(engines, calling(FLOOD, COUNTER)), lambda *_: ask)
    with pytest.raises(LookupError, match="later" if is_later else "now") as raised:
        await linked.run(RUN, [], None, GuestLimits())
    assert calls == FIRST_SHARE + 1
    assert "wasm backtrace" in raised.value.__notes__[0]


async def test_answers_that_come_later_cost_no_turn_and_no_call(engines: Engines) -> None:
    async def later(n: int) -> int:
        return n

    calls = 0

    def ask(_guest: Guest, n: int) -> object:
        nonlocal calls
        calls += 1
        return later(n) if calls % 2 else n

    linked = LinkedComponent(from_wat(engines, calling(FLOOD, COUNTER)), lambda *_: ask)
    assert await linked.run(RUN, [], None, GuestLimits(host_calls=CALLS)) == Returned(7)
    assert calls == CALLS


async def test_a_guest_that_waits_for_its_turn_can_be_cancelled(engines: Engines) -> None:
    loop = Loop()

    def ask(_guest: Guest, n: int) -> int:
        loop.calls += 1
        return n

    linked = LinkedComponent(from_wat(engines, calling(FLOOD, COUNTER)), lambda *_: ask)
    task = asyncio.create_task(linked.run(RUN, [], None, GuestLimits()))
    while not loop.calls:
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert loop.calls < CALLS
    assert not GUESTS
