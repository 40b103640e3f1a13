"""What stands in for the functions that a workflow calls."""

import difflib
from collections.abc import Callable, Mapping
from datetime import timedelta
from inspect import isawaitable
from typing import Any, Final, TypeAlias, get_args

import msgspec

from obelisk_daemon.errors import CallerError
from obelisk_daemon.execution.called_functions import Called
from obelisk_daemon.execution.outcome import Failed, FailureKind, Outcome, Returned
from obelisk_daemon.execution.wit_json import from_json, to_json
from obelisk_daemon.execution.wit_text import to_wit
from obelisk_daemon.execution.wit_types import FunctionType, ResultType
from obelisk_daemon.ids import FailureId

Answer: TypeAlias = Callable[..., object] | dict[str, Any] | list[Any] | str | bytes | float | bool | None
"""A function of the parameters, or one value for all calls."""
Duration: TypeAlias = timedelta | Callable[..., timedelta]
"""Virtual time: of all calls, or a function of the parameters."""
_KINDS: Final[tuple[FailureKind, ...]] = get_args(FailureKind)


class KitError(Exception):
    """The kit is used wrongly, or the workflow asks for what no stub answers: the message says what to write."""


class Err(Exception):  # noqa: N818 - the error of a function of WIT
    """Raise it in a stub to return `{"err": value}`."""

    def __init__(self, value: object = None) -> None:
        super().__init__(value)
        self.value = value


class Failure(Exception):  # noqa: N818 - an execution's failure, as the daemon calls it
    """Raise it in a stub to have the execution fail as the daemon would have it fail, after all retries.

    `kind` is one of `timed_out`, `trap`, `out_of_fuel`, `out_of_memory`, `limit_exceeded`, `nondeterminism`,
    `cancelled`, `child_failed` and `uncategorized`. The workflow sees it as the function's error type shows it.
    """

    def __init__(self, kind: str = "timed_out", reason: str = "simulated by a test") -> None:
        if kind not in _KINDS:
            raise KitError(f"there is no failure of the kind {kind!r}, but {', '.join(_KINDS)}")
        super().__init__(reason)
        self.kind: FailureKind = next(known for known in _KINDS if known == kind)
        self.reason = reason


class Call(msgspec.Struct, frozen=True):
    """A call that the workflow made: its parameters as JSON, and the result as JSON once there is one."""

    ffqn: str
    params: list[Any]
    execution_id: str
    result: dict[str, Any] | None = None


class Stub(msgspec.Struct, frozen=True):
    """How a function's calls are answered. With `pending` they are not, until the workflow itself does."""

    answer: Answer = None
    takes: Duration = timedelta()
    cancellable: bool = True
    pending: bool = False

    def duration(self, params: list[Any]) -> timedelta:
        """How long a call takes."""
        return self.takes(*params) if callable(self.takes) else self.takes


class Functions:
    """The functions of other components, as far as the component under test shows them or the test declares them."""

    def __init__(self, called: Mapping[str, Called]) -> None:
        self._called = dict(called)
        self._stubs: dict[str, Stub] = {ffqn: Stub(pending=True) for ffqn, one in called.items() if one.is_stub}

    def declare(self, ffqn: str, of: FunctionType) -> None:
        """Add a function that the component calls by JSON only."""
        is_stub = ffqn in self._called and self._called[ffqn].is_stub
        self._called[ffqn] = Called(of, has_params=True, has_result=True, is_stub=is_stub)

    def set(self, ffqn: str, stub: Stub) -> None:
        """Say how a function's calls are answered.

        Raises:
            KitError: the component doesn't call it.
        """
        if ffqn not in self._called:
            near = difflib.get_close_matches(ffqn, self._called, 1, 0.6)
            hint = f"did you mean {near[0]}?" if near else f"it calls {', '.join(self._called) or 'nothing'}"
            raise KitError(
                f"the component does not import {ffqn}: {hint}. One that is called by JSON only needs kit.declare(...)"
            )
        self._stubs[ffqn] = stub

    def stub(self, ffqn: str) -> Stub | None:
        """Find how a function's calls are answered."""
        return self._stubs.get(ffqn)

    def is_stub(self, ffqn: str) -> bool:
        """Tell if the workflow may give executions of this function their result."""
        stub, called = self._stubs.get(ffqn), self._called.get(ffqn)
        return (stub is not None and stub.pending) or (called is not None and called.is_stub)

    def type(self, ffqn: str) -> FunctionType | None:
        """Find the type of a function, where all of it is known."""
        called = self._called.get(ffqn)
        return called.type if called is not None and called.is_complete else None

    def known_types(self) -> dict[str, FunctionType]:
        """Give the types that are known in full."""
        return {ffqn: called.type for ffqn, called in self._called.items() if called.is_complete}

    def declared_type(self, ffqn: str) -> FunctionType:
        """Give the type of a function whose result a stub gives.

        Raises:
            KitError: the component's imports don't tell.
        """
        called = self._called[ffqn]
        if not called.has_result:
            raise KitError(
                f"the component's imports don't show the result of {ffqn}: write "
                f'kit.declare("{ffqn}", {{...}}, returns="result<...>")'
            )
        return called.type


async def answer(stub: Stub, of: FunctionType, call: Call, failure_id: FailureId) -> Outcome:
    """Have a stub answer a call.

    Raises:
        KitError: the answer is not of the function's type.
        Exception: whatever else the stub raised; it ends the test.
    """
    try:
        value = stub.answer(*call.params) if callable(stub.answer) else stub.answer
        if isawaitable(value):
            value = await value
    except Failure as failure:
        return Failed(failure.kind, failure_id, failure.reason)
    except Err as err:
        value = {"err": err.value}
    return checked(of, value, f"the stub of {call.ffqn}")


def checked(of: FunctionType, value: object, who: str) -> Returned:
    """Check a stub's result against the function's type.

    Raises:
        KitError: it is not of that type.
    """
    if of.result is None:
        if value is not None:
            raise KitError(f"{who} returned {value!r}, but the function has no result: return None")
        return Returned({"ok": None})
    if isinstance(of.result, ResultType) and not (isinstance(value, dict) and value.keys() <= {"ok", "err"}):
        raise KitError(
            f"{who} returned {value!r}, but the function's result is {to_wit(of.result)}: "
            'return {"ok": ...} or {"err": ...}'
        )
    try:
        plain = from_json(of.result, jsonable(value), f"{who} returned")
    except CallerError as error:
        raise KitError(str(error)) from None
    return Returned(plain if isinstance(of.result, ResultType) else {"ok": plain})


def jsonable(value: object) -> object:
    """Let tests write bytes and tuples where JSON has lists."""
    return to_json(value)
