import pytest
from syrupy.assertion import SnapshotAssertion

from tests.fakes.serving import ctl

COMMANDS = [
    "status",
    "submit",
    "list",
    "queues",
    "bulk",
    "executors",
    "show",
    "events",
    "logs",
    "follow",
    "top",
    "result",
    "why",
    "cancel",
    "pause",
    "resume",
    "upgrade",
    "retry",
    "stub",
    "delays",
    "error",
    "delay",
    "replay",
]
COMMANDS += ["components", "functions", "wit", "init", "manifest", "token", "ui", "audit", "completion"]


def test_the_help_lists_every_command(snapshot: SnapshotAssertion) -> None:
    run = ctl("--help")
    assert run.code == 0
    assert run.out == snapshot
    for command in COMMANDS:
        assert f"\n  {command} " in run.out


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str, snapshot: SnapshotAssertion) -> None:
    run = ctl(command, "--help")
    assert run.code == 0
    assert run.out == snapshot


@pytest.mark.parametrize("command", ["cancel", "pause", "resume"])
def test_every_delay_command_explains_itself(command: str, snapshot: SnapshotAssertion) -> None:
    run = ctl("delay", command, "--help")
    assert run.code == 0
    assert run.out == snapshot


@pytest.mark.parametrize("command", ["status", "plan", "reload", "rollback", "history", "show", "diff", "pin"])
def test_every_manifest_command_explains_itself(command: str, snapshot: SnapshotAssertion) -> None:
    run = ctl("manifest", command, "--help")
    assert run.code == 0
    assert run.out == snapshot


def test_making_a_token_explains_itself(snapshot: SnapshotAssertion) -> None:
    run = ctl("token", "new", "--help")
    assert run.code == 0
    assert run.out == snapshot


def test_without_a_command_the_help_is_a_usage_error() -> None:
    run = ctl()
    assert (run.code, run.out) == (64, "")
    assert run.err == ctl("--help").out
