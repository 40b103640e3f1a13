"""A workflow under way with a long log, as a daemon leaves it that stops: for the replay that comes next."""

import time
from contextlib import closing
from pathlib import Path
from typing import Final

from obelisk_daemon.clock import Instant
from obelisk_daemon.execution import codec
from obelisk_daemon.execution.events import ChildFinished, Event, Unlocked
from obelisk_daemon.execution.outcome import Returned
from obelisk_daemon.ids import ExecutionId, child_id, encode_ulid
from obelisk_daemon.storage.sqlite.queries import SQL
from obelisk_daemon.storage.sqlite.schema import open_for_writing
from tests import guests
from tests.bench.filling import TEMPLATE_ID, Template, insert
from tests.building import WORKFLOW, call_items, created, history, locked

EVENTS_PER_CALL: Final = 3


def record(file: Path, component: str, calls: int) -> ExecutionId:
    """Put `fiboa(10, calls)` into a database, all of its calls answered, so that only its end is missing.

    The daemon that is started on it locks the workflow, replays it, and writes that it has finished.
    """
    now = time.time_ns() // 1_000
    execution_id = ExecutionId(f"E_{encode_ulid(now // 1_000, calls)}")
    digest = guests.digest(component)
    begin = created(WORKFLOW, params=(10, calls), due_at=0, component=component, digest=digest)
    events: list[Event] = [begin, locked(digest=digest)]
    for number in range(1, calls + 1):
        events += history(*call_items(TEMPLATE_ID, number))
    events.append(Unlocked("shutdown", Instant(0)))
    made = Template(events, count=calls).make(execution_id, now - 1_000 * len(events))
    for number in range(1, calls + 1):
        join_set = f"o:{number}"
        body = codec.encode(ChildFinished(child_id(execution_id, join_set, 1), Returned({"ok": 55})))
        made.responses.append((execution_id, number, now, join_set, body))
    with closing(open_for_writing(file)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        insert(connection, [made])
        connection.execute(SQL["forget_queue_lengths"])
        connection.execute(SQL["count_queues_again"])
        connection.execute("COMMIT")
    return execution_id
