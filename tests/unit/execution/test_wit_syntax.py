"""The text of a type to a tree, in which names are still names, and how a reader goes through its tokens."""

import pytest

from obelisk_daemon.execution.wit_parse import parse_document
from obelisk_daemon.execution.wit_syntax import DEEPEST, Generic, Named, Shape, TypeReader, read_type
from obelisk_daemon.execution.wit_tokens import Place, WitError, tokenize

U8 = Named("u8", Place(1, 1, 2))


def named(name: str, column: int, width: int | None = None) -> Named:
    return Named(name, Place(1, column, width or len(name)))


def test_a_name_is_a_tree_without_its_escape() -> None:
    assert read_type("u8") == U8
    assert read_type("%list") == named("list", 1, 5)


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("list<a>", Generic("list", (named("a", 6),), Place(1, 1, 4))),
        ("option<a>", Generic("option", (named("a", 8),), Place(1, 1, 6))),
        ("tuple<a, b,>", Generic("tuple", (named("a", 7), named("b", 10)), Place(1, 1, 5))),
        ("result", Generic("result", (None, None), Place(1, 1, 6))),
        ("result<a>", Generic("result", (named("a", 8), None), Place(1, 1, 6))),
        ("result<_, b>", Generic("result", (None, named("b", 11)), Place(1, 1, 6))),
        ("result<a, b>", Generic("result", (named("a", 8), named("b", 11)), Place(1, 1, 6))),
    ],
)
def test_a_type_of_types_has_what_is_between_its_brackets(text: str, tree: Generic) -> None:
    assert read_type(text) == tree


@pytest.mark.parametrize(
    ("text", "members"),
    [
        ("record {a: u8, %type: b,}", (("a", named("u8", 12)), ("type", named("b", 23)))),
        ("variant {a, b(u8)}", (("a", None), ("b", named("u8", 15)))),
        ("enum {a, list}", (("a", None), ("list", None))),
        ("flags {a}", (("a", None),)),
    ],
)
def test_a_shape_has_its_names_in_their_order_and_the_types_that_they_have(text: str, members: object) -> None:
    kind = text.split(maxsplit=1)[0]
    assert read_type(text) == Shape(kind, members, Place(1, 1, len(kind)))  # type: ignore[arg-type]


REFUSED = [
    ("list<u8>>", 9, 'expected nothing after the type, found ">"'),
    ("option<u8, u8>", 10, 'expected ">", found ","'),
    ("result<u8, u8, u8>", 14, 'expected ">", found ","'),
    ("tuple<u8 u8>", 10, 'expected "," or ">", found "u8"'),
    ("tuple", 6, 'expected "<" after tuple, found the end'),
    ("result<>", 8, 'expected a type, found ">"'),
    ("list<_>", 6, 'expected a type, found "_"'),
    (
        "own<a>",
        1,
        "own<> is of resources; resources can't cross between components, so a stub has none: pass an id inst",
    ),
    ("future<u8>", 1, "future can't be recorded, so nothing that takes or gives one can be a stub"),
    ("error-context", 1, "error-context can't be recorded"),
    ("interface", 1, 'expected a type, found "interface"'),
    ("variant {}", 1, "this variant has nothing in it"),
    ("enum {a, a}", 10, '"a" is in this enum twice'),
    ("enum {a b}", 9, 'expected "," or "}", found "b"'),
    ("variant {a(u8}", 14, 'expected ")", found "}"'),
    ("record {: u8}", 9, 'expected a field, found ":"'),
    ("enum {1}", 7, 'expected a name, found "1"'),
    ("record {a u8}", 11, 'expected ":" and the type of "a", found "u8"'),
    (f"list<u8 {'x' * 41}>", 9, f'expected ">", found "{"x" * 40}"'),
]


@pytest.mark.parametrize(("text", "column", "reason"), REFUSED, ids=[one[0] for one in REFUSED])
def test_what_is_no_type_is_refused_at_its_place(text: str, column: int, reason: str) -> None:
    with pytest.raises(WitError) as caught:
        read_type(text)
    assert caught.value.reason.startswith(reason)
    assert caught.value.place.column == column


def test_a_type_may_be_as_deep_as_the_bound_and_many_of_them_stand_side_by_side() -> None:
    deep = "list<" * (DEEPEST - 1) + "u8" + ">" * (DEEPEST - 1)
    assert read_type(deep)
    assert read_type(f"tuple<{', '.join(['u8'] * (DEEPEST + 1))}>")
    with pytest.raises(WitError, match=f"^line 1, column {5 * DEEPEST + 1}: types nest more than {DEEPEST} deep here$"):
        read_type(f"list<{deep}>")


def test_what_stands_before_a_type_makes_it_no_less_deep() -> None:
    deep = "list<" * (DEEPEST - 1) + "u8" + ">" * (DEEPEST - 1)
    with pytest.raises(WitError, match=f"types nest more than {DEEPEST} deep here$"):
        read_type(f"tuple<{'list<u8>, ' * (DEEPEST + 1)}{deep}>")


KEYWORDS = """bool s8 u8 s16 u16 s32 u32 s64 u64 f32 f64 char string list option result tuple record variant enum flags
    own borrow as async constructor export from func future import include interface package resource static stream
    type use with world""".split()  # noqa: SIM905 - one a line would be a page


@pytest.mark.parametrize("word", KEYWORDS)
def test_a_keyword_is_a_name_in_a_file_only_with_an_escape_and_in_a_manifest_without(word: str) -> None:
    text = "package a:b;\ninterface c {{ f: func({}: u8); }}"
    with pytest.raises(WitError, match=f'"{word}" is a keyword of WIT: as a name it is %{word}'):
        parse_document(text.format(word))
    assert [of.params[0][0] for of in parse_document(text.format(f"%{word}")).values()] == [word]
    assert read_type(f"enum {{{word}}}").members == ((word, None),)  # type: ignore[union-attr]


def test_a_word_that_only_begins_like_a_keyword_is_a_name() -> None:
    assert parse_document("package a:b;\ninterface c { list-all: func(use-x: u8); }")


def test_the_end_can_be_taken_any_number_of_times() -> None:
    reader = TypeReader(tokenize("a"), is_file=False)
    assert [reader.next().text for _ in range(3)] == ["a", "", ""]
    assert reader.token.kind == "end"


def test_a_token_is_taken_only_if_it_is_the_one() -> None:
    reader = TypeReader(tokenize("a , b"), is_file=False)
    assert [reader.takes(text) for text in (",", "a", "a", ",")] == [False, True, False, True]
    with pytest.raises(WitError, match='expected the last letter, found "b"'):
        reader.must("z", "the last letter")
    with pytest.raises(WitError, match='expected "z", found "b"'):
        reader.must("z")
    reader.must("b")
    assert reader.token.kind == "end"
