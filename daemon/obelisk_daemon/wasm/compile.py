"""From the bytes of a component to compiled, loaded code.

Compiling is where untrusted bytes hurt: 0.2 MB of crafted wasm took 30 s, 5.4 MB took 4.75 GB of memory. So it is done
in a child process with limits on CPU, memory and time, which dies with the daemon, and its result is cached.
"""

import asyncio
import hashlib
import logging
import os
import signal
import sys
from collections import defaultdict
from collections.abc import Collection
from pathlib import Path
from typing import Final
from weakref import WeakValueDictionary

import msgspec
from wasmtime import component as wc

from obelisk_daemon.errors import ComponentError, ObeliskError, OperatorError
from obelisk_daemon.metrics import ManifestMetrics, Metrics
from obelisk_daemon.wasm.artifacts import ArtifactCache
from obelisk_daemon.wasm.compile_order import EXIT_INVALID, CompileOrder
from obelisk_daemon.wasm.component import Component
from obelisk_daemon.wasm.engine import Engines
from obelisk_daemon.wasm.recipe import EngineKind

_COMPONENT_MAGIC: Final = b"\0asm\x0d\0\x01\0"
_MODULE_MAGIC: Final = b"\0asm\x01\0\0\0"
_ERROR_SHOWN: Final = 2_000
_LOG: Final = logging.getLogger(__name__)


class CompileLimits(msgspec.Struct, frozen=True):
    """What compiling one component may use."""

    cpu_seconds: int = 300
    wall_seconds: float = 300.0
    memory: int = 4 << 30
    """Bytes of the child's address space."""
    source: int = 256 << 20
    """Bytes of a component."""


class Compiler:
    """Loads components, compiling those that the cache in `cache_dir` doesn't have. As many at once as there are cores.

    Raises:
        OperatorError: `unsafe_cache_dir`.
    """

    def __init__(
        self,
        engines: Engines,
        cache_dir: Path,
        limits: CompileLimits | None = None,
        metrics: ManifestMetrics | None = None,
    ) -> None:
        self._metrics = metrics or Metrics().manifest
        self._engines = engines
        self._limits = limits or CompileLimits()
        self._cache = ArtifactCache(cache_dir)
        self._slots = asyncio.Semaphore(os.cpu_count() or 1)
        self._loaded: WeakValueDictionary[tuple[str, EngineKind], Component] = WeakValueDictionary()
        self._locks: defaultdict[tuple[str, EngineKind], asyncio.Lock] = defaultdict(asyncio.Lock)

    async def load(self, code: bytes, kind: EngineKind) -> Component:
        """Give the component of these bytes, from memory, from the cache or compiled now (seconds for a big one).

        Raises:
            ComponentError: `invalid_component`, `compile_limit`, or one of `Component`.
            OperatorError: `compile_failed` when the child could not do its work.
        """
        self._check_source(code)
        digest = "sha256:" + (await asyncio.to_thread(hashlib.sha256, code)).hexdigest()
        key = (digest, kind)
        async with self._locks[key]:
            component = self._loaded.get(key)
            if component is None:
                try:
                    handle = await self._load_or_compile(code, digest, kind)
                except OSError as error:  # no memory, process or file descriptor is left, or the disk is full
                    raise OperatorError("compile_failed", f"{digest} can't be loaded or compiled: {error}") from error
                component = self._loaded[key] = Component(self._engines, kind, digest, handle, len(code))
            else:
                self._metrics.cache_hits.inc("memory")
        return component

    def prune(self, keep: Collection[str], made_before: float) -> int:
        """Remove from the cache what isn't the compiled code of these source digests; see `ArtifactCache.prune`."""
        return self._cache.prune(keep, made_before)

    def _check_source(self, code: bytes) -> None:
        if code.startswith(_MODULE_MAGIC):
            raise ComponentError(
                "invalid_component", "this is a core module, not a component: make one with wasm-tools component new"
            )
        if not code.startswith(_COMPONENT_MAGIC):
            raise ComponentError("invalid_component", "this is not a WebAssembly component")
        if len(code) > self._limits.source:
            raise ComponentError(
                "compile_limit", f"the component has {len(code)} bytes; the limit is {self._limits.source}"
            )

    async def _load_or_compile(self, code: bytes, digest: str, kind: EngineKind) -> wc.Component:
        engine, config = self._engines.engine(kind), self._engines.config_hash(kind)
        handle = await asyncio.to_thread(self._cache.load, engine, digest, config)
        if handle is not None:
            self._metrics.cache_hits.inc("disk")
            return handle
        async with self._slots:
            _LOG.info("compiling a component of %d bytes, %s; the result is kept", len(code), digest)
            draft = self._cache.draft("compiled")
            try:
                await self._measured(code, kind, draft)
                await asyncio.to_thread(self._cache.store, draft, digest, config)
            finally:
                draft.unlink(missing_ok=True)
        handle = await asyncio.to_thread(self._cache.load, engine, digest, config)
        if handle is None:
            raise OperatorError(
                "compile_failed", f"the artifact of {digest} can't be loaded right after its compilation"
            )
        return handle

    async def _measured(self, code: bytes, kind: EngineKind, output: Path) -> None:
        loop = asyncio.get_running_loop()
        began, outcome = loop.time(), "interrupted"
        try:
            await self._compile(code, kind, output)
            outcome = "ok"
        except ObeliskError as error:
            outcome = error.code
            raise
        finally:
            self._metrics.compile_seconds.observe(loop.time() - began, outcome)

    async def _compile(self, code: bytes, kind: EngineKind, output: Path) -> None:
        limits = self._limits
        order = CompileOrder(kind, self._engines.settings, str(output), limits.cpu_seconds, limits.memory, os.getpid())
        child = await asyncio.create_subprocess_exec(
            sys.executable,
            "-s",
            "-P",  # what lies in the current directory is none of our modules
            "-m",
            "obelisk_daemon.wasm.compile_child",
            msgspec.json.encode(order).decode(),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            env={"PYTHONPATH": os.pathsep.join(p for p in sys.path if p), "RUST_BACKTRACE": "0"},
        )
        try:
            async with asyncio.timeout(limits.wall_seconds):
                _, errors = await child.communicate(code)
        except TimeoutError:
            raise ComponentError(
                "compile_limit", f"compiling the component took longer than {limits.wall_seconds:g} s"
            ) from None
        finally:
            if child.returncode is None:
                child.kill()
                await child.wait()
        self._judge(child.returncode or 0, errors.decode("utf-8", "replace").strip()[-_ERROR_SHOWN:])

    def _judge(self, status: int, errors: str) -> None:
        """Say what a child's end means."""
        if status == 0:
            return
        if status == EXIT_INVALID:
            raise ComponentError("invalid_component", f"the component doesn't compile: {errors}")
        if status in {-signal.SIGXCPU, -signal.SIGKILL}:
            raise ComponentError(
                "compile_limit", f"compiling the component took more than {self._limits.cpu_seconds} s of CPU"
            )
        if status == -signal.SIGABRT or "MemoryError" in errors:
            raise ComponentError(
                "compile_limit", f"compiling the component took more than {self._limits.memory} bytes of memory"
            )
        raise OperatorError("compile_failed", f"the compiling process ended with status {status}: {errors}")
