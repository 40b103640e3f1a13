from collections.abc import Mapping
from typing import Any

import pytest
from typer.main import get_command

from obelisk_daemon.ctl.completing import place_of, suggest
from obelisk_daemon.ctl.main import make_app
from obelisk_daemon.ctl.shells import SCRIPTS
from tests.fakes.serving import ctl

ROOT = get_command(make_app())
FUNCTIONS = {"functions": [{"ffqn": "a:b/c.d", "kind": "activity", "signature": "func()"}]}


def ask(path: str, **_: object) -> Mapping[str, Any]:
    return FUNCTIONS if path == "/v1/functions" else {}


def nobody(path: str, **_: object) -> Mapping[str, Any]:
    raise AssertionError(f"{path} was asked for")


@pytest.mark.parametrize(
    ("words", "path", "parameter", "options"),
    [
        (["submit"], ("submit",), "ffqn", {}),
        (["submit", "a:b/c.d"], ("submit",), "params", {}),
        (["submit", "a:b/c.d", "[1]"], ("submit",), None, {}),
        (["submit", "--priority", "3"], ("submit",), "ffqn", {"priority": "3"}),
        (["submit", "--priority=3"], ("submit",), "ffqn", {"priority": "3"}),
        (["--url", "unix:/x", "list", "--json", "--state"], ("list",), "state", {"url": "unix:/x"}),
        (["manifest", "diff", "1"], ("manifest", "diff"), "after", {}),
        (["manifest", "pin", "a", "b"], ("manifest", "pin"), "names", {}),
    ],
)
def test_the_words_before_the_cursor_say_where_it_is(
    words: list[str], path: tuple[str, ...], parameter: str | None, options: dict[str, str]
) -> None:
    place = place_of(ROOT, words)
    assert (place.path, getattr(place.parameter, "name", None), place.options) == (path, parameter, options)


def test_a_candidate_has_its_description_after_a_tab() -> None:
    assert suggest(ROOT, ["submit", ""], ask) == ["a:b/c.d\tactivity func()"]
    assert suggest(ROOT, ["submit", "x"], ask) == []


def test_the_daemon_is_not_asked_for_what_is_known_here() -> None:
    assert suggest(ROOT, ["sub"], nobody) == ["submit\tCall a function durably."]
    assert suggest(ROOT, ["submit", "--pri"], nobody)[0].startswith("--priority\t")
    assert suggest(ROOT, ["replay", "--component", ""], nobody) == [":files"]
    assert suggest(ROOT, ["wit", "--output", ""], nobody) == [":dirs"]
    assert suggest(ROOT, ["retry", "E_1", "--id", ""], nobody) == []
    assert suggest(ROOT, [], nobody)


@pytest.mark.parametrize("shell", SCRIPTS)
def test_a_shell_gets_its_script(shell: str) -> None:
    run = ctl("completion", shell)
    assert (run.code, run.out) == (0, SCRIPTS[shell])
    assert "obelisk-ctl" in run.out


def test_another_shell_is_a_usage_error() -> None:
    run = ctl("completion", "tcsh")
    assert run.code == 64
    assert "there is for bash, zsh, fish" in run.err
