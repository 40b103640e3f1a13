import pytest

from obelisk_daemon.ctl.screen import Screen
from obelisk_daemon.ctl.tables import cut_end, cut_middle, table_lines, width_of

ID, CHILD = "E_01JZZZZZZZZZZZZZZZZZZZZ003", "E_01JZZZZZZZZZZZZZZZZZZZZ003.g:1_1000"
COLUMNS = ("ID", "STATE", "FUNCTION", "LABELS")
ROWS = [
    (ID, "ok", "example:fibo/fibo-activity@1.2.0.fibo", "eu, gpu, large, and some more"),
    (CHILD, "pending_at, paused", "example:fibo/fibo-workflow.fiboa", ""),
]
PIPE = Screen()


def laid_out(screen: Screen) -> list[str]:
    return list(table_lines(COLUMNS, ROWS, screen))


def test_on_a_pipe_nothing_is_cut_and_nothing_coloured() -> None:
    text = "\n".join(laid_out(PIPE))
    assert "…" not in text
    assert "\x1b" not in text
    assert all(cell in text for row in ROWS for cell in row)


@pytest.mark.parametrize("width", range(12, 140))
def test_a_table_is_never_wider_than_the_terminal(width: int) -> None:
    assert all(width_of(line) <= width for line in laid_out(Screen(width)))


def test_a_table_that_fits_is_not_cut() -> None:
    assert laid_out(Screen(140)) == laid_out(PIPE)


def test_ids_are_shortened_last_and_in_the_middle() -> None:
    title, first, second = laid_out(Screen(90))
    assert title.split() == list(COLUMNS)
    assert first.startswith(ID)
    assert second.startswith(CHILD)
    assert ".fibo  eu, gpu" in first
    _, first, second = laid_out(Screen(64))
    assert "E_01J" in second
    assert second.split()[0].endswith(".g:1_1000")


def test_where_even_short_cells_do_not_fit_the_last_columns_are_left_out() -> None:
    title, *_ = laid_out(Screen(40))
    assert title.split() == ["ID", "STATE"]
    title, *_ = laid_out(Screen(20))
    assert title.split() == ["ID"]


def test_states_have_colours_that_take_no_room() -> None:
    coloured = laid_out(Screen(140, colours=True))
    assert "\x1b[32mok\x1b[0m" in coloured[1]
    assert "\x1b[35mpending_at, paused\x1b[0m" in coloured[2]
    stripped = [line.replace("\x1b[32m", "").replace("\x1b[35m", "").replace("\x1b[0m", "") for line in coloured[1:]]
    assert stripped == laid_out(PIPE)[1:]


@pytest.mark.parametrize(
    ("text", "width", "end", "middle"),
    [
        ("abcdef", 6, "abcdef", "abcdef"),
        ("abcdefg", 6, "abcde…", "a…defg"),
        ("日本語の名前", 7, "日本語…", "日…名前"),
        ("日本語の名前", 6, "日本…", "…名前"),
    ],
)
def test_texts_are_cut_by_the_columns_that_they_take(text: str, width: int, end: str, middle: str) -> None:
    assert (cut_end(text, width), cut_middle(text, width)) == (end, middle)
