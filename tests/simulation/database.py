"""The one database of a simulation: SQLite in memory, inline, watched at every statement.

The watch checks what no look at the end could show: that nobody writes by a run or a version that holds no more, and
that nothing is done before its time by the store's clock (DESIGN.md section 4, invariants 1, 7 and 8).
"""

import sqlite3
from collections.abc import Callable, Iterable
from typing import Final

from obelisk_daemon.clock import Instant
from obelisk_daemon.storage.sql.connection import Values
from obelisk_daemon.storage.sqlite.connection import SqliteConnection
from obelisk_daemon.storage.sqlite.queries import migrations
from tests.fakes.failing_database import sqlite_error

_ROW: Final = "SELECT version, run_id, status, due_at FROM execution WHERE execution_id = ?"
_STATUS: Final = 3
"""The place of the status among the values of an update."""


class Disk(sqlite3.Connection):
    """A connection whose next COMMIT can fail, with or without being carried out."""

    commit_fault: str | None = None

    def execute(self, sql: str, values: object = (), /) -> sqlite3.Cursor:
        if self.commit_fault is not None and sql == "COMMIT":
            fault, self.commit_fault = self.commit_fault, None
            super().execute("ROLLBACK" if fault == "commit lost" else "COMMIT")
            raise sqlite_error("disk I/O error", sqlite3.SQLITE_IOERR)
        return super().execute(sql, values)  # type: ignore[arg-type]


class Database:
    """What all daemons of a simulation share. `latest` reads the latest time that the store's clock has shown."""

    def __init__(self, on_violation: Callable[[str], None]) -> None:
        self.raw = sqlite3.connect(":memory:", isolation_level=None, factory=Disk, cached_statements=256)
        _schema().backup(self.raw)
        self.raw.row_factory = sqlite3.Row
        self.is_open = True
        self._on_violation = on_violation

    def connection(self, latest: Callable[[], Instant]) -> "WatchedConnection":
        """Give a connection for a daemon; `latest` is the latest that the store's clock can be for it."""
        return WatchedConnection(self.raw, latest, self._on_violation)

    def close(self) -> None:
        """Take it away from whoever still has it."""
        self.is_open = False
        self.raw.close()


_SCHEMA: list[sqlite3.Connection] = []


def _schema() -> sqlite3.Connection:
    """Give an empty database to copy: making the schema takes ten times as long."""
    if not _SCHEMA:
        made = sqlite3.connect(":memory:", isolation_level=None)
        for script in migrations():
            made.executescript(script)
        _SCHEMA.append(made)
    return _SCHEMA[0]


class WatchedConnection(SqliteConnection):
    """A connection of one daemon. After `fail_at` more statements, one fails."""

    def __init__(
        self, raw: sqlite3.Connection, latest: Callable[[], Instant], on_violation: Callable[[str], None]
    ) -> None:
        super().__init__(raw)
        self.fail_at: int | None = None
        self._latest = latest
        self._on_violation = on_violation

    def execute(self, name: str, values: Values = (), /) -> sqlite3.Cursor:
        """Run the statement of a name, and check what it does."""
        if self.fail_at is not None:
            self._count_down()
        match name:
            case "update_by_run":
                return self._fenced(name, values, holds_run=True)
            case "update_by_version":
                return self._fenced(name, values, holds_run=False)
            case "delete_delay":
                self._require_due("delay", "SELECT due_at FROM delay WHERE delay_id = ?", values[0])  # type: ignore[index]
        return super().execute(name, values)

    def executemany(self, name: str, values: Iterable[Values], /) -> None:
        """Run it once for each."""
        if self.fail_at is not None:
            self._count_down()
        super().executemany(name, values)

    def _count_down(self) -> None:
        assert self.fail_at is not None
        self.fail_at -= 1
        if self.fail_at < 0:
            self.fail_at = None
            raise sqlite_error("disk I/O error", sqlite3.SQLITE_IOERR)

    def _fenced(self, name: str, values: Values, *, holds_run: bool) -> sqlite3.Cursor:
        assert not isinstance(values, dict)
        execution_id, version, *run = values[-3 if holds_run else -2 :]  # type: ignore[index]
        before = self.raw.execute(_ROW, (execution_id,)).fetchone()
        done = super().execute(name, values)
        if done.rowcount == 1:
            if before["version"] != version or (holds_run and before["run_id"] != run[0]):
                self._on_violation(f"{name} of {execution_id}: for {version} {run}, and it is at {tuple(before)}")
            if values[_STATUS] == "locked" and before["status"] == "pending_at" and not holds_run:  # type: ignore[index]
                self._require_due_at(f"lock of {execution_id}", before["due_at"])
        return done

    def _require_due(self, what: str, sql: str, subject: object) -> None:
        row = self.raw.execute(sql, (subject,)).fetchone()
        if row is not None:
            self._require_due_at(f"{what} {subject}", row[0])

    def _require_due_at(self, what: str, due_at: int) -> None:
        if due_at > (latest := self._latest()):
            self._on_violation(f"{what} came {(due_at - latest) / 1e6:g} s early")
