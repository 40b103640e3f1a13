"""The README and the changelog say what is so."""

import re
import shlex
from pathlib import Path

import pytest
from typer.main import get_command

from obelisk_config import draft
from obelisk_daemon import __version__
from obelisk_daemon.ctl.main import make_app

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
PATHS = sorted(set(re.findall(r"`((?:daemon|config|tests|components|systemd)/[^`\s*]+)`", README)))
TYPED = [
    line for language, text in BLOCKS if language == "console" for line in text.splitlines() if "obelisk-ctl" in line
]
TARGETS = sorted(set(re.findall(r"\bmake ([a-z]+)\b", README)))


@pytest.mark.parametrize("text", [text for language, text in BLOCKS if language == "toml"])
def test_a_manifest_in_the_readme_has_no_errors(text: str) -> None:
    assert draft(text.encode(), Path("obelisk.toml")).diagnostics == ()


@pytest.mark.parametrize("path", PATHS)
def test_a_path_in_the_readme_is_there(path: str) -> None:
    assert (ROOT / path).exists()


@pytest.mark.parametrize("line", TYPED)
def test_a_command_in_the_readme_has_its_name_and_its_options(line: str) -> None:
    words = shlex.split(line.partition("#")[0].removeprefix("$ "))
    command = get_command(make_app())
    for word in words[1:]:
        if word.startswith("--"):
            assert word in [option for parameter in command.params for option in parameter.opts]
        elif hasattr(command, "commands"):
            command = command.commands[word]


@pytest.mark.parametrize("target", [target for target in TARGETS if target != "without"])
def test_a_make_target_in_the_readme_is_in_the_makefile(target: str) -> None:
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE)


def test_the_changelog_has_the_version() -> None:
    assert f"## {__version__}" in (ROOT / "CHANGELOG.md").read_text()
