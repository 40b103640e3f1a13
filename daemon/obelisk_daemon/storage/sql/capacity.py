"""What waits, what runs, and who runs it: read for people, from the unfinished executions only."""

import msgspec

from obelisk_daemon.clock import Instant
from obelisk_daemon.storage.capacity import KnownExecutor, Queue
from obelisk_daemon.storage.generations import ALL
from obelisk_daemon.storage.records import Census
from obelisk_daemon.storage.sql import rows
from obelisk_daemon.storage.sql.connection import Connection, Row


def queues(connection: Connection, at: Instant) -> list[Queue]:
    """Read the queues in one snapshot, by the names of their components."""
    with connection.snapshot():
        counted = [Census(*row) for row in connection.execute("census", {"at": at})]
        waiting = {row["component"]: int(row["never_started"]) for row in connection.execute("read_queue_lengths")}
        limits = {row["component"]: row for row in connection.execute("read_queue_limits")}
    names = {one.component for one in counted} | {name for name, number in waiting.items() if number} | limits.keys()
    return [
        _queue(name, [one for one in counted if one.component == name], waiting.get(name, 0), limits.get(name))
        for name in sorted(names - {ALL})
    ] + [_queue(ALL, counted, sum(waiting.values()), limits.get(ALL))]


def _queue(name: str, counted: list[Census], never_started: int, limit: Row | None) -> Queue:
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


def executors(connection: Connection, seen_since: Instant, limit: int) -> list[KnownExecutor]:
    """Read the executors that were seen since then."""
    return [
        KnownExecutor(**{**dict(row), "labels": rows.labels_of(row["labels"])})
        for row in connection.execute("executors", (seen_since, limit))
    ]
