"""The simulation can fail: it finds bugs put into the daemon, each within 200 seeds (issue 7, "Done when" 1)."""

from datetime import timedelta

import pytest

from obelisk_daemon.clock import Clock, Instant, after
from obelisk_daemon.executor.timers import Timers
from obelisk_daemon.storage.sqlite.queries import SQL
from tests.simulation import daemon
from tests.simulation.world import Report, simulate

_SEEDS = 200


def first_found() -> Report:
    """Give the first seed that finds anything."""
    for seed in range(_SEEDS):
        report = simulate(seed)
        if report.violations:
            return report
    pytest.fail(f"nothing was found by {_SEEDS} seeds")


def without(statement: str, condition: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Take a condition out of a statement, but for its values."""
    before = SQL[statement]
    assert condition in before
    instead = " ".join(["AND ? IS NOT NULL"] * condition.count("?"))
    monkeypatch.setitem(SQL, statement, before.replace(condition, instead))


@pytest.mark.parametrize("fence", ["AND version = ? AND run_id = ?", "AND run_id = ?"])
def test_a_write_that_is_not_fenced_by_its_run_is_found(fence: str, monkeypatch: pytest.MonkeyPatch) -> None:
    without("update_by_run", fence, monkeypatch)
    assert "update_by_run" in str(first_found())


def test_a_lock_for_an_executor_that_was_declared_dead_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    without("is_alive", "AND lease_until > 0", monkeypatch)
    assert first_found().violations


def test_a_response_that_is_appended_twice_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SQL, "delete_delay", "UPDATE delay SET due_at = due_at + 200000 WHERE delay_id = ?")
    assert "has answered" in str(first_found())


class EarlyClock:
    """A clock that is a second ahead of the store's."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.monotonic = clock.monotonic

    def now(self) -> Instant:
        return after(self._clock.now(), timedelta(seconds=1))


def test_a_timer_that_fires_early_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(daemon, "Timers", lambda store, clock, wake: Timers(store, EarlyClock(clock), wake))
    assert "early" in str(first_found())
