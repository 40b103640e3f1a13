"""The directory of compiled components.

A compiled artifact is machine code: loading a changed one is running an attacker's code, or crashing. So one is loaded
only if its keyed hash matches; the hash covers the source's digest and the engine's settings too, and the key is a file
that only this user can read. Anything else in its place is compiled again.
"""

import hashlib
import hmac
import mmap
import os
import secrets
import stat
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Final

import wasmtime
from wasmtime import component as wc

from obelisk_daemon.errors import OperatorError

_KEY_BYTES: Final = 32
_COUNTER: Final = count(1)


class ArtifactCache:
    """Artifacts by source digest and engine configuration. Several processes of one user may share the directory.

    Raises:
        OperatorError: `unsafe_cache_dir` when others could write to the directory or read its key;
            `unusable_cache_dir` when there is none and none can be made.
    """

    def __init__(self, directory: Path) -> None:
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            message = f"the directory {directory} for compiled components can't be made: {error.strerror}"
            raise OperatorError("unusable_cache_dir", message) from error
        _check_private(directory, 0o022)
        self._directory = directory
        self._key = self._read_key(directory / "key")
        self._remove_leftovers()

    def _read_key(self, path: Path) -> bytes:
        if not path.exists():
            draft = self.draft("key")
            write_new(draft, secrets.token_bytes(_KEY_BYTES))
            with suppress(FileExistsError):  # another process was first: its key holds
                os.link(draft, path)
            draft.unlink()
        _check_private(path, 0o077)
        key = path.read_bytes()
        if len(key) != _KEY_BYTES:
            raise OperatorError("unsafe_cache_dir", f"{path} is damaged: remove it, and all is compiled again")
        return key

    def draft(self, name: str) -> Path:
        """Name a new file in the directory, to be written and given to `store`. It is removed if this process dies."""
        return self._directory / f"{name}.{os.getpid()}.{next(_COUNTER)}.tmp"

    def _remove_leftovers(self) -> None:
        for path in self._directory.glob("*.tmp"):
            owner = path.name.split(".")[-3]
            if owner.isdigit() and not Path(f"/proc/{owner}").exists():
                path.unlink(missing_ok=True)

    def _paths(self, digest: str, config: str) -> tuple[Path, Path]:
        name = f"{digest.removeprefix('sha256:')}-{config[:16]}"
        return self._directory / f"{name}.cwasm", self._directory / f"{name}.hash"

    def load(self, engine: wasmtime.Engine, digest: str, config: str) -> wc.Component | None:
        """Load an artifact if it is there and is what this cache stored; None otherwise.

        Takes milliseconds for small artifacts, 50 ms for one of 50 MB: to be called on a thread.
        """
        artifact, hash_path = self._paths(digest, config)
        try:
            expected = hash_path.read_bytes()
            # The open file is what is hashed and what is loaded, whatever its name comes to mean in between.
            with artifact.open("rb") as file, _mapped(file.fileno()) as content:
                if not hmac.compare_digest(expected, self._hash(digest, config, content)):
                    return None
                return wc.Component.deserialize_file(engine, f"/proc/self/fd/{file.fileno()}")
        except (FileNotFoundError, wasmtime.WasmtimeError):
            # The second: right bytes that this machine's CPU can't run, say after the disk moved.
            return None

    def store(self, draft: Path, digest: str, config: str) -> None:
        """Make a written artifact the one for its digest and configuration, for good once this returns."""
        artifact, hash_path = self._paths(digest, config)
        with draft.open("rb") as file, _mapped(file.fileno()) as content:
            code = self._hash(digest, config, content)
        hash_draft = self.draft("hash")
        write_new(hash_draft, code)
        draft.replace(artifact)
        hash_draft.replace(hash_path)
        descriptor = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def prune(self, keep: Collection[str], made_before: float) -> int:
        """Remove the artifacts of all source digests but these, and give how many there were.

        One that is loaded stays usable: its file is mapped. One made since `made_before`, in Unix seconds, is kept: it
        may be of a manifest that is being checked.
        """
        removed = 0
        names = {digest.removeprefix("sha256:") for digest in keep}
        for path in self._directory.glob("*-*.*"):
            if path.suffix not in {".cwasm", ".hash"} or path.name.partition("-")[0] in names:
                continue
            with suppress(FileNotFoundError):  # another process of this user has removed it
                if path.stat().st_mtime < made_before:
                    path.unlink()
                    removed += path.suffix == ".cwasm"
        return removed

    def _hash(self, digest: str, config: str, content: "mmap.mmap | bytes") -> bytes:
        code = hashlib.blake2b(f"{digest}\n{config}\n".encode(), key=self._key, digest_size=32)
        code.update(content)
        return code.digest()


def write_new(path: Path, content: "bytes | bytearray") -> None:
    """Write a file that isn't there yet, for this user only, and wait until it is on the disk."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def _mapped(descriptor: int) -> "Iterator[mmap.mmap | bytes]":
    if os.fstat(descriptor).st_size == 0:
        yield b""
        return
    with mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ) as content:
        yield content


def _check_private(path: Path, forbidden: int) -> None:
    facts = path.stat()
    if facts.st_uid != os.geteuid() or stat.S_IMODE(facts.st_mode) & forbidden:
        raise OperatorError(
            "unsafe_cache_dir",
            f"{path} must belong to the daemon's user and be closed to others, since it decides what code runs: "
            f"chown it, and chmod go-rwx {path}",
        )
