"""The WIT text that people get."""

import pytest
from syrupy.assertion import SnapshotAssertion

from tests import guests
from tests.integration.wit.tools import described, printed


@pytest.mark.guests
@pytest.mark.parametrize("extensions", [False, True])
@pytest.mark.parametrize("guest", ["fibo-activity", "faults"])
def test_a_component_is_printed_so(guest: str, extensions: bool, snapshot: SnapshotAssertion) -> None:
    assert printed(described(guests.path(guest)), extensions=extensions).split("package obelisk:types")[0] == snapshot


@pytest.mark.guests
def test_a_stub_is_printed_so(snapshot: SnapshotAssertion) -> None:
    text = printed(described(guests.path("fibo-activity"), "stub"), extensions=True)
    assert text.split("package obelisk:types")[0] == snapshot
