"""A log as its bytes are stored.

A replay asks for the same as before, so most of what it does is to compare bytes: little of a log is ever decoded.
"""

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple, TypeAlias

from obelisk_daemon.clock import Instant
from obelisk_daemon.execution import codec
from obelisk_daemon.execution.events import Created, Entry, HistoryEvent, HistoryItem, JoinSetCreate, Response

EventRow: TypeAlias = tuple[int, Instant, bytes]
"""Version, time and body of an event."""
ResponseRow: TypeAlias = tuple[int, Instant, str, bytes]
"""Place, time, join set and body of a response."""


class WrittenLog(NamedTuple):
    """A log and its responses, each in their order."""

    events: Sequence[EventRow]
    responses: Sequence[ResponseRow]

    @property
    def created(self) -> Created:
        """The first event."""
        event = codec.decode_event(self.events[0][2])
        assert isinstance(event, Created)
        return event


def written(entries: Iterable[Entry], responses: Iterable[Response]) -> WrittenLog:
    """Write a log."""
    return WrittenLog(
        [(one.version, one.created_at, codec.encode(one.event)) for one in entries],
        [(one.seq, one.created_at, one.join_set, codec.encode(one.item)) for one in responses],
    )


def body_of(item: HistoryItem) -> bytes:
    """Give what is written where a workflow asks for something."""
    return codec.encode(HistoryEvent(item))


def item_of(body: bytes) -> HistoryItem:
    """Read what a workflow asked for."""
    event = codec.decode_event(body)
    assert isinstance(event, HistoryEvent)
    return event.event


def asked_in(events: Iterable[EventRow]) -> list[EventRow]:
    """Choose what a workflow asked for."""
    return [row for row in events if row[2].startswith(_ASKED)]


def entry_of(row: EventRow) -> Entry:
    """Read an event."""
    version, created_at, body = row
    return Entry(version, created_at, codec.decode_event(body))


def response_of(row: ResponseRow) -> Response:
    """Read a response."""
    seq, created_at, join_set, body = row
    return Response(seq, created_at, join_set, codec.decode_response(body))


_ASKED: Final = body_of(JoinSetCreate("")).removesuffix(codec.encode(JoinSetCreate("")))
"""How every body of a `HistoryEvent` begins: its tag is written first, whatever it holds."""
