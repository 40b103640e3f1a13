"""The database as its operator sees it: what it takes, what is wrong with it, a copy of it."""

from collections.abc import AsyncIterator, Callable
from typing import Protocol

import msgspec


class DatabaseStats(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the database takes; sizes are bytes."""

    file_bytes: int
    wal_bytes: int
    """Of the write-ahead log: it is emptied at each checkpoint, and shrinks at the next one."""
    cache_bytes: int
    """Of compiled code, which can be deleted while the daemon is stopped."""
    free_bytes: int
    """In the file, for what comes; `db vacuum` gives them back."""
    disk_free_bytes: int
    rows: dict[str, int]
    """By table, as far as they can be counted in a short time."""
    not_counted: list[str] = []
    """Tables with too many rows for that."""
    generations: int
    component_bytes: int
    """Of the code of all generations that are kept."""


class Damage(msgspec.Struct, frozen=True):
    """One thing that is wrong with a database."""

    table: str
    subject: str
    """The id of the row, or of the execution whose rows these are."""
    message: str


class CheckReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a check of a database found."""

    ok: bool
    full: bool
    executions: int
    """How many had their log compared with their row."""
    total: int
    """How many there are."""
    damage: list[Damage]
    """At most 100; there may be more then."""


class VacuumReport(msgspec.Struct, frozen=True, kw_only=True):
    """What was given back to the file system, in bytes. The file shrinks with the next checkpoint."""

    before_bytes: int
    after_bytes: int
    freed_bytes: int


class Backup(msgspec.Struct, frozen=True):
    """A consistent copy of the database, complete by itself."""

    size: int
    sha256: bytes
    chunks: AsyncIterator[bytes]
    close: Callable[[], None]
    """Must be called in any case: until then there is no room for another backup."""


class DatabaseKeeper(Protocol):
    """What an operator does with the database while the daemon works."""

    async def stats(self) -> DatabaseStats:
        """Measure it; it takes no longer than a second or two, however big it is."""
        ...

    async def check(self, *, full: bool) -> CheckReport:
        """Look for damage, in a process of its own; `full` reads everything.

        Raises:
            ConflictError: `check_running`.
            OperatorError: `check_failed`.
        """
        ...

    async def vacuum(self) -> VacuumReport:
        """Give free pages back, in steps between which all other writes go on.

        Raises:
            StorageUnavailableError: the database can't be written now.
        """
        ...

    async def back_up(self) -> Backup:
        """Copy it as it is now.

        Raises:
            ConflictError: `backup_running`: one is being made or sent.
            StorageUnavailableError: `storage_full`: there is no room for the copy; `copy_failed`.
        """
        ...
