import pytest

from obelisk_daemon.ctl.durations import parse_seconds
from obelisk_daemon.ctl.failure import CtlError, exit_code_of
from obelisk_daemon.ctl.output import Output, printable, shortened, to_text


@pytest.mark.parametrize(
    ("text", "seconds"), [("250ms", 0.25), ("30s", 30), ("1.5s", 1.5), ("5m", 300), ("1h", 3600), ("7d", 604800)]
)
def test_durations_are_read(text: str, seconds: float) -> None:
    assert parse_seconds(text) == seconds


@pytest.mark.parametrize("text", ["", "30", "s", "-1s", "1 s", "1e3s", "infs", "30S"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(CtlError, match="30s"):
        parse_seconds(text)


@pytest.mark.parametrize(
    ("status", "code"), [(400, 65), (422, 65), (413, 65), (401, 77), (403, 77), (404, 1), (409, 1), (503, 69), (500, 1)]
)
def test_http_statuses_map_to_exit_codes(status: int, code: int) -> None:
    assert exit_code_of(status) == code


def test_what_a_guest_wrote_can_not_steer_the_terminal() -> None:
    assert printable("a\x1b[2Jb\x9b\r\tc\nd") == "a\\x1b[2Jb\\x9b\\x0d\tc\nd"


def test_long_texts_are_cut() -> None:
    assert shortened("abcdef", 6) == "abcdef"
    assert shortened("abcdefg", 6) == "abcde…"


def test_json_is_one_line_with_exact_integers() -> None:
    assert to_text({"ok": [2**64 - 1, "ä"]}) == '{"ok": [18446744073709551615, "ä"]}'


def test_an_error_is_one_document_for_programs_and_a_sentence_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    error = CtlError(75, "timed_out", "too late", {"execution_id": "E_x"})
    Output(as_json=True).failure(error)
    out, err = capsys.readouterr()
    assert out == '{"execution_id": "E_x", "error": {"code": "timed_out", "message": "too late"}}\n'
    assert err == "obelisk-ctl: too late\n"
    Output(as_json=False).failure(error)
    assert capsys.readouterr().out == ""


def test_lines_for_people_are_silent_when_a_program_asks(capsys: pytest.CaptureFixture[str]) -> None:
    Output(as_json=True).line("hello")
    assert capsys.readouterr().out == ""


def test_fields_without_a_value_are_left_out_and_long_ones_go_on_below(capsys: pytest.CaptureFixture[str]) -> None:
    Output(as_json=False).fields({"a": None, "name": "one\ntwo", "n": 0, "l": [], "b": [1]})
    assert capsys.readouterr().out == "name  one\n      two\nn     0\nb     [1]\n"


def test_a_cell_that_looks_like_markup_is_printed_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    Output(as_json=False).table(("A",), [("[red]x[/red] :smile:",)])
    assert "[red]x[/red] :smile:" in capsys.readouterr().out
