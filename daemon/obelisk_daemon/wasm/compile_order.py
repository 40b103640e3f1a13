"""What the daemon and a compiling process say to each other. Each such process imports this: it imports little."""

from typing import Final

import msgspec

from obelisk_daemon.wasm.recipe import EngineKind, EngineSettings

EXIT_INVALID: Final = 65
"""The child's exit status when the component is at fault; its message is on stderr."""


class CompileOrder(msgspec.Struct, frozen=True):
    """What the child is told, as JSON in its only argument; the component's bytes come on its stdin."""

    kind: EngineKind
    settings: EngineSettings
    output: str
    cpu_seconds: int
    memory: int
    parent: int
