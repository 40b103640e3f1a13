import io
from datetime import UTC, datetime

import pytest

from obelisk_daemon.ctl.screen import Screen, relative, screen_of, short_time, spoken, style_of_state
from tests.fakes.serving import TerminalIO

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def test_a_pipe_has_no_width_and_no_colours() -> None:
    assert screen_of(io.StringIO(), {}) == Screen(None, colours=False)


def test_a_terminal_has_its_width_and_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "77")
    assert screen_of(TerminalIO(), {"TERM": "xterm"}) == Screen(77, colours=True)


@pytest.mark.parametrize("environ", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_a_terminal_without_colours_gets_none(environ: dict[str, str]) -> None:
    screen = screen_of(TerminalIO(), environ)
    assert screen.is_terminal
    assert screen.styled("ok", "green") == "ok"


def test_an_empty_no_color_means_nothing() -> None:
    assert screen_of(TerminalIO(), {"NO_COLOR": ""}).colours


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        *((0, "0s"), (0.4, "0s"), (59, "59s"), (59.7, "1m"), (60, "1m"), (200, "3m20s"), (600, "10m"), (3_600, "1h")),
        *((7_500, "2h5m"), (36_000, "10h"), (86_400, "1d"), (100_000, "1d3h"), (40 * 86_400, "40d")),
    ],
)
def test_durations_are_written_by_their_greatest_units(seconds: float, text: str) -> None:
    assert spoken(seconds) == text


@pytest.mark.parametrize(
    ("time", "text"),
    [
        ("2026-01-02T03:04:05.300000Z", "now"),
        ("2026-01-02T03:03:45.000000Z", "20s ago"),
        ("2026-01-02T05:09:05.000000Z", "in 2h5m"),
        ("never", "never"),
        ("", ""),
    ],
)
def test_times_are_told_from_now(time: str, text: str) -> None:
    assert relative(time, NOW) == text


def test_a_time_is_written_to_the_second_and_other_texts_as_they_are() -> None:
    assert short_time("2026-01-02T03:04:05.300000Z") == "2026-01-02T03:04:05Z"
    assert short_time("2026-01-02T03:04:05Z") == "2026-01-02T03:04:05Z"
    assert short_time("never") == "never"


@pytest.mark.parametrize(
    ("state", "style"),
    [("ok", "green"), ("trap", "red"), ("blocked", "blue"), ("blocked, paused", "magenta"), ("eu", None), ("", None)],
)
def test_a_state_has_the_colour_of_what_matters(state: str, style: str | None) -> None:
    assert style_of_state(state) == style
