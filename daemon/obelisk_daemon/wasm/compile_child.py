"""The process that compiles one component. It reads untrusted bytes, so it limits itself before it does.

It is exec'd, never forked, so it holds nothing of the daemon's; it dies with the daemon.
"""

import ctypes
import os
import resource
import signal
import sys
from pathlib import Path
from typing import Final

import msgspec
import wasmtime
from wasmtime import component as wc

from obelisk_daemon.wasm.artifacts import write_new
from obelisk_daemon.wasm.compile_order import EXIT_INVALID, CompileOrder
from obelisk_daemon.wasm.recipe import make_engine

_SET_DEATH_SIGNAL: Final = 1


def main(argument: str) -> int:
    """Compile stdin as the order says; give the exit status."""
    order = msgspec.json.decode(argument, type=CompileOrder)
    ctypes.CDLL(None).prctl(_SET_DEATH_SIGNAL, signal.SIGKILL)
    if os.getppid() != order.parent:  # it died before the line above
        return 1
    os.nice(5)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (order.cpu_seconds, order.cpu_seconds + 1))
    resource.setrlimit(resource.RLIMIT_AS, (order.memory, order.memory))
    code = sys.stdin.buffer.read()
    try:
        compiled = wc.Component(make_engine(order.kind, order.settings), code).serialize()
    except wasmtime.WasmtimeError as error:
        sys.stderr.write(str(error))
        return EXIT_INVALID
    write_new(Path(order.output), compiled)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
