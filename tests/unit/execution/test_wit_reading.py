"""Names in WIT text are looked up: what each comes to, which are refused, and what is meant by a wrong one."""

import pytest

from obelisk_daemon.execution.wit_parse import parse_document, parse_function, parse_interfaces, parse_type
from obelisk_daemon.execution.wit_tokens import Place, WitError
from obelisk_daemon.execution.wit_types import (
    EnumType,
    FlagsType,
    FunctionType,
    ListType,
    OptionType,
    Primitive,
    RecordType,
    ResultType,
    TupleType,
    VariantType,
    WitType,
)
from obelisk_daemon.ffqn import Ffqn

U8, STRING = Primitive("u8"), Primitive("string")
READ: list[tuple[str, WitType]] = [
    ("u8", U8),
    ("list<u8>", ListType(U8)),
    ("option<u8>", OptionType(U8)),
    ("tuple<u8, string>", TupleType((U8, STRING))),
    ("result", ResultType(None, None)),
    ("result<u8>", ResultType(U8, None)),
    ("result<_, u8>", ResultType(None, U8)),
    ("result<u8, string>", ResultType(U8, STRING)),
    ("enum {a, b}", EnumType(("a", "b"))),
    ("flags {a, b}", FlagsType(("a", "b"))),
    ("record {a: u8, b: string}", RecordType((("a", U8), ("b", STRING)))),
    ("variant {a, b(u8)}", VariantType((("a", None), ("b", U8)))),
]


@pytest.mark.parametrize(("text", "wit"), READ, ids=[one[0] for one in READ])
def test_every_type_is_what_its_text_says(text: str, wit: WitType) -> None:
    assert parse_type(text) == wit


def test_a_name_that_is_given_hides_no_type_of_wit() -> None:
    assert parse_type("list<u8>", {"u8": STRING, "list": STRING}) == ListType(U8)
    assert parse_type("order", {"order": STRING}) == STRING


def test_who_mistypes_a_name_that_is_given_is_told_the_nearest() -> None:
    with pytest.raises(WitError, match='there is no type "ordr"; did you mean "order"'):
        parse_type("list<ordr>", {"order": U8, "item": U8})
    with pytest.raises(WitError) as caught:
        parse_type("zzzzz", {"order": U8})
    assert caught.value.reason == 'there is no type "zzzzz"'


def test_a_function_has_its_parameters_in_their_order_and_perhaps_a_result() -> None:
    params = [("b", "u8"), ("a", "string")]
    assert parse_function(params, None) == FunctionType((("b", U8), ("a", STRING)))
    assert parse_function([], "u8") == FunctionType((), U8)


def nested(depth: int) -> str:
    return "list<" * (depth - 1) + "u8" + ">" * (depth - 1)


def test_types_nest_as_deep_with_their_names_looked_up_as_in_one_text() -> None:
    text = "package a:b;\ninterface c {{ type d = {}; f: func() -> {}; }}"
    # a name is one level, and what it stands for others
    assert parse_document(text.format(nested(24), nested(25).replace("u8", "d")))
    with pytest.raises(WitError, match="with all names looked up, the types nest more than 50 deep") as caught:
        parse_document(text.format(nested(26), nested(25).replace("u8", "d")))
    assert caught.value.place.line == 2


def test_what_stands_before_a_name_makes_what_it_stands_for_no_less_deep() -> None:
    text = "package a:b;\ninterface c {{ type d = {}; f: func() -> tuple<{}{}>; }}"
    before, at_last = "list<u8>, " * 60, nested(25).replace("u8", "d")
    assert parse_document(text.format(nested(24), before, at_last))
    with pytest.raises(WitError, match="with all names looked up, the types nest more than 50 deep"):
        parse_document(text.format(nested(25), before, at_last))


def test_types_side_by_side_are_no_deeper_than_one() -> None:
    assert parse_type(f"tuple<{', '.join(['list<u8>'] * 60)}>") == TupleType((ListType(U8),) * 60)


def test_a_file_may_come_to_100_000_types_and_to_no_more() -> None:
    def text(rest: int) -> str:
        types = {"t": ["u8"] * 99, "s": ["t"] * 988, "r": ["u8"] * rest}
        lines = [f"type {name} = tuple<{', '.join(of)}>;" for name, of in types.items()]
        return "package a:b;\ninterface c {\n" + "\n".join(lines) + "\n}"

    # each name is one, and so is each tuple: 101 for t, 2 + 988 * 101 for s, 2 + 107 for r
    assert parse_document(text(107)) == {}
    with pytest.raises(WitError, match=r"^line 5, .*: with all names looked up, the types come to more than 100_000$"):
        parse_document(text(108))


FILE = """\
package a:b@1.0.0;
interface one { use two.{kind as sort, id}; type kind = u8; f: func(a: sort, b: kind) -> id; }
interface two { enum kind { x, y } type id = list<kind>; use three.{deep}; g: func() -> deep; }
interface three { record deep { a: string } }
"""


def test_a_name_is_looked_up_in_the_interface_that_has_it_and_not_where_it_is_used() -> None:
    kind = EnumType(("x", "y"))
    one, two, three = parse_interfaces(FILE)
    assert [interface.name for interface in (one, two, three)] == [f"a:b/{n}@1.0.0" for n in ("one", "two", "three")]
    assert one.types == (("sort", kind), ("id", ListType(kind)), ("kind", U8))
    assert two.types == (("kind", kind), ("id", ListType(kind)), ("deep", RecordType((("a", STRING),))))
    assert (three.functions, three.types) == ((), (("deep", RecordType((("a", STRING),))),))
    assert parse_document(FILE) == {
        Ffqn("a:b/one@1.0.0", "f"): FunctionType((("a", kind), ("b", U8)), ListType(kind)),
        Ffqn("a:b/two@1.0.0", "g"): FunctionType((), RecordType((("a", STRING),))),
    }


def in_interface(text: str) -> str:
    return f"package a:b;\ninterface c {{ {text} }}\ninterface o {{ type colour = u8; paint: func(); }}"


REFUSED = [
    ("use o.{paint};", 'the interface "o" has no type "paint"', Place(2, 22, 5)),
    ("use o.{color};", 'the interface "o" has no type "color"', Place(2, 22, 5)),
    ("use p.{colour};", 'the file has no interface "p"', Place(2, 22, 6)),
    ("f: func() -> colour;", 'there is no type "colour"', Place(2, 28, 6)),
    ("use o.{colour}; f: func() -> color;", 'there is no type "color"; did you mean "colour"?', Place(2, 44, 5)),
    ("colours: func(); f: func() -> colour;", 'there is no type "colour"', Place(2, 45, 6)),
]


@pytest.mark.parametrize(("text", "reason", "place"), REFUSED, ids=[one[0] for one in REFUSED])
def test_a_name_that_is_no_type_here_is_refused_where_it_stands(text: str, reason: str, place: Place) -> None:
    with pytest.raises(WitError) as caught:
        parse_interfaces(in_interface(text))
    assert (caught.value.reason, caught.value.place) == (reason, place)


def test_one_name_may_be_used_often_and_after_a_refusal_nothing_is_kept() -> None:
    text = "package a:b;\ninterface c {{ type d = u8; f: func(x: d, y: tuple<d, d>) -> {}; }}"
    with pytest.raises(WitError, match='there is no type "e"'):
        parse_document(text.format("e"))
    (of,) = parse_document(text.format("d")).values()
    assert of == FunctionType((("x", U8), ("y", TupleType((U8, U8)))), U8)
