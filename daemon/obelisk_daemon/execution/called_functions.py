"""What a component's imports tell of other components' functions: their types, also where only extensions are used."""

from collections.abc import Iterable
from typing import Protocol

import msgspec

from obelisk_daemon.execution.wit_extensions import ExtensionKind, extension_type, find_extension
from obelisk_daemon.execution.wit_types import FunctionType, ResultType, WitType
from obelisk_daemon.ffqn import Ffqn


class Imported(Protocol):
    """A function that a component imports (`wasm.component.Import`)."""

    @property
    def interface(self) -> str:
        """Give `namespace:package/interface[@version]`."""
        ...

    @property
    def function(self) -> str:
        """Give the function's name."""
        ...

    @property
    def type(self) -> FunctionType:
        """Give the type the component expects."""
        ...


class Called(msgspec.Struct, frozen=True):
    """A function of another component, as the imports show it.

    Who only submits it need not import its result, and who only awaits it not its parameters: then they are missing in
    `type`, and not known.
    """

    type: FunctionType
    has_params: bool
    has_result: bool
    is_stub: bool
    """Its result is given by the component itself."""

    @property
    def is_complete(self) -> bool:
        """Tell if the whole type is known."""
        return self.has_params and self.has_result


def called_functions(imports: Iterable[Imported]) -> dict[str, Called]:
    """Find the functions of other components that the imports name, by ffqn."""
    found: dict[str, Called] = {}
    for one in imports:
        if one.interface.startswith(("wasi:", "obelisk:")):
            continue
        extension = find_extension(one.interface, one.function)
        if extension is None:
            ffqn, told = Ffqn(one.interface, one.function), Called(one.type, True, True, is_stub=False)
        else:
            ffqn, told = extension.target, _told_by(extension.kind, one.type)
        known = found.get(str(ffqn))
        found[str(ffqn)] = told if known is None else _joined(known, told)
    return found


def expected_type(one: Imported, called: FunctionType) -> FunctionType:
    """Give the type that an import must have, where the function behind it is of type `called`."""
    extension = find_extension(one.interface, one.function)
    return called if extension is None else extension_type(extension.kind, called)


def _told_by(kind: ExtensionKind, of: FunctionType) -> Called:
    params, result = of.params[1:], of.result
    match kind:
        case "submit" | "schedule":
            return Called(FunctionType(params), True, False, is_stub=False)
        case "await_next" | "get":
            inner = result.ok if isinstance(result, ResultType) else None
            return Called(FunctionType((), inner), False, True, is_stub=False)
        case "stub":
            given: WitType | None = params[0][1] if params else None
            return Called(FunctionType((), given), False, True, is_stub=True)


def _joined(one: Called, other: Called) -> Called:
    params = one if one.has_params else other
    result = one if one.has_result else other
    return Called(
        FunctionType(params.type.params, result.type.result),
        params.has_params,
        result.has_result,
        one.is_stub or other.is_stub,
    )
