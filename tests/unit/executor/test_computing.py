"""A guest that neither asks nor waits is dropped; one that waits is not looked at."""

import asyncio

import pytest

from obelisk_daemon.executor.computing import ComputingWatch

pytestmark = pytest.mark.anyio


class Run:
    """A run whose guest asks for something between two looks, or for nothing."""

    def __init__(self, *, gets_on: bool) -> None:
        self.looks = 0
        self.dropped: list[str] = []
        self._gets_on = gets_on

    @property
    def asked(self) -> int:
        self.looks += 1
        return (self.looks + 1) // 2 if self._gets_on else 0  # each look reads it twice

    def drop(self, reason: str) -> None:
        self.dropped.append(reason)


async def turns() -> None:
    for _ in range(30):
        await asyncio.sleep(0)


def watch(run: Run) -> ComputingWatch:
    watching = ComputingWatch(0.0, run)
    watching.begin()
    return watching


async def test_a_guest_that_asks_for_nothing_is_dropped_once() -> None:
    run = Run(gets_on=False)
    watch(run)
    await turns()
    assert run.dropped == ["overrun"]


async def test_a_guest_that_gets_on_is_not() -> None:
    run = Run(gets_on=True)
    watching = watch(run)
    await turns()
    watching.end()
    assert (run.dropped, run.looks > 10) == ([], True)


async def test_a_guest_that_waits_is_not_looked_at_and_is_again_when_it_goes_on() -> None:
    run = Run(gets_on=False)
    watching = watch(run)
    watching.block()
    await turns()
    looks = run.looks
    await turns()
    assert (run.looks, run.dropped) == (looks, [])
    watching.unblock()
    await turns()
    assert run.dropped == ["overrun"]


async def test_a_guest_that_waits_for_a_moment_stays_watched() -> None:
    run = Run(gets_on=False)
    watching = watch(run)
    watching.block()
    watching.unblock()
    await turns()
    assert run.dropped == ["overrun"]


@pytest.mark.parametrize("waits", [True, False])
async def test_a_guest_that_has_ended_is_watched_no_more(waits: bool) -> None:
    """Nor does what is left to be waited for when its join sets close begin to watch it again."""
    run = Run(gets_on=False)
    watching = watch(run)
    if waits:
        watching.block()
        await turns()
    watching.end()
    watching.block()
    watching.unblock()
    await turns()
    assert run.dropped == []
