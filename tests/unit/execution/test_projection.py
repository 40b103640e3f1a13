"""A failure as each error type shows it to the calling workflow."""

from typing import get_args

import pytest

from obelisk_daemon.execution.outcome import Failed, FailureKind, Returned
from obelisk_daemon.execution.projection import ChildFailedError, returned, value_for_caller
from obelisk_daemon.execution.wit_types import (
    EnumType,
    FunctionType,
    ListType,
    OptionType,
    Primitive,
    PrimitiveName,
    RecordType,
    ResultType,
    VariantType,
    WitType,
)
from obelisk_daemon.ids import FailureId

STRING = Primitive("string")
FAILURE = Failed("timed_out", FailureId("Err_1"), "timed out after 6 attempts: longer than 1 s")
TEXT = "execution_failed: timed_out (Err_1): timed out after 6 attempts: longer than 1 s"
CODES: list[tuple[FailureKind, int]] = [
    ("timed_out", 0),
    ("nondeterminism", 1),
    ("out_of_fuel", 2),
    ("cancelled", 3),
    ("uncategorized", 4),
    ("trap", 4),
    ("out_of_memory", 4),
    ("limit_exceeded", 4),
    ("child_failed", 4),
    ("evicted", 4),
    ("rejected", 4),
]


def seen(err: WitType | None, failure: Failed = FAILURE) -> object:
    return value_for_caller(FunctionType((), ResultType(Primitive("u64"), err)), failure)


def case(payload: WitType | None) -> VariantType:
    return VariantType((("other", None), ("execution-failed", payload)))


@pytest.mark.parametrize(
    ("err", "value"),
    [
        (None, None),
        (STRING, TEXT),
        (EnumType(("other", "execution-failed")), "execution_failed"),
        (case(None), "execution_failed"),
        (case(STRING), {"execution_failed": TEXT}),
        (
            case(RecordType((("kind", STRING), ("failure-id", STRING), ("reason", STRING)))),
            {"execution_failed": {"kind": "timed_out", "failure_id": "Err_1", "reason": FAILURE.reason}},
        ),
        (
            case(RecordType((("detail", STRING), ("status", OptionType(Primitive("u16")))))),
            {"execution_failed": {"detail": TEXT, "status": None}},
        ),
        (case(RecordType(())), {"execution_failed": {}}),
    ],
    ids=["none", "string", "enum", "case", "string-case", "record-case", "other-record-case", "empty-record"],
)
def test_an_error_type_with_a_place_for_it_shows_the_failure(err: WitType | None, value: object) -> None:
    assert seen(err) == {"err": value}


@pytest.mark.parametrize("kind", get_args(FailureKind))
def test_every_kind_of_failure_has_a_code(kind: FailureKind) -> None:
    assert kind in dict(CODES)


@pytest.mark.parametrize(("kind", "code"), CODES)
def test_every_kind_of_failure_is_seen_in_every_error_type(kind: FailureKind, code: int) -> None:
    """The table of issue 3: none, string, u32, enum, variant, and a variant with a record."""
    failure = Failed(kind, FailureId("Err_1"), "a reason")
    text = f"execution_failed: {kind} (Err_1): a reason"
    record = RecordType((("kind", STRING), ("failure-id", STRING), ("reason", STRING)))
    table: list[tuple[WitType | None, object]] = [
        (None, None),
        (STRING, text),
        (Primitive("u32"), 2**32 - 1 - code),
        (EnumType(("other", "execution-failed")), "execution_failed"),
        (case(STRING), {"execution_failed": text}),
        (case(record), {"execution_failed": {"kind": kind, "failure_id": "Err_1", "reason": "a reason"}}),
    ]
    for err, value in table:
        assert seen(err, failure) == {"err": value}


@pytest.mark.parametrize(("kind", "code"), CODES)
@pytest.mark.parametrize(("name", "maximum"), [("u8", 2**8 - 1), ("u32", 2**32 - 1), ("u64", 2**64 - 1)])
def test_an_unsigned_integer_counts_down_from_its_maximum(
    name: PrimitiveName, maximum: int, kind: FailureKind, code: int
) -> None:
    assert seen(Primitive(name), Failed(kind, FailureId("Err_1"), "")) == {"err": maximum - code}


@pytest.mark.parametrize(("kind", "code"), CODES)
@pytest.mark.parametrize(("name", "minimum"), [("s8", -(2**7)), ("s16", -(2**15)), ("s64", -(2**63))])
def test_a_signed_integer_counts_up_from_its_minimum(
    name: PrimitiveName, minimum: int, kind: FailureKind, code: int
) -> None:
    assert seen(Primitive(name), Failed(kind, FailureId("Err_1"), "")) == {"err": minimum + code}


@pytest.mark.parametrize(
    "err",
    [
        Primitive("bool"),
        Primitive("char"),
        Primitive("f64"),
        ListType(STRING),
        OptionType(STRING),
        EnumType(("failed",)),
        VariantType((("failed", STRING),)),
        case(Primitive("u32")),
        case(RecordType((("code", Primitive("u32")),))),
        RecordType((("execution-failed", STRING),)),
    ],
)
def test_an_error_type_without_a_place_for_it_fails_the_caller_with_the_childs_failure(err: WitType) -> None:
    with pytest.raises(ChildFailedError, match="timed out after 6 attempts") as failed:
        seen(err)
    assert failed.value.failure == FAILURE


@pytest.mark.parametrize("result", [None, Primitive("u64"), OptionType(STRING)])
def test_a_function_without_a_result_type_fails_the_caller(result: WitType | None) -> None:
    with pytest.raises(ChildFailedError):
        value_for_caller(FunctionType((), result), FAILURE)


@pytest.mark.parametrize("value", [{"ok": 55}, {"err": "no route"}, {"ok": None}])
def test_a_returned_result_is_given_as_it_is(value: dict[str, object]) -> None:
    assert value_for_caller(FunctionType((), ResultType(Primitive("u64"), STRING)), Returned(value)) == value


@pytest.mark.parametrize(("result", "value"), [(Primitive("u64"), 55), (None, None), (OptionType(STRING), None)])
def test_the_value_of_a_function_without_a_result_type_is_given_bare(result: WitType | None, value: object) -> None:
    assert value_for_caller(FunctionType((), result), Returned({"ok": value})) == value


def test_what_a_function_returned_is_its_result_or_is_put_into_one() -> None:
    assert returned(FunctionType((), ResultType(STRING)), {"err": "x"}) == Returned({"err": "x"})
    assert returned(FunctionType((), STRING), "x") == Returned({"ok": "x"})
    assert returned(FunctionType(()), None) == Returned({"ok": None})
