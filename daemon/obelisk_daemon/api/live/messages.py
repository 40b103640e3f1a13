"""Server-sent events as bytes, and the ids that say where a stream goes on. Pure."""

import re
from collections.abc import Iterable, Iterator
from typing import Any, Final, Literal, NamedTuple, TypeAlias

import msgspec

from obelisk_daemon.api.rendering import entry_json, log_line_json, response_json
from obelisk_daemon.errors import CallerError
from obelisk_daemon.storage.records import Kept, Position, Progress

EventName: TypeAlias = Literal["event", "response", "log", "state", "child", "finished", "reset", "lost"]
OPENING: Final = b"retry: 1000\n: obeliskd\n\n"
"""Sent at once, so that proxies pass the headers on; a client that loses the stream comes back after a second."""
HEARTBEAT: Final = b": alive\n\n"
_POSITION: Final = re.compile(r"v(\d{1,15})\.r(\d{1,15})\.l(\d{1,15})", re.ASCII)


def body_of(name: str, document: object) -> bytes:
    """Write a message without its id. JSON has no line end in it, so it is one line of data."""
    return b"event: %b\ndata: %b\n\n" % (name.encode(), msgspec.json.encode(document))


def with_id(known: str, body: bytes) -> bytes:
    """Put the id before a message."""
    return b"id: %b\n%b" % (known.encode(), body)


def message(name: EventName, known: str, document: object) -> bytes:
    """Write a message."""
    return with_id(known, body_of(name, document))


def id_of(position: Position) -> str:
    """Write a position in an execution's log as the id of a message."""
    return f"v{position.version}.r{position.responses}.l{position.line}"


def parse_position(text: str) -> Position:
    """Read the id of a message of an execution's stream.

    Raises:
        CallerError: `invalid_position`.
    """
    found = _POSITION.fullmatch(text)
    if found is None:
        message = f"{text[:80]!r} is no id of a message of this stream; one looks like v12.r3.l456"
        raise CallerError("invalid_position", message)
    return Position(*map(int, found.groups()))


class Told(NamedTuple):
    """Something that happened to an execution, when, and where it stands."""

    at: int
    kind: Kept
    name: EventName
    place: int
    document: dict[str, Any]


def told(progress: Progress) -> list[Told]:
    """Put what is new in the order in which it happened.

    Each kind keeps its own order, which is the one of its commits. Nothing is told that may have come after something
    which is still to be read.
    """
    entries = [Told(e.created_at, "events", "event", e.version + 1, entry_json(e)) for e in progress.entries]
    responses = [Told(r.created_at, "responses", "response", r.seq, response_json(r)) for r in progress.responses]
    lines = [
        Told(line.created_at, "lines", "log", position, log_line_json(position, run_id, line))
        for position, run_id, line in progress.lines
    ]
    ordered = sorted([*_rising(entries), *_rising(responses), *_rising(lines)], key=lambda one: one.at)
    last = {one.kind: number for number, one in enumerate(ordered, start=1)}
    return ordered[: min((last[kind] for kind in progress.more), default=len(ordered))]


def _rising(kept: Iterable[Told]) -> Iterator[Told]:
    """Give times that don't go back: a clock is read before its commit, so the later one may have the earlier time."""
    latest = 0
    for one in kept:
        latest = max(latest, one.at)
        yield one._replace(at=latest)


def advanced(position: Position, by: Told) -> Position:
    """Give the position after something was told."""
    match by.kind:
        case "events":
            return msgspec.structs.replace(position, version=by.place)
        case "responses":
            return msgspec.structs.replace(position, responses=by.place)
        case "lines":
            return msgspec.structs.replace(position, line=by.place)
