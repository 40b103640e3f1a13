import pytest
from syrupy.assertion import SnapshotAssertion

from obelisk_daemon.ctl.reference import commands
from tests.fakes.serving import ctl

ALL = sorted(commands())
GROUPS = sorted({words[0] for words in ALL if len(words) > 1})


def test_the_help_lists_every_command(snapshot: SnapshotAssertion) -> None:
    run = ctl("--help")
    assert run.code == 0
    assert run.out == snapshot
    for words in ALL:
        assert f"\n  {words[0]} " in run.out


@pytest.mark.parametrize("command", ALL, ids=" ".join)
def test_every_command_explains_itself(command: tuple[str, ...], snapshot: SnapshotAssertion) -> None:
    run = ctl(*command, "--help")
    assert run.code == 0
    assert run.out == snapshot


@pytest.mark.parametrize("group", GROUPS)
def test_every_group_explains_itself(group: str, snapshot: SnapshotAssertion) -> None:
    run = ctl(group, "--help")
    assert run.code == 0
    assert run.out == snapshot


def test_without_a_command_the_help_is_a_usage_error() -> None:
    run = ctl()
    assert (run.code, run.out) == (64, "")
    assert run.err == ctl("--help").out
