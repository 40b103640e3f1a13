import pytest

from obelisk_daemon.execution.wit_extensions import (
    AWAIT_NEXT_ERROR,
    DATETIME,
    DELAY_ID,
    DURATION,
    EXECUTION_ID,
    FUNCTION,
    FUNCTION_MISMATCH,
    GET_ERROR,
    JOIN_SET_BORROW,
    RESPONSE_ID,
    SCHEDULE_AT,
    STUB_ERROR,
    Extension,
    ExtensionKind,
    extension_type,
    extensions_of,
    find_extension,
    is_extension_interface,
)
from obelisk_daemon.execution.wit_parse import parse_document
from obelisk_daemon.execution.wit_types import FunctionType, Primitive, ResultType, same_shape
from obelisk_daemon.ffqn import Ffqn
from obelisk_daemon.wit import texts

U8, U64, STRING = Primitive("u8"), Primitive("u64"), Primitive("string")
RESULT = ResultType(U64, STRING)
BASE = FunctionType((("n", U8), ("m", U64)), RESULT)
NOTHING = FunctionType(())

NAMES: list[tuple[str, str, ExtensionKind, str]] = [
    ("a:b-obelisk-ext/c", "f-submit", "submit", "a:b/c.f"),
    ("a:b-obelisk-ext/c", "f-await-next", "await_next", "a:b/c.f"),
    ("a:b-obelisk-ext/c", "f-get", "get", "a:b/c.f"),
    ("a:b-obelisk-schedule/c", "f-schedule", "schedule", "a:b/c.f"),
    ("a:b-obelisk-stub/c", "f-stub", "stub", "a:b/c.f"),
    ("a:b-obelisk-ext/c@1.2.0-rc.1", "f-submit", "submit", "a:b/c@1.2.0-rc.1.f"),
    ("a:b-obelisk-schedule/c-obelisk-ext@0.1.0", "f-schedule", "schedule", "a:b/c-obelisk-ext@0.1.0.f"),
    ("a:b-obelisk-ext/c", "f-submit-get", "get", "a:b/c.f-submit"),
    ("a:b-obelisk-ext/c", "get-get", "get", "a:b/c.get"),
    ("a:b-obelisk-ext-obelisk-ext/c", "f-get", "get", "a:b-obelisk-ext/c.f"),
]


@pytest.mark.parametrize(("interface", "function", "kind", "target"), NAMES)
def test_the_name_of_an_extension_tells_its_kind_and_its_function(
    interface: str, function: str, kind: ExtensionKind, target: str
) -> None:
    assert find_extension(interface, function) == Extension(kind, Ffqn.parse(target))


@pytest.mark.parametrize(
    ("interface", "function"),
    [
        ("a:b/c", "f-submit"),
        ("a:b-obelisk-ext/c", "f"),
        ("a:b-obelisk-ext/c", "-submit"),
        ("a:b-obelisk-ext/c", "f-schedule"),
        ("a:b-obelisk-ext/c", "f-stub"),
        ("a:b-obelisk-schedule/c", "f-submit"),
        ("a:b-obelisk-stub/c", "f-schedule"),
        ("a:b/c-obelisk-ext", "f-submit"),
        ("a:b/c@1.0.0-obelisk-ext", "f-submit"),
        ("a:-obelisk-ext/c", "f-submit"),
        ("f", "f-submit"),
    ],
)
def test_what_is_no_extension_is_none(interface: str, function: str) -> None:
    assert find_extension(interface, function) is None


TYPES: list[tuple[ExtensionKind, FunctionType, FunctionType]] = [
    ("submit", BASE, FunctionType((("join-set", JOIN_SET_BORROW), ("n", U8), ("m", U64)), EXECUTION_ID)),
    ("submit", NOTHING, FunctionType((("join-set", JOIN_SET_BORROW),), EXECUTION_ID)),
    ("await_next", BASE, FunctionType((("join-set", JOIN_SET_BORROW),), ResultType(RESULT, AWAIT_NEXT_ERROR))),
    ("await_next", NOTHING, FunctionType((("join-set", JOIN_SET_BORROW),), ResultType(None, AWAIT_NEXT_ERROR))),
    ("get", BASE, FunctionType((("execution-id", EXECUTION_ID),), ResultType(RESULT, GET_ERROR))),
    ("get", NOTHING, FunctionType((("execution-id", EXECUTION_ID),), ResultType(None, GET_ERROR))),
    ("schedule", BASE, FunctionType((("schedule-at", SCHEDULE_AT), ("n", U8), ("m", U64)), EXECUTION_ID)),
    (
        "stub",
        BASE,
        FunctionType((("execution-id", EXECUTION_ID), ("execution-result", RESULT)), ResultType(None, STUB_ERROR)),
    ),
    ("stub", NOTHING, FunctionType((("execution-id", EXECUTION_ID),), ResultType(None, STUB_ERROR))),
]


@pytest.mark.parametrize(("kind", "base", "expected"), TYPES)
def test_the_type_of_an_extension_is_made_from_its_functions(
    kind: ExtensionKind, base: FunctionType, expected: FunctionType
) -> None:
    assert extension_type(kind, base) == expected


@pytest.mark.parametrize(("kind", "name"), [("submit", "join-set"), ("schedule", "schedule-at")])
def test_a_parameter_of_the_same_name_pushes_ours_to_the_next_letter(kind: ExtensionKind, name: str) -> None:
    base = FunctionType(((name, U8), (f"{name}-a", U8)))
    assert [param for param, _ in extension_type(kind, base).params] == [f"{name}-b", name, f"{name}-a"]


@pytest.mark.parametrize("version", ["", "@1.2.0"])
def test_the_extensions_of_a_function_find_back_to_it(version: str) -> None:
    ffqn = Ffqn.parse(f"a:b/c{version}.f")
    for is_stub in (False, True):
        found = [find_extension(*extension) for extension in extensions_of(ffqn, BASE, is_stub=is_stub)]
        assert all(one is not None and one.target == ffqn for one in found)
        assert {one.kind for one in found if one} == {"submit", "await_next", "get", "stub" if is_stub else "schedule"}


def test_a_stub_is_not_scheduled_and_only_a_stub_is_given_its_result() -> None:
    ffqn = Ffqn.parse("a:b/c.f")
    assert [str(one) for one in extensions_of(ffqn, BASE, is_stub=False)] == [
        "a:b-obelisk-ext/c.f-submit",
        "a:b-obelisk-ext/c.f-await-next",
        "a:b-obelisk-ext/c.f-get",
        "a:b-obelisk-schedule/c.f-schedule",
    ]
    assert [str(one) for one in extensions_of(ffqn, BASE, is_stub=True)][3:] == ["a:b-obelisk-stub/c.f-stub"]


@pytest.mark.parametrize(
    ("interface", "expected"),
    [("a:b-obelisk-ext/c", True), ("a:b-obelisk-stub/c@1.0.0", True), ("a:b/c", False), ("a:b/c-obelisk-ext", False)],
)
def test_the_package_tells_an_extension_interface(interface: str, expected: bool) -> None:
    assert is_extension_interface(interface) is expected


def test_shapes_are_the_same_whatever_the_parameters_are_called() -> None:
    assert same_shape(BASE, FunctionType((("x", U8), ("y", U64)), RESULT))
    assert not same_shape(BASE, FunctionType((("m", U64), ("n", U8)), RESULT))
    assert not same_shape(BASE, FunctionType((("n", U8),), RESULT))
    assert not same_shape(BASE, FunctionType(BASE.params))


SHIPPED = {
    "time.duration": DURATION,
    "time.datetime": DATETIME,
    "time.schedule-at": SCHEDULE_AT,
    "execution.execution-id": EXECUTION_ID,
    "execution.delay-id": DELAY_ID,
    "execution.function": FUNCTION,
    "execution.response-id": RESPONSE_ID,
    "execution.function-mismatch": FUNCTION_MISMATCH,
    "execution.await-next-extension-error": AWAIT_NEXT_ERROR,
    "execution.get-extension-error": GET_ERROR,
    "execution.stub-error": STUB_ERROR,
}
"""By interface and name, in the text that components are built with."""


@pytest.mark.parametrize("name", SHIPPED)
def test_the_types_of_extensions_are_those_of_the_shipped_text(name: str) -> None:
    interface, _, of = name.partition(".")
    text = texts()["obelisk:types@5.0.0"].partition("interface join-set")[0]  # a stub's text may have no resources
    text += f"interface uses {{ use {interface}.{{{of}}}; f: func(it: {of}); }}"
    (function,) = parse_document(text).values()
    assert function.params == (("it", SHIPPED[name]),)
