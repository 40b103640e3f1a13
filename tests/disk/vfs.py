"""A file system for SQLite that asks a disk before everything it does, under the library that Python's module uses.

It is the default one while it is installed, so that whoever opens a database then, by whatever code, is on it. Locks
and shared memory are those of SQLite's own file system: its files are taken as they are, and only what reads, writes
and syncs them is replaced.
"""

import _sqlite3
import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Protocol

import pytest

_CREATE: Final = 0x4
_NO_MEMORY_MAPS: Final = 2
"""The version of a table of methods before reads by way of a map."""

_Pointer = ctypes.c_void_p
_Close = ctypes.CFUNCTYPE(ctypes.c_int, _Pointer)
_Transfer = ctypes.CFUNCTYPE(ctypes.c_int, _Pointer, _Pointer, ctypes.c_int, ctypes.c_int64)
_Truncate = ctypes.CFUNCTYPE(ctypes.c_int, _Pointer, ctypes.c_int64)
_Sync = ctypes.CFUNCTYPE(ctypes.c_int, _Pointer, ctypes.c_int)
# a path is passed on as the pointer that it is: SQLite's file system keeps it
_Open = ctypes.CFUNCTYPE(ctypes.c_int, _Pointer, _Pointer, _Pointer, ctypes.c_int, _Pointer)
_Delete = ctypes.CFUNCTYPE(ctypes.c_int, _Pointer, _Pointer, ctypes.c_int)

_SetSystemCall = ctypes.CFUNCTYPE(ctypes.c_int, _Pointer, ctypes.c_char_p, _Pointer)
_Read = ctypes.CFUNCTYPE(ctypes.c_ssize_t, ctypes.c_int, _Pointer, ctypes.c_size_t)
_ReadAt = ctypes.CFUNCTYPE(ctypes.c_ssize_t, ctypes.c_int, _Pointer, ctypes.c_size_t, ctypes.c_int64)


class _Methods(ctypes.Structure):
    _fields_ = (
        ("version", ctypes.c_int),
        ("close", _Close),
        ("read", _Transfer),
        ("write", _Transfer),
        ("truncate", _Truncate),
        ("sync", _Sync),
        ("rest", _Pointer * 13),
    )


class _File(ctypes.Structure):
    _fields_ = (("methods", ctypes.POINTER(_Methods)),)


class _Vfs(ctypes.Structure):
    _fields_ = (
        ("version", ctypes.c_int),
        ("file_size", ctypes.c_int),
        ("longest_path", ctypes.c_int),
        ("next", _Pointer),
        ("name", ctypes.c_char_p),
        ("data", _Pointer),
        ("open", _Open),
        ("delete", _Delete),
        ("middle", _Pointer * 11),
        ("set_system_call", _SetSystemCall),
        ("rest", _Pointer * 2),
    )


class Asked(Protocol):
    """A disk. Each answer is 0, or the code of the error with which SQLite's call fails."""

    def open(self, name: str, *, is_made: bool) -> int: ...
    def read(self, name: str) -> int: ...
    def write(self, name: str, offset: int, data: bytes) -> int: ...
    def truncate(self, name: str, size: int) -> int: ...
    def sync(self, name: str) -> int: ...
    def delete(self, name: str, *, with_directory: bool) -> int: ...


def library() -> ctypes.CDLL:
    """Give the SQLite that Python's module is linked with; skip the test where it is hidden inside of that."""
    loaded = ctypes.CDLL(getattr(_sqlite3, "__file__", None))
    try:
        loaded.sqlite3_vfs_find.restype = ctypes.POINTER(_Vfs)
    except AttributeError:
        pytest.skip("this Python hides its SQLite")
    return loaded


@contextmanager
def installed(disk: Asked) -> Iterator[None]:
    """Have every database that is opened meanwhile be on this disk."""
    sqlite = library()
    below = sqlite.sqlite3_vfs_find(None)
    made = _DiskVfs(disk, below.contents)
    assert sqlite.sqlite3_vfs_register(ctypes.byref(made.vfs), 1) == 0
    try:
        yield
    finally:
        assert sqlite.sqlite3_vfs_unregister(ctypes.byref(made.vfs)) == 0
        assert sqlite.sqlite3_vfs_register(below, 1) == 0
        assert not made.names, f"still open: {sorted(made.names.values())}"


@contextmanager
def short_reads(most: int) -> Iterator[list[int]]:
    """Have SQLite's own file system get at most so many bytes from the system at a time; give how many it wanted."""
    asked: list[int] = []

    def at_place(file: int, into: int, size: int, offset: int) -> int:
        asked.append(size)
        return _copy_to(into, os.pread(file, min(size, most), offset))

    def in_order(file: int, into: int, size: int) -> int:
        asked.append(size)
        return _copy_to(into, os.read(file, min(size, most)))

    calls = {b"pread": _ReadAt(at_place), b"pread64": _ReadAt(at_place), b"read": _Read(in_order)}
    below = library().sqlite3_vfs_find(b"unix")
    for name, call in calls.items():
        assert below.contents.set_system_call(below, name, ctypes.cast(call, _Pointer)) == 0
    try:
        yield asked
    finally:
        assert below.contents.set_system_call(below, None, None) == 0


class _DiskVfs:
    """The structures that SQLite is given, which must live as long as it may use them."""

    def __init__(self, disk: Asked, below: _Vfs) -> None:
        self._disk = disk
        self._below = below
        self._tables: dict[int, tuple[_Methods, _Methods]] = {}
        """By the address of a table of SQLite's: that one, and ours."""
        self.names: dict[int, str] = {}
        """Of the files that are open, by their addresses."""
        self.vfs = _Vfs.from_buffer_copy(below)
        self.vfs.name = b"simulated"
        self.vfs.open, self.vfs.delete = _Open(self._open), _Delete(self._delete)

    def _open(self, _: int, name: int, file: int, flags: int, given: int | None) -> int:
        _File.from_address(file).methods = None  # SQLite closes what has methods, also after an error
        path = _path(name)
        is_made = bool(flags & _CREATE) and not path.exists()
        code = self._disk.open(path.name, is_made=is_made)
        code = code or self._below.open(ctypes.addressof(self._below), name, file, flags, given)
        if code == 0:
            self.names[file] = path.name
            self._replace_methods(file)
        return int(code)

    def _replace_methods(self, file: int) -> None:
        opened = _File.from_address(file)
        below = ctypes.addressof(opened.methods.contents)
        if below not in self._tables:
            theirs = opened.methods.contents
            ours = _Methods.from_buffer_copy(theirs)
            ours.version = min(theirs.version, _NO_MEMORY_MAPS)
            ours.close = _Close(lambda file: self._close(theirs, file))
            ours.read = _Transfer(lambda file, *of: self._disk.read(self.names[file]) or theirs.read(file, *of))
            ours.write = _Transfer(lambda file, *of: self._write(theirs, file, *of))
            ours.truncate = _Truncate(
                lambda file, size: self._disk.truncate(self.names[file], size) or theirs.truncate(file, size)
            )
            ours.sync = _Sync(lambda file, _: self._disk.sync(self.names[file]))
            self._tables[below] = theirs, ours
        opened.methods = ctypes.pointer(self._tables[below][1])

    def _close(self, theirs: _Methods, file: int) -> int:
        del self.names[file]
        return int(theirs.close(file))

    def _write(self, theirs: _Methods, file: int, data: int, size: int, offset: int) -> int:
        code = self._disk.write(self.names[file], offset, ctypes.string_at(data, size))
        if code:
            theirs.write(file, data, size // 2, offset)  # as a disk that fails on the way does
        return code or int(theirs.write(file, data, size, offset))

    def _delete(self, _: int, name: int, with_directory: int) -> int:
        path = _path(name)
        code = self._disk.delete(path.name, with_directory=bool(with_directory)) if path.exists() else 0
        return code or int(self._below.delete(ctypes.addressof(self._below), name, 0))


def _path(name: int) -> Path:
    return Path(ctypes.string_at(name).decode())


def _copy_to(into: int, data: bytes) -> int:
    ctypes.memmove(into, data, len(data))
    return len(data)
