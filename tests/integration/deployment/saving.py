"""The ways in which programs save a file."""

import os
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeAlias

from obelisk_daemon.deployment.settling import MISSING
from tests.integration.deployment.scene import Scene

Save: TypeAlias = Callable[[Scene, bytes], Awaitable[None]]
CHUNKS = 4


async def in_place(scene: Scene, content: bytes) -> None:
    scene.file.write_bytes(content)


async def in_slow_chunks(scene: Scene, content: bytes) -> None:
    """Write a part, have it seen, let some time pass, write the next."""
    size = len(content) // CHUNKS
    with scene.file.open("wb", buffering=0) as file:
        for number in range(1, CHUNKS):
            file.write(content[(number - 1) * size : number * size])
            await scene.sees(content[: number * size])
            await scene.passes(0.125)
        file.write(content[(CHUNKS - 1) * size :])


async def by_rename(scene: Scene, content: bytes) -> None:
    temporary = scene.directory / ".obelisk.toml.tmp"
    temporary.write_bytes(content)
    temporary.replace(scene.file)


async def as_vim_does(scene: Scene, content: bytes) -> None:
    backup = scene.directory / "obelisk.toml~"
    (scene.directory / "4913").touch()
    (scene.directory / "4913").unlink()
    scene.file.rename(backup)
    scene.file.write_bytes(content)
    scene.file.chmod(0o644)
    backup.unlink()


async def unlinked_and_recreated(scene: Scene, content: bytes) -> None:
    scene.file.unlink()
    await scene.sees(MISSING)
    scene.file.write_bytes(content)


async def as_kubernetes_does(scene: Scene, content: bytes) -> None:
    """Swap the link `..data`, through which `link_as_kubernetes_does` has made the file lead."""
    old = (scene.directory / "..data").readlink()
    new = _version(scene.directory, content)
    (scene.directory / "..data_tmp").symlink_to(new)
    (scene.directory / "..data_tmp").replace(scene.directory / "..data")
    shutil.rmtree(scene.directory / old)


async def with_its_directory(scene: Scene, content: bytes) -> None:
    """Put a new directory in the place of the old one, at once."""
    new = scene.directory.with_name("new")
    shutil.copytree(scene.directory, new)
    (new / scene.file.name).write_bytes(content)
    scene.directory.rename(scene.directory.with_name("old"))
    new.rename(scene.directory)
    shutil.rmtree(scene.directory.with_name("old"))


async def with_its_directory_after_a_while(scene: Scene, content: bytes) -> None:
    """Put a new directory in the place of the old one, which is not there meanwhile."""
    old = scene.directory.with_name("old")
    scene.directory.rename(old)
    await scene.sees(MISSING)
    (old / scene.file.name).write_bytes(content)
    old.rename(scene.directory)


STYLES: list[Save] = [
    in_place,
    in_slow_chunks,
    by_rename,
    as_vim_does,
    unlinked_and_recreated,
    as_kubernetes_does,
    with_its_directory,
    with_its_directory_after_a_while,
]


def link_as_kubernetes_does(scene: Scene) -> None:
    """Make the file a link to `..data/obelisk.toml`, and `..data` one to a directory with the content."""
    version = _version(scene.directory, scene.file.read_bytes())
    scene.file.unlink()
    (scene.directory / "..data").symlink_to(version)
    scene.file.symlink_to(Path("..data", scene.file.name))


def touch(file: Path) -> None:
    os.utime(file)


def _version(directory: Path, content: bytes) -> str:
    name = f"..version-{sum(1 for _ in directory.glob('..version-*'))}-{len(content)}-{hash(content):x}"
    (directory / name).mkdir()
    (directory / name / "obelisk.toml").write_bytes(content)
    return name
