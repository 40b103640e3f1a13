from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from obelisk_config import Token
from obelisk_daemon.api.identity import Anonymous, Identity
from tests.fakes.clock import ManualClock
from tests.fakes.serving import access
from tests.fakes.tokens import holder

LATER = datetime(2026, 1, 2, 3, 4, 6, tzinfo=UTC)
"""A second after the clock's start."""
ONE, FIRST = holder("one", "read")
TWO, SECOND = holder("two", "admin", LATER)


def test_each_token_is_found_wherever_it_stands() -> None:
    known = access(FIRST, SECOND)
    for token, meant in ((ONE, FIRST), (TWO, SECOND)):
        assert known.bearer([f"bearer  {token} "], "") == Identity(meant.name, meant.role, "", meant)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ([], "give a token"),
        ([f"Basic {ONE}"], "is not Bearer"),
        ([ONE], "is not Bearer"),
        (["Bearer"], "is not a token"),
        (["Bearer password"], "is not a token"),
        ([f"Bearer {ONE[:-1]}"], "is it complete"),
        ([f"Bearer {ONE.upper()}"], "is not a token"),
        ([f"Bearer {ONE},Bearer {ONE}"], "is not a token"),
        ([f"Bearer {ONE}", f"Bearer {ONE}"], "more than one"),
        ([f"Bearer {holder('other', 'admin')[0]}"], "not one of the active manifest"),
    ],
)
def test_what_is_not_a_token_of_the_manifest_is_nobodys(values: list[str], reason: str) -> None:
    found = access(FIRST).bearer(values, "")
    assert isinstance(found, Anonymous)
    assert reason in found.reason
    assert found.offered == bool(values)
    assert ONE not in found.reason


def test_a_token_ends_at_the_instant_it_expires() -> None:
    clock = ManualClock()
    known = access(SECOND, clock=clock)
    identity = known.bearer([f"Bearer {TWO}"], "")
    assert isinstance(identity, Identity)
    clock.advance(timedelta(seconds=1, microseconds=-1))
    assert known.holds(identity)
    clock.advance(timedelta(microseconds=1))
    assert not known.holds(identity)
    assert known.bearer([f"Bearer {TWO}"], "") == Anonymous("the token two expired", "", offered=True)


def test_somebody_is_known_no_more_when_the_token_is_gone_or_has_another_role() -> None:
    tokens = [FIRST]
    known = msgspec.structs.replace(access(), tokens=lambda: tokens)
    identity = known.bearer([f"Bearer {ONE}"], "")
    assert isinstance(identity, Identity)
    assert known.holds(identity)
    tokens[0] = Token("one", "operate", FIRST.sha256)
    assert not known.holds(identity)
    tokens.clear()
    assert not known.holds(identity)


def test_the_open_loopback_closes_when_there_is_a_token() -> None:
    tokens: list[Token] = []
    known = msgspec.structs.replace(access(dev=True), tokens=lambda: tokens)
    somebody = Identity("loopback:dev", "admin")
    assert known.holds(somebody)
    tokens.append(FIRST)
    assert not known.holds(somebody)
    assert known.holds(Identity("unix:uid=0", "admin"))
