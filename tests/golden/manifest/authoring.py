"""Pieces of manifests and of what components export and import."""

import msgspec

from obelisk_daemon.deployment.candidate import digest_of
from obelisk_daemon.execution.wit_interfaces import WitInterface
from obelisk_daemon.execution.wit_types import FunctionType, Primitive
from obelisk_daemon.ffqn import Ffqn

COMPONENT = b"\0asm\x0d\0\x01\0"
DIGEST = digest_of(COMPONENT)


class Import(msgspec.Struct, frozen=True):
    interface: str
    function: str
    type: FunctionType


class Interface(msgspec.Struct, frozen=True):
    exports: dict[Ffqn, FunctionType] = {}
    imports: tuple[Import, ...] = ()
    imported_types: tuple[WitInterface, ...] = ()

    @property
    def exported_interfaces(self) -> tuple[WitInterface, ...]:
        return tuple(WitInterface(ffqn.interface, (), ((ffqn.function, of),)) for ffqn, of in self.exports.items())


def function(*params: str, result: str | None = None) -> FunctionType:
    """A function type of primitive types: `function("u8", result="u64")`."""
    return FunctionType(
        tuple((f"p{number}", Primitive(name)) for number, name in enumerate(params)),  # type: ignore[arg-type]
        None if result is None else Primitive(result),  # type: ignore[arg-type]
    )


def component(name: str = "one", *lines: str, kind: str = "activity", path: str = "a.wasm") -> str:
    """A component as a manifest declares it."""
    return "\n".join([f"[[{kind}]]", f'name = "{name}"', f'path = "{path}"', f'digest = "{DIGEST}"', *lines, ""])
