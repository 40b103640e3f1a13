"""Ends a guest that computes for too long: one that neither asks for anything nor waits."""

import asyncio
from typing import Final, Literal, Protocol

_CHECKS_PER_TIMEOUT: Final = 4


class Watched(Protocol):
    """The run of a guest."""

    @property
    def asked(self) -> int:
        """Count what the guest has asked for: it grows as long as the guest gets on."""
        ...

    def drop(self, reason: Literal["overrun"]) -> None:
        """End the guest at once."""
        ...


class ComputingWatch:
    """Looks a few times within `timeout` seconds whether a guest has got on, and drops it if it has not.

    While it is blocked nothing is looked at: ten thousand workflows that wait cost no time.
    """

    __slots__ = ("_has_lapsed", "_interval", "_run", "_timer", "is_blocked")

    def __init__(self, timeout: float, run: Watched) -> None:
        self._interval = timeout / _CHECKS_PER_TIMEOUT
        self._run = run
        self._timer: asyncio.TimerHandle | None = None
        self._has_lapsed = False
        self.is_blocked = False

    def begin(self) -> None:
        """Watch from now on."""
        self._look(0, -1)

    def block(self) -> None:
        """Take notice that the guest waits."""
        self.is_blocked = True

    def unblock(self) -> None:
        """Take notice that it goes on."""
        self.is_blocked = False
        if self._has_lapsed:
            self._has_lapsed = False
            self.begin()

    def end(self) -> None:
        """Watch no more: the guest has ended."""
        self._has_lapsed = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self, strikes: int, asked: int) -> None:
        if self.is_blocked:
            self._timer = None
            self._has_lapsed = True
            return
        if self._run.asked != asked:
            strikes = 0
        if strikes >= _CHECKS_PER_TIMEOUT:
            self._run.drop("overrun")
            return
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(self._interval, self._look, strikes + 1, self._run.asked)
