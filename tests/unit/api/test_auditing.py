from obelisk_daemon.api.auditing import Refusals


def test_a_kind_of_refusal_is_kept_once_a_minute_with_the_number_of_the_others() -> None:
    refusals = Refusals()
    assert refusals.admit(("a",), 0.0) == 0
    assert [refusals.admit(("a",), now) for now in (1.0, 2.0, 59.9)] == [None] * 3
    assert refusals.admit(("b",), 59.9) == 3
    assert refusals.admit(("a",), 60.0) == 0


def test_no_more_than_sixty_a_minute_are_kept_whoever_asks() -> None:
    refusals = Refusals()
    kept = [refusals.admit((str(number),), 0.0) for number in range(1_000)]
    assert [one for one in kept if one is not None] == [0] * 60
    assert refusals.admit(("x",), 61.0) == 940
