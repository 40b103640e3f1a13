"""Components for tests: compiled once for all runs, loaded once for each process."""

import asyncio
import functools
import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from obelisk_daemon.deployment.rehearsal import link_alone
from obelisk_daemon.execution.called_functions import Called, called_functions
from obelisk_daemon.testing.stubs import KitError
from obelisk_daemon.wasm.compile import Compiler
from obelisk_daemon.wasm.component import Component
from obelisk_daemon.wasm.engine import Engines
from obelisk_daemon.wasm.linker import LinkedComponent
from obelisk_daemon.wasm.user_cache import user_cache_dir


class Loaded(NamedTuple):
    """A component, ready to run."""

    linked: LinkedComponent
    called: Mapping[str, Called]

    @property
    def component(self) -> Component:
        """The component itself."""
        return self.linked.component


def load(path: Path, cache_dir: Path | None) -> Loaded:
    """Load a workflow's component; a file that changed is another one.

    Raises:
        KitError: it can't be read.
        ComponentError: it can't be used.
        OperatorError: the cache can't be used.
    """
    try:
        facts = path.stat()
    except OSError as error:
        raise KitError(f"the component {path} can't be read: {error.strerror}; is it built?") from None
    directory = cache_dir or user_cache_dir(os.environ)
    return _load(path.resolve(), (facts.st_mtime_ns, facts.st_size), directory)


@functools.lru_cache(maxsize=64)
def _load(path: Path, _facts: tuple[int, int], cache_dir: Path) -> Loaded:
    loaded: list[Component | BaseException] = []

    def work() -> None:
        try:
            compiler = Compiler(_engines(), cache_dir)
            loaded.append(asyncio.run(compiler.load(path.read_bytes(), "workflow")))
        except BaseException as error:  # noqa: BLE001 - carried to the caller's thread, and raised there
            loaded.append(error)

    thread = threading.Thread(target=work, name="kit-compiler")  # the caller's thread may run a loop already
    thread.start()
    thread.join()
    (component,) = loaded
    if isinstance(component, BaseException):
        raise component
    linked, _ = link_alone(component, {})
    return Loaded(linked, called_functions(component.imports))


@functools.cache
def _engines() -> Engines:
    """Make the engines of this process. They end with it: their threads are no reason for it to stay."""
    return Engines()
