"""Components are compiled in a process of their own, and loaded from a cache that trusts nothing but its own hash."""

import os
import select
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from obelisk_daemon.errors import ComponentError, OperatorError
from obelisk_daemon.wasm.compile import CompileLimits, Compiler
from obelisk_daemon.wasm.engine import Engines
from obelisk_daemon.wasm.guest import GuestLimits, Returned
from obelisk_daemon.wasm.linker import LinkedComponent
from obelisk_daemon.wasm.recipe import EngineSettings
from tests.integration.wasm.loading import FIBO, GUESTS

pytestmark = pytest.mark.anyio

CODE = (GUESTS / "fibo-activity.wasm").read_bytes()
OTHER = (GUESTS / "spin.wasm").read_bytes()


class Watched(Compiler):
    """Counts how often it had to compile."""

    compiled = 0

    async def _compile(self, code: bytes, kind: object, output: Path) -> None:
        self.compiled += 1
        await super()._compile(code, kind, output)  # type: ignore[arg-type]


@pytest.fixture
def fresh() -> Iterator[Engines]:
    engines = Engines()
    yield engines
    engines.close()


def artifacts(cache: Path) -> list[Path]:
    return sorted(cache.glob("*.cwasm"))


async def test_a_component_is_compiled_once_and_then_loaded(fresh: Engines, tmp_path: Path) -> None:
    first = Watched(fresh, tmp_path / "cache")
    component = await first.load(CODE, "activity")
    assert await first.load(CODE, "activity") is component
    assert (await LinkedComponent(component, lambda *_: None).run(FIBO, [10], None, GuestLimits())) == Returned(
        {"ok": 55}
    )
    second = Watched(fresh, tmp_path / "cache")
    loaded = await second.load(CODE, "activity")
    assert (first.compiled, second.compiled) == (1, 0)
    assert loaded.digest == component.digest
    assert dict(loaded.exports) == dict(component.exports)
    assert not list((tmp_path / "cache").glob("*.tmp"))


@pytest.mark.parametrize("name", ["*.cwasm", "*.hash"])
async def test_a_changed_artifact_is_compiled_again_and_never_loaded(fresh: Engines, tmp_path: Path, name: str) -> None:
    await Compiler(fresh, tmp_path).load(CODE, "activity")
    (path,) = tmp_path.glob(name)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    again = Watched(fresh, tmp_path)
    await again.load(CODE, "activity")
    assert again.compiled == 1
    third = Watched(fresh, tmp_path)
    await third.load(CODE, "activity")
    assert third.compiled == 0


async def test_an_artifact_in_the_place_of_another_is_compiled_again(fresh: Engines, tmp_path: Path) -> None:
    await Compiler(fresh, tmp_path).load(CODE, "activity")
    (mine,) = artifacts(tmp_path)
    await Compiler(fresh, tmp_path).load(OTHER, "activity")
    (other,) = set(artifacts(tmp_path)) - {mine}
    for suffix in (".cwasm", ".hash"):
        mine.with_suffix(suffix).write_bytes(other.with_suffix(suffix).read_bytes())
    again = Watched(fresh, tmp_path)
    await again.load(CODE, "activity")
    assert again.compiled == 1


@pytest.mark.parametrize("lost", ["key", "*.hash", "*.cwasm"])
async def test_a_lost_file_of_the_cache_costs_a_compilation_only(fresh: Engines, tmp_path: Path, lost: str) -> None:
    await Compiler(fresh, tmp_path).load(CODE, "activity")
    (path,) = tmp_path.glob(lost)
    path.unlink()
    again = Watched(fresh, tmp_path)
    await again.load(CODE, "activity")
    assert again.compiled == 1


async def test_other_engine_settings_need_another_artifact(fresh: Engines, tmp_path: Path) -> None:
    await Compiler(fresh, tmp_path).load(CODE, "activity")
    engines = Engines(EngineSettings(memory_reservation=1 << 30))
    for settings, kind in ((fresh, "workflow"), (engines, "activity")):
        compiler = Watched(settings, tmp_path)
        await compiler.load(CODE, kind)  # type: ignore[arg-type]
        assert compiler.compiled == 1
    engines.close()


async def test_files_of_the_cache_are_closed_to_others(fresh: Engines, tmp_path: Path) -> None:
    await Compiler(fresh, tmp_path / "cache").load(CODE, "activity")
    modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "cache").iterdir()}
    assert set(modes.values()) == {0o600}
    assert (tmp_path / "cache").stat().st_mode & 0o777 == 0o700


async def test_pruning_keeps_the_artifacts_of_the_given_digests(fresh: Engines, tmp_path: Path) -> None:
    compiler = Compiler(fresh, tmp_path)
    mine, other = await compiler.load(CODE, "activity"), await compiler.load(OTHER, "activity")
    assert compiler.prune([mine.digest], made_before=0.0) == 0
    assert compiler.prune([mine.digest], made_before=float("inf")) == 1
    again = Watched(fresh, tmp_path)
    await again.load(CODE, "activity")
    assert again.compiled == 0
    assert len(list(tmp_path.glob("*.hash"))) == len(artifacts(tmp_path)) == 1
    assert FIBO in other.exports


@pytest.mark.parametrize(("name", "mode"), [(".", 0o777), ("key", 0o644)])
async def test_a_cache_open_to_others_is_refused(fresh: Engines, tmp_path: Path, name: str, mode: int) -> None:
    Compiler(fresh, tmp_path)
    (tmp_path / name).chmod(mode)
    with pytest.raises(OperatorError, match="closed to others") as caught:
        Compiler(fresh, tmp_path)
    assert caught.value.code == "unsafe_cache_dir"


async def test_what_a_dead_process_left_is_removed_and_a_living_one_keeps_its_files(
    fresh: Engines, tmp_path: Path
) -> None:
    dead, alive = tmp_path / "compiled.999999999.1.tmp", tmp_path / f"compiled.{os.getpid()}.1.tmp"
    for path in (dead, alive):
        path.write_bytes(b"")
    Compiler(fresh, tmp_path)
    assert (dead.exists(), alive.exists()) == (False, True)


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (b"hello", "not a WebAssembly component"),
        (b"\0asm\x01\0\0\0", "a core module, not a component"),
        (CODE[:-20], "doesn't compile"),
        (CODE[:8] + b"\x63garbage", "doesn't compile"),
    ],
)
async def test_bytes_that_are_no_component_are_the_components_error(
    fresh: Engines, tmp_path: Path, code: bytes, message: str
) -> None:
    with pytest.raises(ComponentError, match=message) as caught:
        await Compiler(fresh, tmp_path).load(code, "activity")
    assert caught.value.code == "invalid_component"
    assert not artifacts(tmp_path)


def heavy() -> bytes:
    """Make a component that takes seconds and hundreds of megabytes to compile: one function of 100,000 branches."""
    branch = b"\x20\x00\x04\x40\x20\x00\x28\x02\x00\x21\x00\x0b"  # if local 0: local 0 = load(local 0)
    body = b"\x01\x01\x7f" + branch * 100_000 + b"\x0b"
    module = b"\0asm\x01\0\0\0" + section(1, b"\x01\x60\x00\x00") + section(3, b"\x01\x00")
    module += section(5, b"\x01\x00\x01") + section(10, b"\x01" + leb(len(body)) + body)
    return b"\0asm\x0d\0\x01\0" + section(1, module) + section(2, b"\x01\x00\x00\x00")


def section(number: int, content: bytes) -> bytes:
    return bytes([number]) + leb(len(content)) + content


def leb(number: int) -> bytes:
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes([*out, number])


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        (CompileLimits(wall_seconds=0.001), "longer than 0.001 s"),
        (CompileLimits(cpu_seconds=1), "more than 1 s of CPU"),
        (CompileLimits(memory=400 << 20), "bytes of memory"),
        (CompileLimits(source=1000), "the limit is 1000"),
    ],
)
async def test_compiling_over_a_limit_is_the_components_error(
    fresh: Engines, tmp_path: Path, limits: CompileLimits, message: str
) -> None:
    with pytest.raises(ComponentError, match=message) as caught:
        await Compiler(fresh, tmp_path, limits).load(heavy(), "activity")
    assert caught.value.code == "compile_limit"
    assert [path.name for path in tmp_path.iterdir()] == ["key"]


PARENT = """
import msgspec, os, subprocess, sys
from pathlib import Path
from obelisk_daemon.wasm.compile import CompileOrder
from obelisk_daemon.wasm.recipe import EngineSettings
source, output = map(Path, sys.argv[1:])
order = CompileOrder("activity", EngineSettings(), str(output), 60, 4 << 30, os.getpid())
command = [sys.executable, "-m", "obelisk_daemon.wasm.compile_child", msgspec.json.encode(order).decode()]
with source.open("rb") as code:
    child = subprocess.Popen(command, stdin=code)
print(child.pid, flush=True)
child.wait()
"""


def test_the_compiling_process_dies_with_the_daemon(tmp_path: Path) -> None:
    source = tmp_path / "heavy.wasm"
    source.write_bytes(heavy())
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, source, tmp_path / "output"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert parent.stdout is not None
    child = os.pidfd_open(int(parent.stdout.readline()))
    parent.kill()
    parent.wait()
    parent.stdout.close()
    ended = select.poll()
    ended.register(child, select.POLLIN)
    assert ended.poll(10_000)  # compiling it would take longer
    os.close(child)
    assert not (tmp_path / "output").exists()
