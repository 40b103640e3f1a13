"""Where one execution stands, for whoever asks why it does not run: a few rows, however long its log is."""

from typing import Final

from obelisk_daemon.clock import Instant
from obelisk_daemon.execution.events import Entry
from obelisk_daemon.ids import ExecutionId
from obelisk_daemon.storage.records import MOST_COUNTED, Child, Delay, Standing, Waiting
from obelisk_daemon.storage.sql import rows
from obelisk_daemon.storage.sql.connection import Connection, Row

_TAIL: Final = 8
"""Events: a pause or a failed attempt is the last one, or close to it."""
_MEMBERS: Final = 3


def read(connection: Connection, execution_id: ExecutionId, at: Instant) -> Standing:
    """Read where an execution stands at a time, in one snapshot.

    Raises:
        NotFoundError: `execution_not_found`.
    """
    with connection.snapshot():
        row = connection.execute("execution_row", (execution_id,)).fetchone()
        if row is None:
            raise rows.not_found(execution_id)
        return Standing(
            summary=rows.summary_of(row),
            tail=_events(connection, row, max(row["version"] - _TAIL, 0), _TAIL),
            locked=_locked(connection, row),
            waiting=_waiting(connection, row),
            queued_before=_queued_before(connection, row, at),
        )


def _events(connection: Connection, row: Row, first: int, limit: int) -> tuple[Entry, ...]:
    found = connection.execute("events_from", (row["execution_id"], first, limit))
    return tuple(map(rows.entry_of, found))


def _locked(connection: Connection, row: Row) -> Entry | None:
    return _events(connection, row, row["locked_version"], 1)[0] if row["status"] == "locked" else None


def _waiting(connection: Connection, row: Row) -> Waiting | None:
    if row["lifecycle"] == "cancelling" and row["status"] != "finished":
        children, unanswered = _children(connection, row, None)
        return Waiting(0, 0, unanswered, children)
    if row["status"] != "blocked":
        return None
    place = (row["execution_id"], row["join_set"])
    children, unanswered = _children(connection, row, row["join_set"])
    delays = connection.execute("delays_in", (*place, _MEMBERS))
    return Waiting(
        answered=_count(connection, "count_responses", place),
        missing=row["join_missing"],
        unanswered=unanswered + _count(connection, "count_delays_in", place),
        children=children,
        delays=tuple(Delay(r["delay_id"], r["join_set"], r["due_at"], bool(r["is_paused"])) for r in delays),
    )


def _children(connection: Connection, row: Row, join_set: str | None) -> tuple[tuple[Child, ...], int]:
    """Give the first of the children that have not ended, and how many there are."""
    of = {"parent": row["execution_id"], "join_set": join_set}
    found = connection.execute("unfinished_children", {**of, "limit": _MEMBERS})
    children = tuple(Child(r["execution_id"], r["ffqn"], r["status"], r["lifecycle"]) for r in found)
    return children, _count(connection, "count_unfinished_children", of)


def _queued_before(connection: Connection, row: Row, at: Instant) -> int:
    if row["status"] != "pending_at" or row["lifecycle"] != "active" or row["due_at"] > at:
        return 0
    queue = (row["rank"], row["ffqn"], row["labels"], row["due_at"], row["execution_id"])
    return _count(connection, "queued_before", (*queue, MOST_COUNTED))


def _count(connection: Connection, name: str, values: tuple[object, ...] | dict[str, object]) -> int:
    (number,) = connection.execute(name, values).fetchone()
    return int(number)
