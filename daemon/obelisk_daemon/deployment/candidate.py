"""The files a manifest names: each is read once, and the bytes of components are compared with their digests."""

import difflib
import errno
import hashlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from obelisk_config import ComponentStub, Diagnostic, Manifest, WitStub, at

MAX_BYTES: Final = 256 * 1024 * 1024
_TYPES: Final = {
    stat.S_IFDIR: "a directory",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
}


class Files(msgspec.Struct, frozen=True):
    """The bytes of components and WIT files, and which component or stub has which; those with errors have none."""

    by_digest: dict[str, bytes]
    digests: dict[str, str]
    """Name of a component or stub to the digest of its file."""


class UnusableFile(Exception):  # noqa: N818 - kept as a value for each component that names the file
    """The file can't be taken, with a code and a hint for the operator."""

    def __init__(self, code: str, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.hint = hint


class _Wanted(msgspec.Struct, frozen=True):
    """A file to read, and the key of the manifest that names it. WIT files have no digest to compare."""

    name: str
    key: str
    path: str
    digest: str | None = None
    has_digest: bool = True


def read_components(manifest: Manifest, *, dev: bool = False) -> tuple[Files, tuple[Diagnostic, ...]]:
    """Read the file of every component and stub, and check its digest. Blocks on the disk: call it on a thread.

    With `dev` a component without a digest gets that of its file, with a warning; else that is an error. A digest
    that the manifest does give must match in either case.
    """
    files = Files({}, {})
    read: dict[str, tuple[str, bytes] | UnusableFile] = {}
    found: list[Diagnostic] = []
    for wanted in _wanted(manifest):
        if wanted.path not in read:
            read[wanted.path] = read_file(wanted.path)
        taken = read[wanted.path]
        if isinstance(taken, UnusableFile):
            path = (*manifest.positions[wanted.name], wanted.key)
            message = f'the file of "{wanted.name}" {taken}'
            found.append(at(manifest.document, path, taken.code, message, taken.hint))
            continue
        digest, data = taken
        diagnostics = list(_check_digest(manifest, wanted, digest, dev)) if wanted.has_digest else []
        found += diagnostics
        if all(diagnostic.severity == "warning" for diagnostic in diagnostics):
            files.by_digest[digest] = data
            files.digests[wanted.name] = digest
    return files, tuple(found)


def _wanted(manifest: Manifest) -> Iterator[_Wanted]:
    for component in manifest.components:
        yield _Wanted(component.name, "path", component.path, component.digest)
    for stub in manifest.stubs:
        match stub.source:
            case ComponentStub(path, digest):
                yield _Wanted(stub.name, "path", path, digest)
            case WitStub(path):
                yield _Wanted(stub.name, "wit", path, has_digest=False)


def digest_of(data: bytes) -> str:
    """Give the digest of a component's bytes."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def _check_digest(manifest: Manifest, component: _Wanted, digest: str, dev: bool) -> Iterator[Diagnostic]:
    document, path = manifest.document, manifest.positions[component.name]
    line = f'digest = "{digest}"'
    if component.digest is not None:
        if component.digest != digest:
            message = f'the file of "{component.name}" has another digest than the manifest'
            both = f"manifest: {component.digest}\nfile:     {digest}"
            hint = f"{both}\nif the file is the one you want, paste this line:\n{line}"
            yield at(document, (*path, "digest"), "digest_mismatch", message, hint)
    elif document.has((*path, "digest")):
        return  # it is of a wrong form, which has been reported
    elif dev:
        message = f'"{component.name}" has no digest; --dev takes its file as it is'
        hint = f"to pin it, add this line:\n{line}"
        yield Diagnostic("missing_digest", message, document.at(path), hint, "warning")
    else:
        message = f'"{component.name}" has no digest'
        hint = f"if the file is the one you want, add this line (or run with --dev):\n{line}"
        yield at(document, path, "missing_digest", message, hint)


def read_file(name: str) -> "tuple[str, bytes] | UnusableFile":
    """Read a file that a manifest names, with its digest, if it is one and not too large. Blocks on the disk."""
    try:
        data = _bytes(Path(name))
    except UnusableFile as error:
        return error
    except OSError as error:
        return _refusal(Path(name), error)
    return digest_of(data), data


def _bytes(path: Path) -> bytes:
    # Looked at before it is opened, since opening a device can do something; and again after, since it may be another.
    _must_be_regular(path.stat())
    with open(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK), "rb") as file:  # noqa: PTH123
        _must_be_regular(os.fstat(file.fileno()))
        data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise _too_large()
    return data


def _must_be_regular(status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        kind = _TYPES.get(stat.S_IFMT(status.st_mode), "something else")
        raise UnusableFile("not_a_file", f"is {kind}", "name the file itself")
    if status.st_size > MAX_BYTES:
        raise _too_large()


def _too_large() -> UnusableFile:
    return UnusableFile("file_too_large", f"has more than {MAX_BYTES >> 20} MiB", "build it without debug information")


def _refusal(path: Path, error: OSError) -> UnusableFile:
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return UnusableFile("missing_file", "is not there", _nearest(path))
    if error.errno in (errno.EACCES, errno.EPERM):
        return UnusableFile("unreadable_file", "may not be read", "give the daemon's user the right to read it")
    return UnusableFile("unreadable_file", f"can't be read: {error.strerror or error}", "look at the disk")


def _nearest(path: Path) -> str:
    """Say which directory was looked in, or which file of it was probably meant."""
    try:
        names = sorted(one.name for one in path.parent.iterdir())
    except OSError:
        return "its directory is not there; a path is relative to the manifest"
    # Compared without the suffix: that all end in .wasm makes no two of them alike.
    stems = {Path(one).stem: one for one in names}
    near = difflib.get_close_matches(path.stem, stems, 1)
    return f'did you mean "{stems[near[0]]}"?' if near else "a path is relative to the manifest"
