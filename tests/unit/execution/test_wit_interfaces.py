"""Interfaces with the names of their types: what is in a type, what one is called, and what one function needs."""

import pytest

from obelisk_daemon.execution.wit_interfaces import (
    Scope,
    WitInterface,
    narrowed,
    owner_of,
    package_of,
    parts,
    places,
    resources_in,
)
from obelisk_daemon.execution.wit_types import (
    EnumType,
    FunctionType,
    ListType,
    OptionType,
    Primitive,
    RecordType,
    ResourceType,
    ResultType,
    TupleType,
    VariantType,
    WitType,
)

U8, STRING = Primitive("u8"), Primitive("string")
ID, COLOR = RecordType((("id", STRING),)), EnumType(("red", "green"))
POLLABLE = ResourceType("wasi:io/poll@0.2.0.pollable", owned=True)
PARTS: list[tuple[WitType, list[tuple[str, WitType]]]] = [
    (U8, []),
    (COLOR, []),
    (POLLABLE, []),
    (ListType(U8), [("", U8)]),
    (OptionType(STRING), [("", STRING)]),
    (TupleType((U8, STRING)), [("", U8), ("", STRING)]),
    (RecordType((("a", U8), ("b", STRING))), [("a", U8), ("b", STRING)]),
    (VariantType((("a", None), ("b", STRING))), [("b", STRING)]),
    (ResultType(), []),
    (ResultType(None, STRING), [("error", STRING)]),
    (ResultType(U8, STRING), [("", U8), ("error", STRING)]),
]


@pytest.mark.parametrize(("wit", "inside"), PARTS, ids=[str(one) for one, _ in PARTS])
def test_what_is_directly_in_a_type_is_named_after_its_place(wit: WitType, inside: list[tuple[str, WitType]]) -> None:
    assert list(parts(wit)) == inside


def test_a_function_has_its_parameters_and_its_result_as_places() -> None:
    assert list(places(FunctionType((("a", U8), ("b", STRING)), COLOR))) == [
        ("a", U8),
        ("b", STRING),
        ("result", COLOR),
    ]
    assert list(places(FunctionType(()))) == []


def test_resources_are_found_however_deep_they_are() -> None:
    other = ResourceType("wasi:io/streams@0.2.0.input-stream", owned=False)
    deep = RecordType((("a", ListType(OptionType(POLLABLE))), ("b", TupleType((U8, other)))))
    assert list(resources_in(deep)) == [POLLABLE, other]
    assert list(resources_in(ID)) == []


def test_a_package_has_the_version_of_its_interfaces() -> None:
    assert (package_of("a:b/c@1.0.0-rc.1"), package_of("a:b/c")) == ("a:b@1.0.0-rc.1", "a:b")


def test_a_resource_is_of_an_interface_whose_version_has_dots() -> None:
    assert owner_of(POLLABLE) == ("wasi:io/poll@0.2.0", "pollable")


def test_of_a_narrowed_interface_one_function_is_left_and_the_named_types_inside_it() -> None:
    item = RecordType((("color", COLOR),))
    wanted = FunctionType((("items", ListType(item)), ("url", STRING)), OptionType(ID))
    types = (("color", COLOR), ("url", STRING), ("item", item), ("other", EnumType(("x",))), ("id", ID))
    interface = WitInterface("a:b/c", types, (("f", wanted), ("g", FunctionType((("x", EnumType(("x",))),)))))
    left = narrowed(interface, "f")
    assert left == WitInterface("a:b/c", (("color", COLOR), ("item", item), ("id", ID)), (("f", wanted),))


def test_a_name_that_is_taken_is_numbered_from_2() -> None:
    scope = Scope("a:b/c", frozenset({"id"}))
    made = [scope.define("id", wit) for wit in (ID, COLOR, U8)]
    assert made == ["id-n2", "id-n3", "id-n4"]
    assert scope.definitions == {"id-n2": ID, "id-n3": COLOR, "id-n4": U8}
    assert scope.define("color", COLOR) == "color"


def test_names_that_a_scope_was_made_with_are_taken_in_it_alone() -> None:
    reserved = frozenset({"id"})
    for _ in range(2):
        assert Scope("a:b/c", reserved).define("color", COLOR) == "color"
    assert reserved == {"id"}


def test_a_structure_has_all_its_names_and_is_called_as_its_place_is_where_that_is_one() -> None:
    scope = Scope("a:b/c", frozenset())
    assert not scope.knows(ID)
    assert scope.names_of(ID) == ()
    scope.define("order-id", ID)
    scope.define("user-id", ID)
    scope.define("age", U8)
    assert scope.names_of(ID) == ("order-id", "user-id")
    assert [scope.name_of(ID, place) for place in ("user-id", "order-id", "x")] == ["user-id", "order-id", "order-id"]
    assert (scope.knows(ID), scope.knows(U8), scope.names_of(U8)) == (True, False, ())
    assert (scope.local("user-id", ID), scope.local("user-id", U8), scope.local("x", ID)) == ("user-id", None, None)


def test_a_type_is_taken_over_once_under_a_name_that_is_free() -> None:
    scope = Scope("a:b/c", frozenset({"pollable"}))
    for _ in range(2):
        assert scope.use("wasi:io/poll@0.2.0", "pollable", POLLABLE) == "pollable-n2"
        assert scope.use("a:b/d", "id", ID) == "id"
        assert scope.use("a:b/d", "color", COLOR) == "color"
    assert scope.uses == {
        "wasi:io/poll@0.2.0": [("pollable", "pollable-n2")],
        "a:b/d": [("id", "id"), ("color", "color")],
    }
    assert (scope.definitions, scope.name_of(POLLABLE, "x")) == ({}, "pollable-n2")
