"""Which interfaces, types and `use` lines a text of WIT needs."""

import pytest

from obelisk_daemon.execution.wit_extensions import EXECUTION_ID
from obelisk_daemon.execution.wit_interfaces import Scope, WitComponent, WitInterface
from obelisk_daemon.execution.wit_packages import Book, make_book
from obelisk_daemon.execution.wit_types import (
    EnumType,
    FunctionType,
    ListType,
    OptionType,
    Primitive,
    RecordType,
    ResourceType,
    ResultType,
    WitType,
)

U8, STRING = Primitive("u8"), Primitive("string")
ID, COLOR = RecordType((("id", STRING),)), EnumType(("red", "green"))
JOIN_SET = ResourceType("obelisk:types/join-set@5.0.0.join-set", owned=True)
BODY = ResourceType("wasi:http/types@0.2.0.incoming-body", owned=True)
SHIPPED = ("obelisk:types@5.0.0",)


def taking(*params: tuple[str, WitType], result: WitType | None = None) -> FunctionType:
    return FunctionType(params, result)


def book_of(
    *exports: WitInterface, imports: tuple[WitInterface, ...] = (), kind: str = "activity", extensions: bool = False
) -> Book:
    return make_book([WitComponent("one", kind, exports, imports)], SHIPPED, extensions=extensions)


def scope_of(name: str, *types: tuple[str, WitType], functions: tuple[tuple[str, FunctionType], ...] = ()) -> Scope:
    return book_of(WitInterface(name, types, functions)).scopes[name]


def linked(*uses: tuple[str, str]) -> Book:
    book = Book(SHIPPED)
    for number, (user, used) in enumerate(uses):
        book.use(book.scope(user), used, f"t{number}", ID)
    return book


def test_only_the_packages_whose_text_is_there_are_shipped() -> None:
    book = Book(SHIPPED)
    names = ("obelisk:types/time@5.0.0", "obelisk:types/time@4.0.0", "obelisk:types/time", "a:b/c")
    assert [book.is_shipped(name) for name in names] == [True, False, False, False]


@pytest.mark.parametrize(
    ("user", "used", "may"),
    [
        ("a:a/x", "a:a/y", True),
        ("a:a/y", "a:a/x", False),  # the other way round there is one already
        ("a:a/z", "a:a/x", False),  # and over a third one
        ("a:a/x", "a:a/z", True),
        ("b:b/p", "a:a/w", True),
        ("c:c/q", "a:a/w", False),  # its package is used by theirs
        ("d:d/q", "a:a/w", False),  # over another package
        ("a:a/w", "d:d/other", True),
        ("a:a/x", "a:a/x", False),
    ],
)
def test_neither_interfaces_nor_packages_use_each_other_in_a_circle(user: str, used: str, may: bool) -> None:
    book = linked(
        ("a:a/x", "a:a/y"), ("a:a/y", "a:a/z"), ("a:a/v", "c:c/r"), ("c:c/r", "d:d/s"), ("b:b/p", "d:d/s"),
    )  # fmt: skip
    assert book.may_use(user, used) is may


def test_what_uses_itself_already_is_looked_through_once() -> None:
    book = linked(("a:a/x", "a:a/y"), ("a:a/y", "a:a/x"))
    assert book.may_use("a:a/z", "a:a/x")


def test_packages_are_noted_that_another_one_uses() -> None:
    book = linked(("a:a/x", "a:a/y"), ("a:a/x", "b:b/z@1.0.0"), ("a:a/y", "c:c/z"))
    assert book.used_packages == {"a:a": {"b:b@1.0.0", "c:c"}}


def test_a_name_of_a_function_is_kept_from_types_in_all_components_that_have_the_interface() -> None:
    one, two = (
        WitComponent(name, "activity", (WitInterface("a:b/c", types, ((function, taking()),)),))
        for name, function, types in (("one", "f", (("color", COLOR),)), ("two", "color", ()))
    )
    scope = make_book([one, two], SHIPPED).scopes["a:b/c"]
    assert list(scope.definitions) == ["color-n2"]
    assert scope.comments == ['/// Of the activity "one".', '/// Of the activity "two".']
    assert list(scope.functions) == ["f", "color"]


def test_types_and_functions_with_a_resource_of_another_package_are_left_out() -> None:
    functions = (("f", taking(("x", ListType(BODY)))), ("g", taking(result=BODY)), ("h", taking(("x", JOIN_SET))))
    scope = scope_of("a:b/c", ("bodies", ListType(BODY)), ("sets", ListType(JOIN_SET)), functions=functions)
    assert (list(scope.definitions), list(scope.functions)) == (["sets"], ["h"])
    assert scope.comments[1:] == [f"/// Without {name}, which takes or gives a resource." for name in "fg"]
    assert scope.uses == {"obelisk:types/join-set@5.0.0": [("join-set", "join-set")]}


@pytest.mark.parametrize(
    ("type_", "names"),
    [
        (RecordType((("color", COLOR),)), ["pair-color", "pair"]),
        (ListType(COLOR), ["pair-item", "pair"]),
        (OptionType(ListType(COLOR)), ["pair-item", "pair"]),
        (ResultType(COLOR, ID), ["pair-item", "pair-error", "pair"]),
    ],
)
def test_a_type_without_a_name_inside_one_with_a_name_is_called_after_both(type_: WitType, names: list[str]) -> None:
    assert list(scope_of("a:b/c", ("pair", type_)).definitions) == names


@pytest.mark.parametrize(
    ("of", "names"),
    [
        (taking(("x", COLOR)), ["f-x"]),
        (taking(("x", ListType(OptionType(COLOR)))), ["f-x"]),
        (taking(("x", ResultType(None, COLOR))), ["f-x-error"]),
        (taking(result=COLOR), ["f-result"]),
    ],
)
def test_a_type_without_a_name_in_a_function_is_called_after_its_place(of: FunctionType, names: list[str]) -> None:
    assert list(scope_of("a:b/c", functions=(("f", of),)).definitions) == names


def test_types_of_an_import_are_used_only_where_name_and_structure_are_the_same() -> None:
    common = WitInterface("a:b/common", (("color", COLOR), ("url", STRING), ("id", COLOR)))
    book = book_of(WitInterface("d:e/f", (("color", COLOR), ("url", STRING), ("id", ID))), imports=(common,))
    scope = book.scopes["d:e/f"]
    assert scope.uses == {"a:b/common": [("color", "color")]}
    assert scope.definitions == {"url": STRING, "id": ID}
    assert book.scopes["a:b/common"].definitions == {"color": COLOR}


def test_the_first_interface_that_has_a_type_is_where_the_others_have_it_from() -> None:
    exports = [WitInterface(f"a:b/{name}", (("color", COLOR),)) for name in "cde"]
    book = book_of(*exports)
    assert [list(book.scopes[one.name].definitions) for one in exports] == [["color"], [], []]
    assert book.scopes["a:b/e"].uses == {"a:b/c": [("color", "color")]}


def test_a_type_that_is_shipped_is_used_and_not_defined_again() -> None:
    ours = WitInterface("obelisk:types/execution@5.0.0", (("execution-id", EXECUTION_ID),))
    book = book_of(WitInterface("a:b/c", (("execution-id", EXECUTION_ID),)), imports=(ours,))
    assert book.scopes["a:b/c"].uses == {"obelisk:types/execution@5.0.0": [("execution-id", "execution-id")]}
    assert list(book.scopes) == ["a:b/c"]


def test_an_interface_of_extensions_says_what_it_was_made_for_once() -> None:
    of = taking(("color", COLOR))
    exported = WitInterface("a:b/c@1.0.0", (("color", COLOR),), (("f", of), ("g", of), ("h", taking(("x", BODY)))))
    book = book_of(exported, extensions=True)
    assert list(book.scopes) == ["a:b/c@1.0.0", "a:b-obelisk-ext/c@1.0.0", "a:b-obelisk-schedule/c@1.0.0"]
    made = book.scopes["a:b-obelisk-ext/c@1.0.0"]
    assert made.comments == ["/// Generated for `a:b/c@1.0.0`."]
    assert list(made.functions) == ["f-submit", "f-await-next", "f-get", "g-submit", "g-await-next", "g-get"]
    assert made.uses["a:b/c@1.0.0"] == [("color", "color")]
    assert book.used_packages["a:b-obelisk-ext@1.0.0"] == {"a:b@1.0.0", "obelisk:types@5.0.0"}


def test_an_extension_calls_a_type_as_the_place_of_the_function_does() -> None:
    exported = WitInterface("a:b/c", (("color", COLOR), ("paint", COLOR)), (("f", taking(("paint", COLOR))),))
    assert book_of(exported, extensions=True).scopes["a:b-obelisk-ext/c"].uses["a:b/c"] == [("paint", "paint")]


def test_interfaces_of_the_host_are_left_out_and_such_as_only_look_like_them_are_not() -> None:
    names = ("wasi:http/handler@0.2.0", "obelisk:types/time@5.0.0", "wasi-x:http/handler", "a:wasi/c")
    assert list(book_of(*map(WitInterface, names)).scopes) == ["wasi-x:http/handler", "a:wasi/c"]
