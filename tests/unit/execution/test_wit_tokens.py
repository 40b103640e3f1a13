"""WIT text to tokens: what each is, where it stands, and what is passed over."""

import pytest

from obelisk_daemon.execution.wit_tokens import MAX_CHARACTERS, Place, Token, WitError, tokenize


def shown(text: str) -> list[tuple[str, str]]:
    return [(token.kind, token.text) for token in tokenize(text)]


def test_every_token_is_known_by_its_kind() -> None:
    assert shown("%use-2x: A1->list<_,12>;/.=@*") == [
        ("name", "%use-2x"), ("symbol", ":"), ("name", "A1"), ("symbol", "->"), ("name", "list"), ("symbol", "<"),
        ("symbol", "_"), ("symbol", ","), ("number", "12"), ("symbol", ">"), ("symbol", ";"), ("symbol", "/"),
        ("symbol", "."), ("symbol", "="), ("symbol", "@"), ("symbol", "*"), ("end", ""),
    ]  # fmt: skip


@pytest.mark.parametrize("version", ["@1.2.30", "@0.2.0-rc.1", "@1.0.0+build-7.x", "@1.0.0-a-b.2+c.d"])
def test_a_version_is_one_token(version: str) -> None:
    assert shown(f"a:b{version}.") == [
        ("name", "a"), ("symbol", ":"), ("name", "b"), ("version", version), ("symbol", "."), ("end", ""),
    ]  # fmt: skip


def test_a_token_stands_at_its_line_and_column_and_is_as_wide_as_its_text() -> None:
    assert tokenize("ab  c\n\n\tdef\n") == [
        Token("name", "ab", Place(1, 1, 2)),
        Token("name", "c", Place(1, 5, 1)),
        Token("name", "def", Place(3, 2, 3)),
        Token("end", "", Place(4, 1, 1)),
    ]


def test_an_empty_text_ends_where_it_begins() -> None:
    assert tokenize("") == [Token("end", "", Place(1, 1, 1))]


def test_comments_are_passed_over_with_all_that_is_in_them_and_their_lines_count() -> None:
    text = "// a /* b\n/* c\n/* d */ // e\n */ f /**/ g\r\n/// h"
    assert tokenize(text) == [
        Token("name", "f", Place(4, 5, 1)),
        Token("name", "g", Place(4, 12, 1)),
        Token("end", "", Place(5, 6, 1)),
    ]


@pytest.mark.parametrize("text", ["a\n  /* b", "a\n  /* /* b */", "a\n  /*/"])
def test_a_comment_without_end_is_refused_where_it_begins(text: str) -> None:
    with pytest.raises(WitError, match=r"^line 2, column 3: this comment has no end: it ends with \*/$") as caught:
        tokenize(text)
    assert (caught.value.code, caught.value.place) == ("invalid_wit", Place(2, 3, 1))


@pytest.mark.parametrize("character", ["é", "$", '"', "\N{NO-BREAK SPACE}", "\f", "\N{ARABIC-INDIC DIGIT ONE}"])
def test_a_character_that_wit_does_not_have_is_refused_at_its_place(character: str) -> None:
    with pytest.raises(WitError) as caught:
        tokenize(f"ab\nc {character}")
    assert caught.value.reason == f'WIT has no "{character}" here'
    assert caught.value.place == Place(2, 3, 1)


def test_the_longest_text_is_read_and_a_longer_one_refused_at_its_beginning() -> None:
    assert shown(" " * MAX_CHARACTERS) == [("end", "")]
    with pytest.raises(WitError, match=r"^line 1, column 1: more than 1_048_576 characters$") as caught:
        tokenize(" " * (MAX_CHARACTERS + 1))
    assert caught.value.place == Place(1, 1, 1)
