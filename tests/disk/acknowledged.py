"""What somebody was told is durable, and what of it a database has not."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from obelisk_daemon.execution.events import ChildFinished, Event, Finished, ResponseItem
from obelisk_daemon.ids import ExecutionId
from obelisk_daemon.storage.sql import rows
from obelisk_daemon.storage.sqlite.connection import SqliteConnection
from obelisk_daemon.storage.sqlite.schema import open_for_reading

_ALL: Final = 1 << 62


def code_of(generation: int) -> str:
    return f"sha256:{generation:064x}"


class Acknowledged:
    """Everything that somebody was told is durable."""

    def __init__(self) -> None:
        self.writes = 0
        self.events: dict[tuple[ExecutionId, int], Event] = {}
        self.types: set[tuple[ExecutionId, type[Event]]] = set()
        """Of control events, of which nobody is told the version. One that had finished has none."""
        self.responses: list[tuple[ExecutionId, ResponseItem]] = []
        self.lines: Counter[ExecutionId] = Counter()
        self.generations: list[int] = []
        self.audited: list[int] = []
        self.fired = 0

    def lost(self, file: Path) -> list[str]:
        """Tell what of it is not in a database."""
        connection = open_for_reading(file)
        try:
            return list(self._lost(_Stored(SqliteConnection(connection))))
        finally:
            connection.close()

    def _lost(self, stored: "_Stored") -> Iterator[str]:
        for of, event in self.events.items():
            if stored.events.get(of) != event:
                yield f"event {of}: {event}, there is {stored.events.get(of)}"
        types = {(known, type(event)) for (known, _), event in stored.events.items()}
        for known, kind in self.types:
            if not {(known, kind), (known, Finished)} & types:
                yield f"{kind.__name__} of {known}"
        for one in self.responses:
            if one not in stored.responses:
                yield f"response {one}"
        for known, number in self.lines.items():
            if stored.lines[known] < number:
                yield f"{stored.lines[known]} of {number} lines of {known}"
        for number in self.generations:
            if not {number, code_of(number)} <= stored.keys:
                yield f"generation {number}, or its code"
        for number in self.audited:
            if ("audit", number) not in stored.keys:
                yield f"audit {number}"
        fired = sum(not isinstance(item, ChildFinished) for _, item in stored.responses)
        if fired < self.fired:
            yield f"{self.fired} delays have fired, and {fired} are stored"


class _Stored:
    """What is in a database, read as the store does where it can."""

    def __init__(self, named: SqliteConnection) -> None:
        self.events: dict[tuple[ExecutionId, int], Event] = {}
        self.responses: list[tuple[ExecutionId, ResponseItem]] = []
        for (known,) in named.execute("all_executions").fetchall():
            entries = [rows.entry_of(row) for row in named.execute("events_from", (known, 0, _ALL))]
            self.events |= {(known, entry.version): entry.event for entry in entries}
            answers = named.execute("responses_from", (known, 0, _ALL))
            self.responses += [(known, rows.response_of(row).item) for row in answers]
        lines = named.raw.execute("SELECT execution_id, count(*) FROM log_line GROUP BY 1")
        self.lines = Counter({row[0]: row[1] for row in lines})
        self.keys: set[object] = {row[0] for row in named.raw.execute("SELECT number FROM generation")}
        self.keys |= {row[0] for row in named.raw.execute("SELECT digest FROM component")}
        self.keys |= {("audit", row[0]) for row in named.raw.execute("SELECT audit_id FROM audit")}
