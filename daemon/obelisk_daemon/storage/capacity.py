"""What people are told of the queues, of who works on them, and of the room that the database takes."""

import msgspec

from obelisk_daemon.clock import Instant
from obelisk_daemon.ids import ExecutorId


class Queue(msgspec.Struct, frozen=True):
    """What waits and runs of a component. `oldest_due_at` is since when the first of it waits for an executor.

    `pending` may also be due later. `never_started` of them are what `max_pending` limits. The limits of the component
    `""` hold for all together.
    """

    component: str
    pending: int = 0
    running: int = 0
    oldest_due_at: Instant | None = None
    never_started: int = 0
    max_running: int | None = None
    max_pending: int | None = None


class KnownExecutor(msgspec.Struct, frozen=True):
    """An executor of any daemon on this store. `running` and `hot` count what the store has it hold."""

    executor_id: ExecutorId
    host: str
    name: str
    labels: tuple[str, ...]
    max_running: int
    started_at: Instant
    seen_at: Instant
    running: int
    hot: int


class Sizes(msgspec.Struct, frozen=True):
    """Bytes: of the database, of its write-ahead log, and of the disk that they are on."""

    database: int
    wal: int
    disk: int
    disk_free: int
