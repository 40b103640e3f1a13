"""A disk that loses power, fails or is full at an operation that the test chooses.

The files in its directory are what the running system sees. What would be left after a power cut is kept beside: of
each file what was synced, and what was written since.
"""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Final, Literal, NamedTuple

SECTOR: Final = 512
FULL: Final = 13
IO_ERRORS: Final = {"open": 14, "read": 266, "write": 778, "truncate": 1546, "sync": 1034, "delete": 2570}
"""The codes with which SQLite says that one of them failed."""
OperationKind = Literal["open", "read", "write", "truncate", "sync", "delete"]


class Operation(NamedTuple):
    """What SQLite is about to do. `grows`: a write beyond the end of its file."""

    kind: OperationKind
    name: str
    grows: bool = False


class Write(NamedTuple):
    """Bytes at a place."""

    offset: int
    data: bytes


Pending = Write | int
"""What was done to a file and not synced: a write, or a truncation to a size."""
Faults = Callable[[Operation], int]
"""Called before each operation; gives 0, or the code of the error it fails with."""


class File:
    """What is on the platters for certain, and what may be."""

    def __init__(self, durable: bytes = b"") -> None:
        self.durable = bytearray(durable)
        self.pending: list[Pending] = []
        self.size = len(durable)
        """As the running system sees it."""

    def sync(self) -> None:
        for one in self.pending:
            _apply(self.durable, one)
        self.pending.clear()


class PowerCut:
    """Lets so many writes, truncations, syncs and deletions pass, and nothing after that."""

    def __init__(self, operations: int) -> None:
        self.left = operations

    def __call__(self, operation: Operation) -> int:
        if operation.kind in ("read", "open") and self.left > 0:
            return 0
        self.left -= 1
        return 0 if self.left > 0 else IO_ERRORS[operation.kind]

    @property
    def has_come(self) -> bool:
        return self.left <= 0


class FailsAt:
    """Lets the Nth operation fail that matters to it, counted from 1; every later one as well if it `stays`."""

    def __init__(self, number: int, *, full: bool, stays: bool) -> None:
        self._left = number
        self._full = full
        self.stays = stays

    def __call__(self, operation: Operation) -> int:
        if self._full and not operation.grows:
            return 0
        self._left -= 1
        if self._left == 0 or (self.stays and self._left < 0):
            return FULL if self._full else IO_ERRORS[operation.kind]
        return 0

    @property
    def has_struck(self) -> bool:
        return self._left <= 0


def faultless(_: Operation) -> int:
    return 0


class Disk:
    """Files in a directory, by their names. `faults` decides what fails."""

    def __init__(self, directory: Path, seed: int) -> None:
        self.directory = directory
        self.faults: Faults = faultless
        self._random = random.Random(seed)
        self._durable = {path.name: File(path.read_bytes()) for path in directory.iterdir()}
        self._names: list[tuple[str, File | None]] = []
        """What was made or deleted since the directory was synced, in order."""
        self._seen = dict(self._durable)

    def open(self, name: str, *, is_made: bool) -> int:
        code = self.faults(Operation("open", name))
        if is_made and code == 0:
            self._seen[name] = File()
            self._names.append((name, self._seen[name]))
        elif name not in self._seen and (path := self.directory / name).exists():  # made by others than SQLite
            self._seen[name] = self._durable[name] = File(path.read_bytes())
        return code

    def read(self, name: str) -> int:
        return self.faults(Operation("read", name))

    def write(self, name: str, offset: int, data: bytes) -> int:
        file = self._seen[name]
        grows = offset + len(data) > file.size
        code = self.faults(Operation("write", name, grows))
        written = data[: len(data) // 2] if code else data
        file.pending.append(Write(offset, written))
        file.size = max(file.size, offset + len(written))
        return code

    def truncate(self, name: str, size: int) -> int:
        code = self.faults(Operation("truncate", name))
        if code == 0:
            self._seen[name].pending.append(size)
            self._seen[name].size = size
        return code

    def sync(self, name: str) -> int:
        code = self.faults(Operation("sync", name))
        file = self._seen[name]
        if code:  # the kernel forgets what it couldn't write: the next sync passes, and it isn't there
            file.pending = self._some_of(file.pending)
        file.sync()
        if (
            code == 0 and (name, file) in self._names
        ):  # on Linux's file systems the sync of a new file is that of its name
            self._sync_names()
        return code

    def delete(self, name: str, *, with_directory: bool) -> int:
        code = self.faults(Operation("delete", name))
        if code == 0:
            self._seen.pop(name)
            self._names.append((name, None))
            if with_directory:
                self._sync_names()
        return code

    def cut_power(self) -> None:
        """Leave in the directory what a power cut leaves. No file of it may be open."""
        for path in self.directory.iterdir():
            path.unlink()
        self._names = self._names[: self._random.randint(0, len(self._names))]
        self._sync_names()
        for name, file in self._durable.items():
            file.pending = self._some_of(file.pending)
            file.sync()
            file.size = len(file.durable)
            (self.directory / name).write_bytes(file.durable)
        self._seen = dict(self._durable)
        self.faults = faultless

    def _sync_names(self) -> None:
        for name, file in self._names:
            if file is None:
                self._durable.pop(name, None)
            else:
                self._durable[name] = file
        self._names.clear()

    def _some_of(self, pending: list[Pending]) -> list[Pending]:
        """Choose what of unsynced operations gets to the platters: some are lost, torn, or carried out in any order."""
        kept = [torn for one in pending for torn in self._torn(one)]
        if self._random.random() < 0.3:
            self._random.shuffle(kept)
        return kept

    def _torn(self, one: Pending) -> list[Pending]:
        fate = self._random.random()
        if fate < 0.4:
            return []
        if isinstance(one, int) or fate < 0.7:
            return [one]
        starts = range(0, len(one.data), SECTOR)
        sectors = [Write(one.offset + at, self._maybe_garbled(one.data[at : at + SECTOR])) for at in starts]
        return [sector for sector in sectors if self._random.random() < 0.5]

    def _maybe_garbled(self, sector: bytes) -> bytes:
        return sector if self._random.random() < 0.9 else self._random.randbytes(len(sector))


def _apply(content: bytearray, one: Pending) -> None:
    if isinstance(one, int):
        del content[one:]
        content.extend(bytes(one - len(content)))
    else:
        content.extend(bytes(max(0, one.offset - len(content))))
        content[one.offset : one.offset + len(one.data)] = one.data
