"""WIT types as text, for messages, the API and people. A type without a name of its own is written in full."""

from obelisk_daemon.execution.wit_types import (
    EnumType,
    FlagsType,
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


def to_wit(wit: WitType) -> str:
    """Write a type as in a WIT file."""
    match wit:
        case Primitive():
            return wit.name
        case ListType():
            return f"list<{to_wit(wit.element)}>"
        case TupleType():
            return f"tuple<{', '.join(map(to_wit, wit.elements))}>"
        case RecordType():
            return f"record {{{', '.join(f'{name}: {to_wit(t)}' for name, t in wit.fields)}}}"
        case VariantType():
            return f"variant {{{', '.join(name + _payload(t) for name, t in wit.cases)}}}"
        case EnumType():
            return f"enum {{{', '.join(wit.names)}}}"
        case FlagsType():
            return f"flags {{{', '.join(wit.names)}}}"
        case OptionType():
            return f"option<{to_wit(wit.inner)}>"
        case ResultType():
            return _result(wit)
        case ResourceType():
            return wit.name if wit.owned else f"borrow<{wit.name}>"


def _payload(wit: WitType | None) -> str:
    return "" if wit is None else f"({to_wit(wit)})"


def _result(wit: ResultType) -> str:
    if wit.err is None:
        return "result" if wit.ok is None else f"result<{to_wit(wit.ok)}>"
    return f"result<{'_' if wit.ok is None else to_wit(wit.ok)}, {to_wit(wit.err)}>"


def signature(function: FunctionType) -> str:
    """Write a function's type: `func(n: u8) -> result<u64, string>`."""
    params = ", ".join(f"{name}: {to_wit(t)}" for name, t in function.params)
    return f"func({params})" + ("" if function.result is None else f" -> {to_wit(function.result)}")
