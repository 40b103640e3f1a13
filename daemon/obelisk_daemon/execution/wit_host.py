"""The types of our host interfaces' functions, against which imports are checked.

The same as the WIT text in `obelisk_daemon/wit`, which a test compares with them.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from obelisk_daemon.execution.wit_extensions import (
    DATETIME,
    DELAY_ID,
    EXECUTION_ID,
    FUNCTION,
    JOIN_SET,
    JOIN_SET_BORROW,
    RESPONSE_ID,
    SCHEDULE_AT,
    TYPES_JOIN_SET,
)
from obelisk_daemon.execution.wit_types import (
    EnumType,
    FunctionType,
    ListType,
    OptionType,
    Primitive,
    RecordType,
    ResultType,
    VariantType,
    WitType,
)
from obelisk_daemon.ffqn import Ffqn

LOG: Final = "obelisk:log/log@1.0.0"
SUPPORT: Final = "obelisk:workflow/workflow-support@6.0.0"
SUPPORT_BACKTRACE: Final = "obelisk:workflow/workflow-support-backtrace@6.0.0"

_STRING: Final = Primitive("string")
_U64: Final = Primitive("u64")
_U16: Final = Primitive("u16")
_FAILURE_KIND: Final = EnumType(("timed-out", "nondeterminism-detected", "out-of-fuel", "cancelled", "uncategorized"))
_CREATE_ERROR: Final = VariantType((("conflict", None), ("invalid-name", _STRING)))
_SUBMIT_ERROR: Final = VariantType(
    (("ffqn-parsing-error", _STRING), ("function-not-found", None), ("type-check-error", _STRING))
)
_SCHEDULE_ERROR: Final = _SUBMIT_ERROR
_NEXT_ERROR: Final = VariantType((("all-processed", None),))
_NEXT_TRY_ERROR: Final = VariantType((("all-processed", None), ("pending", None)))
_GET_ERROR: Final = VariantType((("execution-id-parsing-error", _STRING), ("not-found-in-processed-responses", None)))
_STUB_ERROR: Final = VariantType(
    (
        ("execution-id-parsing-error", _STRING),
        ("execution-not-found", None),
        ("type-check-error", _STRING),
        ("conflict", None),
    )
)
_JSON_RESULT: Final = ResultType(OptionType(_STRING), OptionType(_STRING))
_FRAME_SYMBOL: Final = RecordType(
    (
        ("func-name", OptionType(_STRING)),
        ("file", OptionType(_STRING)),
        ("line", OptionType(Primitive("u32"))),
        ("col", OptionType(Primitive("u32"))),
    )
)
_FRAME: Final = RecordType((("module", _STRING), ("func-name", _STRING), ("symbols", ListType(_FRAME_SYMBOL))))
WASM_BACKTRACE: Final = RecordType((("frames", ListType(_FRAME)),))

_JOIN_SET_ONLY: Final = (("join-set", JOIN_SET_BORROW),)
_ID_ONLY: Final = (("execution-id", EXECUTION_ID),)
_CALL: Final = (("function", FUNCTION), ("params", _STRING))

_WITH_BACKTRACE: Final[Mapping[str, FunctionType]] = {
    "random-u64": FunctionType((("min", _U64), ("max-exclusive", _U64)), _U64),
    "random-u64-inclusive": FunctionType((("min", _U64), ("max-inclusive", _U64)), _U64),
    "random-string": FunctionType((("min-length", _U16), ("max-length-exclusive", _U16)), _STRING),
    "sleep": FunctionType((("schedule-at", SCHEDULE_AT), ("name", OptionType(_STRING))), ResultType(DATETIME)),
    "join-set-create": FunctionType((), JOIN_SET),
    "join-set-create-named": FunctionType((("name", _STRING),), ResultType(JOIN_SET, _CREATE_ERROR)),
    "join-set-close": FunctionType((("self", JOIN_SET),)),
    "submit-json": FunctionType((*_JOIN_SET_ONLY, *_CALL), ResultType(EXECUTION_ID, _SUBMIT_ERROR)),
    "submit-delay": FunctionType((*_JOIN_SET_ONLY, ("timeout", SCHEDULE_AT)), DELAY_ID),
    "join-next": FunctionType(_JOIN_SET_ONLY, ResultType(_JSON_RESULT, _NEXT_ERROR)),
    "join-next-try": FunctionType(_JOIN_SET_ONLY, ResultType(_JSON_RESULT, _NEXT_TRY_ERROR)),
    "execution-id-generate": FunctionType((), EXECUTION_ID),
    "schedule-json": FunctionType((*_ID_ONLY, ("schedule-at", SCHEDULE_AT), *_CALL), ResultType(None, _SCHEDULE_ERROR)),
    "call-json": FunctionType(_CALL, ResultType(_JSON_RESULT, _SCHEDULE_ERROR)),
    "stub-json": FunctionType((*_ID_ONLY, ("result-json", _STRING)), ResultType(None, _STUB_ERROR)),
}
"""Those that make an event: `workflow-support-backtrace` has them with one more parameter."""

_OTHERS: Final[Mapping[str, FunctionType]] = {
    "execution-id-current": FunctionType((), EXECUTION_ID),
    "get-result-json": FunctionType(_ID_ONLY, ResultType(_JSON_RESULT, _GET_ERROR)),
    "get-execution-failure-kind": FunctionType(_ID_ONLY, ResultType(OptionType(_FAILURE_KIND), _GET_ERROR)),
    "last-direct-call-id": FunctionType((), OptionType(EXECUTION_ID)),
    "last-oneoff-id": FunctionType((), OptionType(RESPONSE_ID)),
}

_JOIN_SET_METHODS: Final[Mapping[str, WitType]] = {
    "[method]join-set.id": _STRING,
    "[method]join-set.last-id": OptionType(RESPONSE_ID),
}


def _with_backtrace(function: FunctionType) -> FunctionType:
    return FunctionType((*function.params, ("backtrace", OptionType(WASM_BACKTRACE))), function.result)


HOST_FUNCTIONS: Final[Mapping[Ffqn, FunctionType]] = MappingProxyType(
    {
        **{
            Ffqn(LOG, level): FunctionType((("message", _STRING),))
            for level in ("trace", "debug", "info", "warn", "error")
        },
        **{Ffqn(SUPPORT, name): of for name, of in {**_WITH_BACKTRACE, **_OTHERS}.items()},
        **{Ffqn(SUPPORT_BACKTRACE, name): _with_backtrace(of) for name, of in _WITH_BACKTRACE.items()},
        **{
            Ffqn(TYPES_JOIN_SET, name): FunctionType((("self", JOIN_SET_BORROW),), result)
            for name, result in _JOIN_SET_METHODS.items()
        },
    }
)
"""Every function that the host gives besides `wasi:` and the generated extensions."""


def host_function(interface: str, function: str) -> FunctionType | None:
    """Give the type of a host function, or None if there is no such one."""
    return HOST_FUNCTIONS.get(Ffqn(interface, function))
