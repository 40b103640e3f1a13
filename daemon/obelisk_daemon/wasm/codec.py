"""The conversions of a component's types and functions, each built once per distinct type."""

from collections.abc import Mapping
from typing import Any, Final

from obelisk_daemon.errors import ComponentError
from obelisk_daemon.execution.wit_types import (
    BYTES,
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
from obelisk_daemon.wasm import aggregates, values
from obelisk_daemon.wasm.abi import VALUE
from obelisk_daemon.wasm.values import Conversion, Crossing, Lift, Lower

_BOOL: Final = Primitive("bool")


class FunctionCodec:
    """Converts the arguments and the result of one function."""

    __slots__ = ("_lifts", "lift_result", "lower_result", "lowers", "result_is_bool")

    def __init__(self, params: list[Conversion], result: Conversion | None, *, result_is_bool: bool) -> None:
        self._lifts = [(i * VALUE, p.lift) for i, p in enumerate(params)]
        self.lowers: tuple[Lower, ...] = tuple(p.lower for p in params)
        self.lift_result: Lift | None = result.lift if result else None
        self.lower_result: Lower | None = result.lower if result else None
        self.result_is_bool = result_is_bool

    def lift_arguments(self, address: int, crossing: Crossing) -> list[Any]:
        """Read all arguments of a host call from the array at `address`."""
        return [lift(address + offset, crossing) for offset, lift in self._lifts]


class Codec:
    """Builds conversions. `resource_ids` gives the number of each host resource by its name in the types."""

    def __init__(self, resource_ids: Mapping[str, int]) -> None:
        self._resource_ids = resource_ids
        self._built: dict[WitType, Conversion] = {}

    def function(self, function: FunctionType) -> FunctionCodec:
        """Build the conversion of a function's parameters and result."""
        result = function.result
        return FunctionCodec(
            [self.value(p) for _, p in function.params],
            None if result is None else self.value(result),
            result_is_bool=result == _BOOL,
        )

    def value(self, wit: WitType) -> Conversion:
        """Build the conversion of one type, or give the one built before."""
        built = self._built.get(wit)
        if built is None:
            built = self._built[wit] = self._build(wit)
        return built

    def _build(self, wit: WitType) -> Conversion:
        match wit:
            case Primitive():
                return values.primitive(wit.name)
            case ListType():
                return values.bytes_list() if wit == BYTES else values.any_list(self.value(wit.element))
            case TupleType():
                return aggregates.tuple_of([self.value(e) for e in wit.elements])
            case RecordType():
                return aggregates.record([(name, self.value(t)) for name, t in wit.fields])
            case VariantType():
                return aggregates.variant([(name, self._maybe(t)) for name, t in wit.cases])
            case EnumType():
                return aggregates.enum(wit.names)
            case FlagsType():
                return aggregates.flags(wit.names)
            case OptionType():
                return aggregates.option(self.value(wit.inner), nested=isinstance(wit.inner, OptionType))
            case ResultType():
                return aggregates.result(self._maybe(wit.ok), self._maybe(wit.err))
            case ResourceType():
                return self._resource(wit)

    def _maybe(self, wit: WitType | None) -> Conversion | None:
        return None if wit is None else self.value(wit)

    def _resource(self, wit: ResourceType) -> Conversion:
        number = self._resource_ids.get(wit.name)
        if number is None:
            raise ComponentError(
                "guest_resource", f"resource {wit.name} is defined by a component: only host resources can cross"
            )
        return aggregates.resource(number, owned=wit.owned)
