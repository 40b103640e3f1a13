"""WIT text to types: what is read, what is refused and where, and that nothing but `WitError` is ever raised."""

import contextlib
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obelisk_daemon.execution.wit_parse import parse_document, parse_function, parse_interfaces, parse_type
from obelisk_daemon.execution.wit_syntax import PRIMITIVES, Named, read_type
from obelisk_daemon.execution.wit_text import signature, to_wit
from obelisk_daemon.execution.wit_tokens import MAX_CHARACTERS, Place, WitError, tokenize
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

U8, U64, STRING = Primitive("u8"), Primitive("u64"), Primitive("string")

names = st.from_regex(r"[a-z][a-z0-9]{0,3}(-[a-z0-9]{1,3}){0,2}", fullmatch=True) | st.sampled_from(
    ["list", "record", "type", "u8", "result", "func", "A-1"]
)
several_names = st.lists(names, min_size=1, max_size=4, unique=True)


def shapes(inner: st.SearchStrategy[WitType]) -> st.SearchStrategy[WitType]:
    maybe = st.none() | inner

    def members(types: st.SearchStrategy[WitType | None]) -> st.SearchStrategy[tuple[tuple[str, WitType | None], ...]]:
        return several_names.flatmap(lambda some: st.tuples(*(st.tuples(st.just(name), types) for name in some)))

    return st.one_of(
        inner.map(ListType),
        inner.map(OptionType),
        st.builds(ResultType, maybe, maybe),
        st.lists(inner, min_size=1, max_size=3).map(lambda some: TupleType(tuple(some))),
        members(inner).map(RecordType),  # type: ignore[arg-type]  # none of them is None
        members(maybe).map(VariantType),
        several_names.map(lambda some: EnumType(tuple(some))),
        several_names.map(lambda some: FlagsType(tuple(some))),
    )


types = st.recursive(st.sampled_from(sorted(PRIMITIVES)).map(Primitive), shapes, max_leaves=8)  # type: ignore[arg-type]
functions = st.builds(
    FunctionType,
    st.lists(st.tuples(names, types), max_size=3, unique_by=lambda one: one[0]).map(tuple),
    st.none() | types,
)


class Naming:
    """Writes types as a WIT file has them: every record, variant, enum and flags as a definition of its own."""

    def __init__(self) -> None:
        self.definitions: list[str] = []

    def write(self, wit: WitType | None) -> str:
        match wit:
            case None:
                return "_"
            case ListType(element):
                return f"list<{self.write(element)}>"
            case OptionType(inner):
                return f"option<{self.write(inner)}>"
            case TupleType(elements):
                return f"tuple<{', '.join(map(self.write, elements))}>"
            case ResultType(None, None):
                return "result"
            case ResultType(ok, None):
                return f"result<{self.write(ok)}>"
            case ResultType(ok, err):
                return f"result<{self.write(ok)}, {self.write(err)}>"
            case RecordType(fields):
                return self._defined("record", [f"%{name}: {self.write(of)}" for name, of in fields])
            case VariantType(cases):
                return self._defined("variant", [f"%{n}" + (f"({self.write(t)})" if t else "") for n, t in cases])
            case EnumType(all_names):
                return self._defined("enum", [f"%{name}" for name in all_names])
            case FlagsType(all_names):
                return self._defined("flags", [f"%{name}" for name in all_names])
            case _:
                return to_wit(wit)

    def _defined(self, kind: str, members: list[str]) -> str:
        name = f"t{len(self.definitions)}-of-test"
        self.definitions.append(f"{kind} {name} {{ {', '.join(members)} }}")
        return name


def document(function: FunctionType) -> str:
    naming = Naming()
    params = ", ".join(f"%{name}: {naming.write(of)}" for name, of in function.params)
    result = "" if function.result is None else f" -> {naming.write(function.result)}"
    lines = [f"f-of-test: func({params}){result};", *naming.definitions]
    return "package a:b@1.2.3;\ninterface c {\n" + "\n".join(lines) + "\n}\n"


@given(types)
def test_a_type_reads_back_from_its_text(wit: WitType) -> None:
    assert parse_type(to_wit(wit)) == wit


@given(functions)
def test_a_function_reads_back_from_its_types(function: FunctionType) -> None:
    returns = None if function.result is None else to_wit(function.result)
    assert parse_function([(name, to_wit(of)) for name, of in function.params], returns) == function


@given(functions)
def test_a_function_reads_back_from_a_file_with_names_for_its_types(function: FunctionType) -> None:
    assert parse_document(document(function)) == {Ffqn("a:b/c@1.2.3", "f-of-test"): function}


@given(functions, st.integers(0, 500), st.integers(0, 20), st.text("{}<>(),:;./@=*_%- \nabu8é\0", max_size=6))
def test_a_damaged_file_is_read_or_refused_at_a_place_in_it(
    function: FunctionType, start: int, length: int, inserted: str
) -> None:
    text = document(function)
    damaged = text[:start] + inserted + text[start + length :]
    place = place_of_error(damaged)
    if place is not None:
        lines = damaged.split("\n")
        assert 1 <= place.line <= len(lines)
        assert 1 <= place.column <= len(lines[place.line - 1]) + 1


def place_of_error(text: str) -> Place | None:
    try:
        parse_document(text)
    except WitError as error:
        return error.place
    return None


@given(st.text("<>{}(),:_ listrecordu8%-", max_size=30))
def test_any_text_is_a_type_or_refused(text: str) -> None:
    with contextlib.suppress(WitError):
        parse_type(text)


def test_a_type_may_use_names_that_are_given() -> None:
    assert parse_type("list<order>", {"order": RecordType((("id", U64),))}) == ListType(RecordType((("id", U64),)))


def test_spaces_comments_and_a_last_comma_change_nothing() -> None:
    text = "result< /* of /* all */ orders */ tuple<u8,u64 ,>, // text\n\tstring >"
    assert parse_type(text) == ResultType(TupleType((U8, U64)), STRING)


REFUSED_TYPES = [
    ("u65", 1, 'there is no type "u65"; did you mean "u64"?'),
    ("result<bol, string>", 8, 'there is no type "bol"; did you mean "bool"?'),
    ("list<order>", 6, 'there is no type "order"'),
    ("i32", 1, 'there is no type "i32"; did you mean "s32"?'),
    ("option<Boolean>", 8, 'there is no type "Boolean"; did you mean "bool"?'),
    ("", 1, "expected a type, found the end"),
    ("  ", 3, "expected a type, found the end"),
    ("list<u8", 8, 'expected ">", found the end'),
    ("list", 5, 'expected "<" after list, found the end'),
    ("u8 u8", 4, 'expected nothing after the type, found "u8"'),
    ("list<u8, 4>", 8, "lists of a fixed length are not supported: leave the length out"),
    ("result<_>", 1, "result<_> is written result"),
    ("result<u8, _>", 12, 'expected a type, found "_"'),
    ("tuple<>", 1, "a tuple has at least one type"),
    ("record {}", 1, "this record has nothing in it"),
    ("flags {}", 1, "flags have nothing in it"),
    ("record {a: u8, a: u8}", 16, '"a" is in this record twice'),
    ("record {a}", 10, 'expected ":" and the type of "a", found "}"'),
    ("enum {a(u8)}", 8, 'expected "," or "}", found "("'),
    ("func", 1, 'expected a type, found "func"'),
    ("record", 1, 'expected a type, found "record"'),
    ("borrow<u8>", 1, "borrow<> is of resources; resources can't cross between components, so a stub has none"),
    ("stream<u8>", 1, "stream can't be recorded"),
    ("u8é", 3, 'WIT has no "é" here'),
    ("/* u8", 1, "this comment has no end: it ends with */"),
]


@pytest.mark.parametrize(("text", "column", "reason"), REFUSED_TYPES, ids=[one[0] for one in REFUSED_TYPES])
def test_what_is_no_type_is_refused_at_its_place(text: str, column: int, reason: str) -> None:
    with pytest.raises(WitError) as caught:
        parse_type(text)
    assert caught.value.reason.startswith(reason)
    assert (caught.value.place.line, caught.value.place.column) == (1, column)
    assert caught.value.code == "invalid_wit"


def test_an_error_is_as_wide_as_the_word_and_counts_lines_and_characters() -> None:
    with pytest.raises(WitError, match="line 3, column 9: there is no type") as caught:
        parse_type("result<\n  bool,\n/* é */ strin>")
    assert caught.value.place == (3, 9, 5)


def test_types_may_nest_but_not_without_bound() -> None:
    assert to_wit(parse_type("list<" * 49 + "u8" + ">" * 49)) == "list<" * 49 + "u8" + ">" * 49
    for depth in (50, 10_000):
        with pytest.raises(WitError, match="nest more than 50 deep"):
            parse_type("list<" * depth + "u8" + ">" * depth)


def test_flags_have_at_most_32_names() -> None:
    few, many = ([f"n{number}" for number in range(count)] for count in (32, 33))
    assert parse_type(f"flags {{{', '.join(few)}}}") == FlagsType(tuple(few))
    with pytest.raises(WitError, match="at most 32"):
        parse_type(f"flags {{{', '.join(many)}}}")


def test_a_text_that_is_too_long_is_refused() -> None:
    with pytest.raises(WitError, match="more than 1_048_576 characters"):
        tokenize(" " * (MAX_CHARACTERS + 1))


def test_a_tree_keeps_names_and_where_they_stand() -> None:
    assert read_type(" order") == Named("order", (1, 2, 5))  # type: ignore[arg-type]  # a place is a tuple


EVERYTHING = """\
/// Approvals.
package example:shop@1.1.0;

/* A world is of no interest here. */
@since(version = 1.0.0)
world shop { export approval; export nested: interface { x: func(); } }

interface approval {
  use types.{order, id, kind as order-kind};
  use verdicts.{verdict};
  @since(version = 1.0.0)
  approve: func(order: order) -> result<verdict, string>;
  @since(version = 1.0.0)
  @deprecated(version = 1.0.1)
  ask-kind: func(id: id) -> order-kind;
  %use: func();
  fail: func() -> result<_, string>;
}

interface types {
  use verdicts.{verdict as opinion};
  type id = u64;
  record order { id: id, items: list<item>, %type: kind, who: option<opinion> }
  record item { name: string, %flags: bits, }
  enum kind { normal, express }
  flags bits { gift, fragile }
}

interface verdicts {
  variant verdict { yes, no(string), later(tuple<u8, f32>) }
}
"""


def test_a_file_has_interfaces_that_use_each_others_types() -> None:
    found = parse_document(EVERYTHING)
    shown = {str(ffqn): signature(of) for ffqn, of in found.items()}
    verdict = "variant {yes, no(string), later(tuple<u8, f32>)}"
    item = "record {name: string, flags: flags {gift, fragile}}"
    kind = "enum {normal, express}"
    order = f"record {{id: u64, items: list<{item}>, type: {kind}, who: option<{verdict}>}}"
    interface = "example:shop/approval@1.1.0"
    assert shown == {
        f"{interface}.approve": f"func(order: {order}) -> result<{verdict}, string>",
        f"{interface}.ask-kind": f"func(id: u64) -> {kind}",
        f"{interface}.use": "func()",
        f"{interface}.fail": "func() -> result<_, string>",
    }


def test_an_interface_may_name_the_files_own_package_in_use() -> None:
    text = "package a:b@1.0.0-rc.1+x;\ninterface c { type d = u8; }\n"
    text += "interface e { use a:b/c@1.0.0-rc.1+x.{d}; f: func() -> d; }"
    assert parse_document(text) == {Ffqn("a:b/e@1.0.0-rc.1+x", "f"): FunctionType((), U8)}


def test_an_interface_keeps_the_names_of_its_types_and_of_those_it_uses() -> None:
    approval, types, verdicts = parse_interfaces(EVERYTHING)
    assert [name for name, _ in approval.types] == ["order", "id", "order-kind", "verdict"]
    assert [name for name, _ in types.types] == ["opinion", "id", "order", "item", "kind", "bits"]
    assert types.functions == ()
    assert dict(types.types)["opinion"] == dict(verdicts.types)["verdict"]
    assert (approval.name, len(approval.functions)) == ("example:shop/approval@1.1.0", 4)


def test_a_name_of_a_function_parses_as_one() -> None:
    for ffqn in parse_document(EVERYTHING):
        assert Ffqn.parse(str(ffqn)) == ffqn


def test_a_file_may_have_no_functions() -> None:
    assert parse_document("package a:b;\ninterface c { type d = u8; }\n") == {}


def in_interface(text: str) -> str:
    return f"package a:b;\ninterface c {{\n  {text}\n}}\n"


REFUSED_ITEMS = [
    ("resource d;", 3, "resources can't cross"),
    ("resource d { constructor(); }", 3, "resources can't cross"),
    ("d: func(x: borrow<e>);", 14, "borrow<> is of resources"),
    ("use wasi:io/poll@0.2.0.{pollable};", 7, "wasi:io/poll@0.2.0 is of another package, which is not read"),
    ("use a:b/c@1.0.0.{d};", 7, "a:b/c@1.0.0 is of another package"),
    ("use d.{e};", 10, 'the file has no interface "d"'),
    ("use c.{e};", 10, 'the type "e" contains itself'),
    ("use c.{d as e};", 10, 'the interface "c" has no type "d"'),
    ("d: func(); use c.{d as e};", 21, 'the interface "c" has no type "d"'),
    ("use c.{d};", 10, 'the type "d" contains itself'),
    ("type d = d;", 12, 'the type "d" contains itself'),
    ("record d { e: option<f> } record f { g: list<d> }", 48, 'the type "d" contains itself'),
    ("type d = e;", 12, 'there is no type "e"'),
    ("type ordr = u8; d: func() -> order;", 32, 'there is no type "order"; did you mean "ordr"?'),
    ("d: func(); type e = d;", 23, 'there is no type "d"'),
    ("type d = u8; record d { e: u8 }", 16, '"d" is in this interface twice'),
    ("type %u8 = u16;", 14, '"u8" is a type of WIT itself'),
    ("d: func(a: u8, a: u8);", 18, '"a" is the name of two parameters'),
    ("d: func() -> (e: u8);", 16, "results with names are not supported"),
    ("d: async func();", 6, "async functions are not supported"),
    ("d: func() -> record { e: u8 };", 16, "a record needs a name: define it as record my-record"),
    ("list: func();", 3, '"list" is a keyword of WIT: as a name it is %list'),
    ("record d { type: u8 }", 14, '"type" is a keyword of WIT: as a name it is %type'),
    ("@unstable(feature = x) d: func();", 4, "@unstable is not supported"),
    ("d: func()", 1, 'expected ";", found "}"'),
    ("d func();", 5, 'expected ":" and the function "d", found "func"'),
    ("12", 3, 'expected a type or a function, found "12"'),
]


@pytest.mark.parametrize(("text", "column", "reason"), REFUSED_ITEMS, ids=[one[0] for one in REFUSED_ITEMS])
def test_what_an_interface_may_not_have_is_refused_at_its_place(text: str, column: int, reason: str) -> None:
    with pytest.raises(WitError) as caught:
        parse_document(in_interface(text))
    assert caught.value.reason.startswith(reason)
    assert caught.value.place.column == column


REFUSED_FILES = [
    ("interface c {}", 'expected the package: "package namespace:name;", found "interface"'),
    ("package a;", 'expected ":", found ";"'),
    ("package a:b;\npackage c:d { }", "a file has one package"),
    ("package a:b;\nuse c:d/e;", "write use inside the interface that needs it"),
    ("package a:b;\ninterface c {}\ninterface c {}", '"c" is the name of two interfaces'),
    ("package a:b;\ninterface c {", "expected a type or a function, found the end"),
    ("package a:b;\nworld c { export d;", 'expected "}", found the end'),
    ("package a:b;\ntype c = u8;", 'expected "interface" or "world", found "type"'),
    ("package a:b;\ninterface c { @since(version = 1", 'expected ")", found the end'),
]


@pytest.mark.parametrize(("text", "reason"), REFUSED_FILES, ids=[one[1] for one in REFUSED_FILES])
def test_what_is_no_file_with_one_package_is_refused(text: str, reason: str) -> None:
    with pytest.raises(WitError) as caught:
        parse_document(text)
    assert caught.value.reason.startswith(reason)


def doubling(levels: int) -> Iterator[str]:
    yield "type t0 = u8;"
    for level in range(1, levels):
        yield f"record t{level} {{ a: t{level - 1}, b: t{level - 1} }}"


def test_types_that_double_with_every_line_are_refused_before_they_fill_the_memory() -> None:
    assert parse_document(in_interface("\n".join(doubling(8)))) == {}
    with pytest.raises(WitError, match="come to more than 100_000"):
        parse_document(in_interface("\n".join(doubling(22))))


def test_a_long_chain_of_names_is_refused() -> None:
    chain = "\n".join(f"type t{number} = t{number + 1};" for number in range(1000))
    with pytest.raises(WitError, match="nest more than 50 deep"):
        parse_document(in_interface(f"{chain}\ntype t1000 = u8;"))
