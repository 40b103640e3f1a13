"""wasm-tools and componentize-py, as people use them on our WIT text."""

import functools
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
import wasmtime
from wasmtime import component as wc

from obelisk_daemon import wit
from obelisk_daemon.execution.wit_interfaces import WitComponent, WitInterface
from obelisk_daemon.execution.wit_printing import one_text, print_packages
from obelisk_daemon.wasm.introspect import Interface, Introspection


def _engine() -> wasmtime.Engine:
    """Make an engine that compiles fast; nothing is run on it."""
    config = wasmtime.Config()
    config.cranelift_opt_level = "none"
    return wasmtime.Engine(config)


_ENGINE = _engine()


def tool(name: str, *arguments: object) -> str:
    """Run a tool of the environment; the test fails with what it says, and is skipped where the tool isn't there."""
    beside = Path(sys.executable).with_name(name)
    found = str(beside) if beside.is_file() else shutil.which(name)
    if found is None:
        if os.environ.get("OBELISK_REQUIRE_GUESTS"):
            pytest.fail(f"{name} is not installed")
        pytest.skip(f"{name} is not installed")
    done = subprocess.run([found, *map(str, arguments)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@functools.cache
def introspected(file: Path) -> Introspection:
    return Introspection(_ENGINE, wc.Component.from_file(_ENGINE, file))


def described(file: Path, kind: str = "activity") -> WitComponent:
    """Describe a component file as the daemon does."""
    found = introspected(file)
    return WitComponent(
        file.stem, kind, tuple(map(_interface, found.exported)), tuple(map(_interface, _with_types(found.imports)))
    )


def printed(*components: WitComponent, extensions: bool = False) -> str:
    return one_text(print_packages(components, wit.texts(), extensions=extensions))


def with_world(directory: Path, text: str, lines: Sequence[str]) -> Path:
    """Make a WIT directory with a world `w` beside the printed text."""
    (directory / "deps").mkdir(parents=True)
    (directory / "deps" / "printed.wit").write_text(text)
    (directory / "world.wit").write_text("\n".join(["package test:built;", "world w {", *lines, "}", ""]))
    return directory


def dummy(directory: Path, world: str = "w") -> Introspection:
    """Make a component that has a world's imports and exports, and read it as the daemon does."""
    core, component = directory / "dummy.core.wasm", directory / "dummy.wasm"
    tool("wasm-tools", "component", "embed", "--dummy", "--world", world, directory, "-o", core)
    tool("wasm-tools", "component", "new", core, "-o", component)
    return introspected(component)


def _interface(interface: Interface) -> WitInterface:
    return WitInterface(interface.name, tuple(interface.types), tuple(interface.functions))


def _with_types(interfaces: Sequence[Interface]) -> list[Interface]:
    return [interface for interface in interfaces if interface.types]
