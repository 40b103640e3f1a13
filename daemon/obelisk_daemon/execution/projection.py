"""A failure as the function's own error type shows it, so that a calling workflow can handle it.

The rules are in DESIGN.md section 4, "Failure mapping".
"""

from collections.abc import Mapping
from typing import Final

from obelisk_daemon.execution.outcome import Failed, FailureKind, Outcome, Returned
from obelisk_daemon.execution.wit_types import (
    EnumType,
    FunctionType,
    OptionType,
    Primitive,
    RecordType,
    ResultType,
    VariantType,
    WitType,
    snake,
)

_CODES: Final[Mapping[FailureKind, int]] = {"timed_out": 0, "nondeterminism": 1, "out_of_fuel": 2, "cancelled": 3}
_UNCATEGORIZED: Final = 4
_CASE: Final = "execution-failed"


class ChildFailedError(Exception):
    """A child failed in a function whose type can't say so: the calling workflow fails, with the child's as cause."""

    def __init__(self, failure: Failed) -> None:
        super().__init__(f"a child whose function can't return an error failed: {failure.reason}")
        self.failure = failure


def returned(function: FunctionType, value: object) -> Returned:
    """Give the outcome of a function that returned: `{"ok": v}` also where its type has no `result`."""
    if isinstance(function.result, ResultType):
        assert isinstance(value, dict)
        return Returned(value)
    return Returned({"ok": value})


def value_for_caller(function: FunctionType, outcome: Outcome) -> object:
    """Give what the guest's call returns.

    Raises:
        ChildFailedError: the declared type has no place for a failure.
    """
    declared = function.result
    if isinstance(outcome, Returned):
        return outcome.value if isinstance(declared, ResultType) else outcome.value["ok"]
    if not isinstance(declared, ResultType):
        raise ChildFailedError(outcome)
    if declared.err is None:
        return {"err": None}
    return {"err": _projected(declared.err, outcome)}


def _projected(declared: WitType, failure: Failed) -> object:
    text = f"execution_failed: {failure.kind} ({failure.failure_id}): {failure.reason}"
    match declared:
        case Primitive(name="string"):
            return text
        case Primitive(name=name) if name[1:].isdigit() and name[0] in "us":
            return _integer(name, failure.kind)
        case EnumType(names=names) if _CASE in names:
            return snake(_CASE)
        case VariantType(cases=cases) if _CASE in dict(cases):
            payload = dict(cases)[_CASE]
            return snake(_CASE) if payload is None else {snake(_CASE): _payload(payload, failure, text)}
        case _:
            raise ChildFailedError(failure)


def _integer(name: str, kind: FailureKind) -> int:
    bits, code = int(name[1:]), _CODES.get(kind, _UNCATEGORIZED)
    return (1 << bits) - 1 - code if name[0] == "u" else code - (1 << bits - 1)


def _payload(declared: WitType, failure: Failed, text: str) -> object:
    match declared:
        case Primitive(name="string"):
            return text
        case RecordType(fields=fields):
            known = {"kind": failure.kind, "failure-id": failure.failure_id, "reason": failure.reason}
            return {snake(name): _field(of, known.get(name, text), failure) for name, of in fields}
        case _:
            raise ChildFailedError(failure)


def _field(declared: WitType, text: str, failure: Failed) -> object:
    match declared:
        case Primitive(name="string"):
            return text
        case OptionType():
            return None
        case _:
            raise ChildFailedError(failure)
