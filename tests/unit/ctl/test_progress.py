import sys

import pytest

from obelisk_daemon.ctl.output import Output
from obelisk_daemon.ctl.progress import progress
from obelisk_daemon.ctl.screen import Screen
from tests.fakes.serving import TerminalIO


def test_on_a_pipe_nothing_of_the_progress_is_seen(capsys: pytest.CaptureFixture[str]) -> None:
    with progress("compiling", Screen(), total=3) as shown:
        shown.update(done=1)
    assert capsys.readouterr() == ("", "")


def test_on_a_terminal_there_is_a_bar_on_stderr_that_vanishes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    err = TerminalIO()
    monkeypatch.setattr(sys, "stderr", err)
    with progress("compiling [bold]", Screen(80), total=4) as shown:
        shown.update(done=2, text="compiling two")
    assert "compiling two" in err.getvalue()
    assert "50%" in err.getvalue()
    assert err.getvalue().endswith("\x1b[2K")
    assert capsys.readouterr().out == ""


def test_with_json_there_is_none_even_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    err = TerminalIO()
    monkeypatch.setattr(sys, "stderr", err)
    with Output(as_json=True).progress("compiling", total=4) as shown:
        shown.update(done=2)
    assert err.getvalue() == ""
