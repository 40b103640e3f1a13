"""Function names are parsed once, strictly, and written as they were."""

import pytest

from obelisk_daemon.errors import CallerError
from obelisk_daemon.ffqn import Ffqn


@pytest.mark.parametrize(
    ("text", "interface", "function"),
    [
        ("testing:fibo/fibo.fibo", "testing:fibo/fibo", "fibo"),
        ("wasi:cli/run@0.2.3.run", "wasi:cli/run@0.2.3", "run"),
        ("a:b/c@1.0.0-rc.1+build.7.call-me", "a:b/c@1.0.0-rc.1+build.7", "call-me"),
        ("a-b:c-d/e-f.g-h", "a-b:c-d/e-f", "g-h"),
        ("a:b/%record.%result", "a:b/%record", "%result"),
    ],
)
def test_a_name_is_an_interface_and_a_function(text: str, interface: str, function: str) -> None:
    ffqn = Ffqn.parse(text)
    assert ffqn == Ffqn(interface, function)
    assert str(ffqn) == text


@pytest.mark.parametrize(
    "text",
    [
        "", "fibo", "testing:fibo/fibo", "testing:fibo.fibo", "fibo/fibo.fibo", "testing:fibo/fibo.", ".fibo",
        "testing:fibo/fibo@.fibo", "testing:fibo/fibo@1.0.0", "testing:fibo/fibo fibo", "testing:fibo/fibo.1",
        "testing:fibo/fibo.fibo\n", "testing:fibo/fibo.fi_bo", "a:b/c/d.e", "täst:fibo/fibo.fibo",
    ],
)  # fmt: skip
def test_what_is_no_name_is_refused(text: str) -> None:
    with pytest.raises(CallerError, match="is not a function name") as refused:
        Ffqn.parse(text)
    assert refused.value.code == "invalid_ffqn"


def test_a_refusal_shows_the_beginning_only() -> None:
    with pytest.raises(CallerError) as refused:
        Ffqn.parse("x" * 10_000)
    assert len(str(refused.value)) < 400
