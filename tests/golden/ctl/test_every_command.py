"""No command is without a golden `--help`, a golden output for people and for programs, and a place in the docs."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from obelisk_daemon.ctl.reference import commands, text
from tests.fakes.serving import ctl
from tests.golden.ctl import (
    test_asking_and_authoring,
    test_database,
    test_help,
    test_manifest,
    test_output,
    test_steering,
)

ROOT = Path(__file__).resolve().parents[3]
ALL = sorted(commands())
ELSEWHERE = {
    ("why",): "tests/golden/why/test_why.py",
    # these draw on a terminal, live
    ("follow",): "tests/integration/api/test_ctl_live.py",
    ("top",): "tests/integration/api/test_ctl_live.py",
    # it asks no daemon, but PostgreSQL
    ("db", "copy"): "tests/e2e/test_moving.py",
}
"""Commands whose outputs are tested by other means than a list of commands."""


def with_output() -> Iterator[tuple[str, ...]]:
    """Give what is run for a golden output, as text and as JSON."""
    for module in (test_asking_and_authoring, test_database, test_output, test_steering):
        yield from module.COMMANDS.values()
    yield from (("manifest", *words) for words in test_manifest.COMMANDS.values())


@pytest.mark.parametrize("command", ALL, ids=" ".join)
def test_a_command_has_a_golden_output(command: tuple[str, ...]) -> None:
    if command in ELSEWHERE:
        assert f'"{command[-1]}"' in (ROOT / ELSEWHERE[command]).read_text()
    else:
        assert any(words[: len(command)] == command for words in with_output())


def test_every_command_has_a_golden_help() -> None:
    assert set(ALL) == set(test_help.ALL)


def test_the_reference_is_what_the_commands_say(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    kept = (ROOT / "docs" / "obelisk-ctl.md").read_text()
    assert kept == text(), "renew it: python -m obelisk_daemon.ctl.reference > docs/obelisk-ctl.md"
    assert all(f"## obelisk-ctl {' '.join(command)}\n" in kept for command in ALL)
    assert "docs/obelisk-ctl.md" in (ROOT / "README.md").read_text()


def test_every_option_of_every_command_is_explained() -> None:
    for command in ALL:
        help_of = ctl(*command, "--help").out
        for line in help_of.splitlines():
            assert not line.rstrip().endswith(("METAVAR", "TEXT")), (command, line)
