"""Plain values from JSON and to JSON, by the rules of DESIGN.md section 7."""

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obelisk_daemon.errors import CallerError
from obelisk_daemon.execution.wit_json import from_json, params_from_json, result_from_json, same, to_json
from obelisk_daemon.execution.wit_text import signature, to_wit
from obelisk_daemon.execution.wit_types import (
    BYTES,
    EnumType,
    FlagsType,
    FunctionType,
    ListType,
    OptionType,
    Primitive,
    PrimitiveName,
    RecordType,
    ResourceType,
    ResultType,
    TupleType,
    VariantType,
    WitType,
)


def p(name: PrimitiveName) -> Primitive:
    return Primitive(name)


ITEM = RecordType((("unit-price", p("u32")), ("note", OptionType(p("string")))))
ORDER = RecordType((("id", p("u64")), ("items", ListType(ITEM))))
SHAPE = VariantType((("circle", p("f32")), ("not-round", ITEM), ("empty", None), ("maybe", OptionType(p("u8")))))
COLOR = EnumType(("red", "green-ish"))
PERM = FlagsType(("read", "write-all", "exec"))

ACCEPTED: list[tuple[WitType, Any, Any]] = [
    (p("bool"), True, True),
    (p("u8"), 255, 255),
    (p("u8"), 7.0, 7),
    (p("s64"), -(2**63), -(2**63)),
    (p("u64"), 2**64 - 1, 2**64 - 1),
    (p("u64"), 2.0**52, 2**52),
    (p("s8"), -0.0, 0),
    (p("f64"), 1, 1.0),
    (p("f64"), 2**53, 2.0**53),
    (p("f64"), 0.1, 0.1),
    (p("f64"), "Infinity", math.inf),
    (p("f64"), "-Infinity", -math.inf),
    (p("f32"), 2**24, 2.0**24),
    (p("f32"), 0.1, 0.10000000149011612),
    (p("char"), "\U0001f600", "\U0001f600"),
    (p("string"), "hällo", "hällo"),
    (BYTES, [0, 255], b"\x00\xff"),
    (BYTES, [1.0], b"\x01"),
    (ListType(p("u8")), [], b""),
    (ListType(p("string")), ["a"], ["a"]),
    (TupleType((p("u8"), p("string"))), [1, "a"], [1, "a"]),
    (ITEM, {"unit_price": 1, "note": "x"}, {"unit_price": 1, "note": "x"}),
    (ITEM, {"note": None, "unit-price": 1}, {"unit_price": 1, "note": None}),
    (ITEM, {"unit_price": 1}, {"unit_price": 1, "note": None}),
    (SHAPE, "empty", "empty"),
    (SHAPE, {"circle": 1.5}, {"circle": 1.5}),
    (SHAPE, {"not-round": {"unit-price": 2}}, {"not_round": {"unit_price": 2, "note": None}}),
    (SHAPE, {"maybe": None}, {"maybe": None}),
    (COLOR, "green-ish", "green_ish"),
    (COLOR, "green_ish", "green_ish"),
    (PERM, ["exec", "write-all"], ["write_all", "exec"]),
    (PERM, [], []),
    (OptionType(p("u8")), None, None),
    (OptionType(p("u8")), 1, 1),
    (OptionType(OptionType(p("u8"))), None, None),
    (OptionType(OptionType(p("u8"))), {"some": None}, {"some": None}),
    (OptionType(OptionType(p("u8"))), {"some": 1}, {"some": 1}),
    (ResultType(p("u8"), p("string")), {"ok": 1}, {"ok": 1}),
    (ResultType(p("u8"), p("string")), {"err": "x"}, {"err": "x"}),
    (ResultType(), {"ok": None}, {"ok": None}),
]

REFUSED: list[tuple[WitType, Any, str]] = [
    (p("bool"), 1, "value: expected bool, got 1"),
    (p("u8"), 256, "value: expected u8, got 256 (from 0 to 255)"),
    (p("u8"), -1, "value: expected u8, got -1 (from 0 to 255)"),
    (p("u8"), 1.5, "value: expected u8, got 1.5"),
    (p("u8"), True, "value: expected u8, got true"),
    (p("u8"), "1", 'value: expected u8, got "1"'),
    (p("u8"), None, "value: expected u8, got null"),
    (p("u64"), 2.0**53, "value: expected u64, got 9007199254740992.0"),
    (p("f64"), 2**53 + 1, "value: expected f64, got 9007199254740993 (it can't be held exactly)"),
    (p("f32"), 2**24 + 1, "value: expected f32, got 16777217 (it can't be held exactly)"),
    (p("f32"), 1e300, "value: expected f32, got 1e+300 (too large)"),
    (p("f64"), 10**400, f"value: expected f64, got 1{'0' * 59}... (too large)"),
    (p("f64"), "nan", 'value: expected f64, got "nan" (or "NaN", "Infinity", "-Infinity")'),
    (p("f64"), False, "value: expected f64, got false"),
    (p("char"), "ab", 'value: expected char, got "ab" (a string of one character)'),
    (p("char"), "\ud800", 'value: expected char, got "\\ud800" (a lone surrogate is not text)'),
    (p("string"), "a\udfff", 'value: expected string, got "a\\udfff" (a lone surrogate is not text)'),
    (p("string"), 5, "value: expected string, got 5"),
    (BYTES, [1, 256], "value[1]: expected u8, got 256 (from 0 to 255)"),
    (BYTES, [1, True], "value[1]: expected u8, got true"),
    (BYTES, "ab", 'value: expected list<u8>, got "ab"'),
    (ListType(p("string")), ["a", 1], "value[1]: expected string, got 1"),
    (TupleType((p("u8"),)), [1, 2], "value: expected tuple<u8>, got [1, 2] (an array of 1)"),
    (TupleType((p("u8"), p("u8"))), [1, "x"], 'value[1]: expected u8, got "x"'),
    (
        ORDER,
        {"id": 1, "items": [{"unit_price": 1}, {"unit_price": "x"}]},
        'value.items[1].unit_price: expected u32, got "x"',
    ),
    (
        ITEM,
        {"note": "x"},
        (
            "value: expected record {unit-price: u32, note: option<string>}, "
            'got {"note": "x"} (field unit_price is missing)'
        ),
    ),
    (
        ITEM,
        {"unit_price": 1, "b": 1, "a": 1},
        (
            "value: expected record {unit-price: u32, note: option<string>}, "
            'got {"unit_price": 1, "b": 1, "a": 1} (unknown field a, b)'
        ),
    ),
    (
        ITEM,
        {"unit_price": 1, "unit-price": 2},
        (
            "value: expected record {unit-price: u32, note: option<string>}, "
            'got {"unit_price": 1, "unit-price": 2} (a field is given twice, with - and with _)'
        ),
    ),
    (SHAPE, {"circle": "x"}, 'value.circle: expected f32, got "x"'),
    (COLOR, "blue", 'value: expected enum {red, green-ish}, got "blue"'),
    (PERM, ["read", "read"], 'got ["read", "read"] (a name is given twice)'),
    (PERM, ["fly"], 'value: expected flags {read, write-all, exec}, got "fly"'),
    (OptionType(OptionType(p("u8"))), 1, 'expected option<option<u8>>, got 1 (null or {"some": value})'),
    (ResultType(p("u8")), 1, 'value: expected result<u8>, got 1 ({"ok": value} or {"err": value})'),
    (ResultType(p("u8")), {"err": "x"}, 'got {"err": "x"} (err has no payload: null)'),
    (ResultType(p("u8"), p("u8")), {"ok": "x"}, 'value.ok: expected u8, got "x"'),
    (ResourceType("a:b/c.thing", owned=True), 1, "expected a:b/c.thing, got 1 (a resource has no JSON)"),
]


@pytest.mark.parametrize(("wit", "value", "plain"), ACCEPTED)
def test_json_becomes_a_plain_value(wit: WitType, value: Any, plain: Any) -> None:
    read = from_json(wit, value, "value")
    assert same(read, plain), read


@pytest.mark.parametrize(("wit", "value", "plain"), ACCEPTED)
def test_a_plain_value_survives_its_json(wit: WitType, value: Any, plain: Any) -> None:
    again = from_json(wit, json.loads(json.dumps(to_json(plain), allow_nan=False)), "value")
    assert same(again, plain), again


@pytest.mark.parametrize(("wit", "value", "message"), REFUSED)
def test_what_does_not_fit_is_refused_with_its_place_type_and_value(wit: WitType, value: Any, message: str) -> None:
    with pytest.raises(CallerError) as caught:
        from_json(wit, value, "value")
    assert message in str(caught.value)
    assert caught.value.code == "type_check_failed"


@pytest.mark.parametrize("value", ["nope", "circle", {"empty": None}, {"nope": 1}, {}, {"circle": 1, "empty": 1}, 1])
def test_a_variant_is_one_of_its_cases(value: Any) -> None:
    with pytest.raises(CallerError, match="expected variant"):
        from_json(SHAPE, value, "value")


def test_nan_goes_both_ways_as_a_string() -> None:
    assert math.isnan(from_json(p("f64"), "NaN", "value"))
    assert to_json({"x": [math.nan, math.inf, -math.inf]}) == {"x": ["NaN", "Infinity", "-Infinity"]}


FUNCTION = FunctionType((("n", p("u8")), ("an-order", ORDER)), ResultType(p("u64"), p("string")))


def test_an_error_names_the_parameter() -> None:
    with pytest.raises(CallerError) as caught:
        params_from_json(FUNCTION, [1, {"id": 1, "items": [{"unit_price": None}]}])
    assert str(caught.value) == "parameter an-order.items[0].unit_price: expected u32, got null"


@pytest.mark.parametrize(
    ("params", "message"),
    [([1], "expected 2 parameters (n: u8, an-order: record"), ({"n": 1}, "parameters are one JSON array of (n: u8")],
)
def test_a_wrong_number_of_parameters_shows_the_right_ones(params: Any, message: str) -> None:
    with pytest.raises(CallerError) as caught:
        params_from_json(FUNCTION, params)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("wit", "text"),
    [
        (SHAPE, ("variant {circle(f32), not-round(record {unit-price: u32, note: option<string>}), "
                "empty, maybe(option<u8>)}")),
        (ResultType(), "result"),
        (ResultType(p("u8")), "result<u8>"),
        (ResultType(None, p("u8")), "result<_, u8>"),
        (ListType(TupleType((p("char"), BYTES))), "list<tuple<char, list<u8>>>"),
        (ResourceType("a:b/c.thing", owned=False), "borrow<a:b/c.thing>"),
        (ResourceType("a:b/c.thing", owned=True), "a:b/c.thing"),
    ],
)  # fmt: skip
def test_types_are_written_as_wit(wit: WitType, text: str) -> None:
    assert to_wit(wit) == text


def test_a_signature_is_written_as_wit() -> None:
    assert signature(FunctionType((("n", p("u8")),), p("bool"))) == "func(n: u8) -> bool"
    assert signature(FunctionType(())) == "func()"


@pytest.mark.parametrize(
    ("left", "right", "alike"),
    [
        (math.nan, math.nan, True),
        (0.0, -0.0, False),
        (1, 1.0, False),
        (1, True, False),
        ([1, [math.nan]], [1, [math.nan]], True),
        ([1], [1, 2], False),
        ({"a": 1}, {"a": 1, "b": 2}, False),
        ({"a": b"x"}, {"a": b"x"}, True),
    ],
)
def test_plain_values_are_compared_exactly(left: Any, right: Any, alike: bool) -> None:
    assert same(left, right) is alike


def types() -> st.SearchStrategy[WitType]:
    names: list[PrimitiveName] = [
        "bool", "s8", "u8", "s16", "u16", "s32", "u32", "s64", "u64", "f32", "f64", "char", "string",
    ]  # fmt: skip
    return st.recursive(
        st.sampled_from([p(n) for n in names] + [COLOR, PERM, ResultType()]),
        lambda inner: st.one_of(
            inner.map(ListType),
            inner.map(OptionType),
            st.tuples(inner, inner).map(TupleType),
            st.tuples(inner, inner).map(lambda t: RecordType((("a-b", t[0]), ("c", t[1])))),
            st.tuples(inner, inner).map(lambda t: VariantType((("a-b", t[0]), ("c", None), ("d", t[1])))),
            st.tuples(inner, st.none() | inner).map(lambda t: ResultType(*t)),
        ),
        max_leaves=8,
    )


def values(wit: WitType) -> st.SearchStrategy[Any]:
    match wit:
        case Primitive("bool"):
            return st.booleans()
        case Primitive("f32"):
            return st.floats(width=32)
        case Primitive("f64"):
            return st.floats()
        case Primitive("char"):
            return st.characters(exclude_categories=["Cs"])
        case Primitive("string"):
            return st.text()
        case Primitive(name):
            bits, signed = int(name[1:]), name[0] == "s"
            low = -(1 << bits - 1) if signed else 0
            return st.integers(low, low + (1 << bits) - 1)
        case ListType(element):
            return st.binary(max_size=20) if wit == BYTES else st.lists(values(element), max_size=3)
        case OptionType(inner):
            some = values(inner)
            return st.none() | (some.map(lambda v: {"some": v}) if isinstance(inner, OptionType) else some)
        case TupleType(elements):
            return st.tuples(*map(values, elements)).map(list)
        case RecordType(fields):
            return st.fixed_dictionaries({name.replace("-", "_"): values(t) for name, t in fields})
        case VariantType(cases):
            return st.one_of(
                [
                    st.just(name) if t is None else values(t).map(lambda v, n=name: {n.replace("-", "_"): v})
                    for name, t in cases
                ]
            )
        case ResultType(ok, err):
            sides = [("ok", ok), ("err", err)]
            return st.one_of(
                [(st.none() if t is None else values(t)).map(lambda v, s=side: {s: v}) for side, t in sides]
            )
        case EnumType(names):
            return st.sampled_from([n.replace("-", "_") for n in names])
        case FlagsType(names):
            order = [n.replace("-", "_") for n in names]
            return st.sets(st.sampled_from(order)).map(lambda s: sorted(s, key=order.index))
    raise AssertionError(wit)


@given(types().flatmap(lambda t: st.tuples(st.just(t), values(t))))
def test_any_value_of_any_type_survives_its_json(drawn: tuple[WitType, Any]) -> None:
    wit, plain = drawn
    text = json.dumps(to_json(plain), allow_nan=False)
    assert same(from_json(wit, json.loads(text), "value"), plain)


def test_a_result_is_read_by_the_type_that_the_function_returns() -> None:
    u8 = Primitive("u8")
    assert result_from_json(FunctionType((), ResultType(u8)), {"ok": 5}) == {"ok": 5}
    assert result_from_json(FunctionType((), u8), 5) == 5
    assert result_from_json(FunctionType(()), None) is None


@pytest.mark.parametrize(("result", "wrong"), [(None, 5), (Primitive("u8"), None), (ResultType(None), {"ok": 1})])
def test_a_result_of_another_type_is_named(result: WitType | None, wrong: object) -> None:
    with pytest.raises(CallerError, match=r"^result") as refused:
        result_from_json(FunctionType((), result), wrong)
    assert refused.value.code == "type_check_failed"


@pytest.mark.parametrize(
    ("name", "least", "most"),
    [
        ("s8", -128, 127),
        ("s16", -32_768, 32_767),
        ("s32", -2_147_483_648, 2_147_483_647),
        ("s64", -9_223_372_036_854_775_808, 9_223_372_036_854_775_807),
        ("u8", 0, 255),
        ("u16", 0, 65_535),
        ("u32", 0, 4_294_967_295),
        ("u64", 0, 18_446_744_073_709_551_615),
    ],
)
def test_a_whole_number_is_taken_up_to_the_ends_of_its_type_and_not_beyond(
    name: PrimitiveName, least: int, most: int
) -> None:
    assert [from_json(p(name), number, "it") for number in (least, most)] == [least, most]
    for number in (least - 1, most + 1):
        with pytest.raises(CallerError, match=name):
            from_json(p(name), number, "it")
