"""Each WIT type goes to a guest, from it to the host, back and out again, unchanged."""

import math
from typing import Any

import pytest

from obelisk_daemon.ffqn import Ffqn
from obelisk_daemon.wasm.engine import Engines
from obelisk_daemon.wasm.guest import Guest, GuestLimits, Returned
from obelisk_daemon.wasm.linker import LinkedComponent
from obelisk_daemon.wasm.values import ValueShapeError
from tests.integration.wasm.loading import load

pytestmark = pytest.mark.anyio

LIMITS = GuestLimits()
POINT = {"x": -1, "y": 2.5, "name": "p"}
CASES: dict[str, list[Any]] = {
    "f-bool": [True, False],
    "f-u8": [0, 255],
    "f-s8": [-128, 127],
    "f-u16": [0, 65_535],
    "f-s16": [-32_768, 32_767],
    "f-u32": [0, 2**32 - 1],
    "f-s32": [-(2**31), 2**31 - 1],
    "f-u64": [0, 2**64 - 1],
    "f-s64": [-(2**63), 2**63 - 1],
    "f-f32": [0.5, -0.0, math.inf],
    "f-f64": [1.1, -math.inf],
    "f-char": ["a", "é", "\U0010ffff", "\ud7ff", "\ue000"],
    "f-string": ["", "hällo", "a\0b", "x" * 10_000],
    "f-bytes": [b"", b"\x00\xff", bytes(range(256)) * 40],
    "f-list-str": [[], ["a", "", "ü"]],
    "f-list-u32": [[], [1, 2, 2**32 - 1]],
    "f-point": [POINT],
    "f-points": [[], [POINT, {"x": 7, "y": 0.5, "name": ""}]],
    "f-shape": [{"circle": 1.5}, {"square": 3}, {"named": "n"}, "empty"],
    "f-color": ["red", "green_ish"],
    "f-perm": [[], ["read", "exec"], ["read", "write", "exec"]],
    "f-opt": [None, 0, 5],
    "f-optopt": [None, {"some": None}, {"some": "x"}],
    "f-res": [{"ok": "a"}, {"err": 3}],
    "f-res0": [{"ok": None}, {"err": None}],
    "f-resamb": [{"ok": "a"}, {"err": "a"}],
    "f-tup": [[1, "a", True]],
    "f-nested": [
        {"ok": None},
        {"ok": [b"xyz", {"named": "q"}]},
        {"ok": [b"", "empty"]},
        {"err": ["write"]},
    ],
}
WRONG: list[tuple[str, Any]] = [
    ("f-bool", 1),
    ("f-u8", 256),
    ("f-u8", -1),
    ("f-u8", "a"),
    ("f-u8", True),
    ("f-u8", 1.0),
    ("f-s64", 2**63),
    ("f-f64", 1),
    ("f-f64", "1"),
    ("f-char", "ab"),
    ("f-char", ""),
    ("f-char", "\ud800"),
    ("f-char", 97),
    ("f-string", 5),
    ("f-string", b"a"),
    ("f-string", "\ud800"),
    ("f-bytes", "a"),
    ("f-bytes", [1, 2]),
    ("f-list-str", ["a", 5]),
    ("f-list-str", "ab"),
    ("f-list-u32", None),
    ("f-point", {"x": 1}),
    ("f-point", {**POINT, "z": 1}),
    ("f-point", [1, 2.0, "p"]),
    ("f-points", [POINT, {**POINT, "name": 9}]),
    ("f-shape", "nope"),
    ("f-shape", {"nope": 1}),
    ("f-shape", {"circle": "x"}),
    ("f-shape", {"circle": 1.0, "square": 2}),
    ("f-shape", "circle"),
    ("f-shape", {"empty": None}),
    ("f-shape", {1: 1}),
    ("f-color", "green-ish"),
    ("f-color", ["red"]),
    ("f-perm", ["fly"]),
    ("f-perm", ["read", "read"]),
    ("f-perm", "read"),
    ("f-perm", [[]]),
    ("f-opt", "x"),
    ("f-optopt", "x"),
    ("f-optopt", {"some": 1}),
    ("f-res", "ok"),
    ("f-res", {"ok": 5}),
    ("f-res", {"ok": "a", "err": 3}),
    ("f-res", {}),
    ("f-res0", {"ok": 1}),
    ("f-tup", [1, "a"]),
    ("f-tup", {"0": 1}),
]


def same_types(left: object, right: object) -> bool:
    if type(left) is not type(right):
        return False
    if isinstance(left, list):
        return all(map(same_types, left, right))
    if isinstance(left, dict):
        return all(same_types(left[k], right[k]) for k in left)
    return True


@pytest.fixture(scope="module", params=["sync", "async"])
def echo(engines: Engines, request: pytest.FixtureRequest) -> LinkedComponent:
    async def later(_guest: Guest, value: Any) -> Any:
        return value

    def at_once(_guest: Guest, value: Any) -> Any:
        return value

    function = at_once if request.param == "sync" else later
    return LinkedComponent(load(engines, "echo"), lambda *_: function)


@pytest.mark.parametrize(("function", "value"), [(f, v) for f, vs in CASES.items() for v in vs])
async def test_a_value_comes_back_as_it_went(echo: LinkedComponent, function: str, value: Any) -> None:
    outcome = await echo.run(Ffqn("test:echo/api", function), [value], None, LIMITS)
    assert outcome == Returned(value)
    assert isinstance(outcome, Returned)
    assert same_types(outcome.value, value)


@pytest.mark.parametrize(("function", "value"), WRONG)
async def test_a_parameter_of_a_wrong_shape_is_a_clean_error(echo: LinkedComponent, function: str, value: Any) -> None:
    with pytest.raises(ValueShapeError) as caught:
        await echo.run(Ffqn("test:echo/api", function), [value], None, LIMITS)
    assert caught.value.code == "wrong_value_shape"


@pytest.mark.parametrize(("function", "value"), WRONG)
@pytest.mark.parametrize("late", [False, True])
async def test_an_answer_of_a_wrong_shape_is_raised_with_the_backtrace(
    engines: Engines, function: str, value: Any, late: bool
) -> None:
    async def answer_late(_guest: Guest, _value: Any) -> Any:
        return value

    answer = answer_late if late else (lambda _guest, _value: value)
    linked = LinkedComponent(load(engines, "echo"), lambda *_: answer)
    with pytest.raises(ValueShapeError) as caught:
        await linked.run(Ffqn("test:echo/api", function), [CASES[function][0]], None, LIMITS)
    assert any("wasm backtrace" in note for note in caught.value.__notes__)


async def test_nan_is_one_value_whatever_its_bits(echo: LinkedComponent) -> None:
    outcome = await echo.run(Ffqn("test:echo/api", "f-f64"), [math.nan], None, LIMITS)
    assert isinstance(outcome, Returned)
    assert math.isnan(outcome.value)


async def test_flags_are_lifted_in_declared_order(echo: LinkedComponent) -> None:
    outcome = await echo.run(Ffqn("test:echo/api", "f-perm"), [["exec", "read"]], None, LIMITS)
    assert outcome == Returned(["read", "exec"])
