"""Who is to blame when daemons die."""

from datetime import timedelta

from obelisk_daemon.clock import Instant, after
from obelisk_daemon.execution.events import Paused
from obelisk_daemon.execution.suspicion import (
    ENOUGH,
    SHARED_AFTER,
    Suspicion,
    after_death,
    patience,
    quarantine,
    shared_at,
)

NOW = Instant(1_000_000)


def test_what_ran_among_others_is_suspected_and_not_blamed() -> None:
    suspicion = None
    for _ in range(2_000):
        suspicion = after_death(suspicion, was_alone=False)
        assert not suspicion.is_enough
    assert suspicion == Suspicion()


def test_only_deaths_while_it_was_alone_count_and_three_are_enough() -> None:
    suspicion = after_death(None, was_alone=False)
    for number in range(1, ENOUGH + 1):
        suspicion = after_death(after_death(suspicion, was_alone=False), was_alone=True)
        assert suspicion.deaths == number
        assert suspicion.is_enough is (number == 3)
    assert quarantine(suspicion) == Paused("quarantined", message="3 daemons in a row died while it ran alone")


def test_each_turn_is_twice_as_long_up_to_four_seconds() -> None:
    assert [patience(turn).total_seconds() for turn in (1, 2, 3, 4, 5, 6, 2_000)] == [0.25, 0.5, 1, 2, 4, 4, 4]


def test_a_suspect_starts_among_others_after_it_could_have_started_alone_for_a_while() -> None:
    late = after(NOW, timedelta(hours=1))
    assert shared_at(NOW, NOW) == after(NOW, SHARED_AFTER)
    assert shared_at(late, NOW) == shared_at(NOW, late) == after(late, SHARED_AFTER)
