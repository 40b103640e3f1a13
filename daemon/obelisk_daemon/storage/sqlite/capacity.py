"""What waits, what runs, and who runs it: read for people, from the unfinished executions only."""

import sqlite3

import msgspec

from obelisk_daemon.clock import Instant
from obelisk_daemon.storage.capacity import KnownExecutor, Queue
from obelisk_daemon.storage.generations import ALL
from obelisk_daemon.storage.records import Census
from obelisk_daemon.storage.sqlite import rows
from obelisk_daemon.storage.sqlite.queries import SQL


def queues(connection: sqlite3.Connection, at: Instant) -> list[Queue]:
    """Read the queues in one snapshot, by the names of their components."""
    connection.execute("BEGIN")
    try:
        counted = [Census(*row) for row in connection.execute(SQL["census"], {"at": at})]
        waiting = dict(connection.execute(SQL["read_queue_lengths"]).fetchall())
        limits = {row["component"]: row for row in connection.execute(SQL["read_queue_limits"])}
    finally:
        connection.execute("COMMIT")
    names = {one.component for one in counted} | {name for name, number in waiting.items() if number} | limits.keys()
    return [
        _queue(name, [one for one in counted if one.component == name], waiting.get(name, 0), limits.get(name))
        for name in sorted(names - {ALL})
    ] + [_queue(ALL, counted, sum(waiting.values()), limits.get(ALL))]


def _queue(name: str, counted: list[Census], never_started: int, limit: sqlite3.Row | None) -> Queue:
    queue = Queue(
        component=name,
        pending=sum(one.number for one in counted if (one.status, one.lifecycle) == ("pending_at", "active")),
        running=sum(one.number for one in counted if one.status == "locked"),
        oldest_due_at=min((one.oldest_due_at for one in counted if one.oldest_due_at is not None), default=None),
        never_started=never_started,
    )
    if limit is None:
        return queue
    return msgspec.structs.replace(queue, max_running=limit["max_running"], max_pending=limit["max_pending"])


def executors(connection: sqlite3.Connection, seen_since: Instant, limit: int) -> list[KnownExecutor]:
    """Read the executors that were seen since then."""
    return [
        KnownExecutor(**{**dict(row), "labels": rows.labels_of(row["labels"])})
        for row in connection.execute(SQL["executors"], (seen_since, limit))
    ]
