"""What a daemon's database says of when things happened. The daemon may go on meanwhile; SQLite only."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import NamedTuple

from obelisk_daemon.execution import codec
from obelisk_daemon.execution.events import DelayRequest, HistoryEvent, JoinSetRequest
from tests.bench.daemon import Daemon


class Delay(NamedTuple):
    """The one delay of a workflow: when it was due, when that was recorded, when the workflow finished. In seconds."""

    due: float
    answered: float
    finished: float


def delays(daemon: Daemon, since: float) -> list[Delay]:
    """Read the delays of the finished workflows that were created since an instant, those due first at the start."""
    found = []
    asked = """
        SELECT event.body, response.created_at, execution.changed_at
        FROM execution JOIN event USING (execution_id) JOIN response USING (execution_id)
        WHERE execution.created_at >= ? AND execution.status = 'finished'
    """
    for body, answered, finished in _rows(daemon, asked, (int(since * 1e6),)):
        event = codec.decode_event(body)
        if isinstance(event, HistoryEvent) and isinstance(event.event, JoinSetRequest):
            request = event.event.request
            assert isinstance(request, DelayRequest)
            found.append(Delay(request.due_at / 1e6, answered / 1e6, finished / 1e6))
    return sorted(found)


def spans(daemon: Daemon, component: str) -> list[tuple[float, float, float]]:
    """Read when each finished execution of a component was created, first locked and finished."""
    asked = "SELECT created_at, started_at, changed_at FROM execution WHERE component = ? AND status = 'finished'"
    return [(made / 1e6, began / 1e6, ended / 1e6) for made, began, ended in _rows(daemon, asked, (component,))]


def number_finished(daemon: Daemon, component: str) -> int:
    """Count the finished executions of a component."""
    asked = "SELECT count(*) FROM execution WHERE component = ? AND status = 'finished'"
    ((number,),) = _rows(daemon, asked, (component,))
    return int(number)


def _rows(daemon: Daemon, asked: str, values: Sequence[object]) -> Iterator[tuple[int, ...]]:
    file = daemon.directory / "state" / "obelisk.db"
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as connection:
        yield from connection.execute(asked, values)
