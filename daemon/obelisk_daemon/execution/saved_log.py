"""An execution's log as a file: for people to read, and to be replayed where there is no daemon and no database.

The document is JSON. Its events and responses are for people. What is replayed is `payload`, which keeps what JSON
can't tell: bytes, NaN, and which integer was a float.
"""

import base64
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

import msgspec

from obelisk_daemon.errors import CallerError
from obelisk_daemon.execution.events import (
    ChildRequest,
    Created,
    Entry,
    HistoryEvent,
    JoinSetRequest,
    Response,
    Schedule,
)
from obelisk_daemon.execution.state import InvariantError, fold
from obelisk_daemon.execution.wit_types import FunctionType
from obelisk_daemon.ids import ExecutionId

FORMAT: Final = "obelisk-log"
FORMAT_VERSION: Final = 1


class SavedLog(msgspec.Struct, frozen=True):
    """All that a replay needs to know of an execution, but its component."""

    execution_id: ExecutionId
    entries: list[Entry]
    responses: list[Response]
    functions: dict[str, FunctionType]
    """Of other components: those that the log names, by ffqn."""
    memory: int
    fuel: int
    host_calls: int
    value: int
    """The limits that the manifest had when it was saved; `memory` and `value` are in bytes."""

    @property
    def created(self) -> Created:
        """The first event."""
        event = self.entries[0].event
        assert isinstance(event, Created)
        return event


class LogDocument(msgspec.Struct, frozen=True, kw_only=True):
    """The file. `payload` is the base64 of msgpack."""

    format: Literal["obelisk-log"] = FORMAT
    format_version: int = FORMAT_VERSION
    execution_id: str
    ffqn: str
    component_digest: str
    events: list[dict[str, Any]]
    responses: list[dict[str, Any]]
    payload: str


class _Head(msgspec.Struct, frozen=True):
    """What tells whether the rest can be read."""

    format: str
    format_version: int
    payload: str


_PAYLOAD: Final[msgspec.msgpack.Decoder[SavedLog]] = msgspec.msgpack.Decoder(SavedLog)


def document_of(saved: SavedLog, events: list[dict[str, Any]], responses: list[dict[str, Any]]) -> LogDocument:
    """Make the document; `events` and `responses` are as the API shows them."""
    created = saved.created
    return LogDocument(
        execution_id=saved.execution_id,
        ffqn=created.ffqn,
        component_digest=created.digest,
        events=events,
        responses=responses,
        payload=base64.b64encode(msgspec.msgpack.encode(saved)).decode(),
    )


def read_document(text: bytes) -> SavedLog:
    """Read a document.

    Raises:
        CallerError: `invalid_log`: it is none, it is damaged, or a later version wrote it.
    """
    try:
        head = msgspec.json.decode(text, type=_Head)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _invalid(f"this is not a saved log: {error}") from error
    if head.format != FORMAT:
        raise _invalid(f"this is not a saved log: its format is {head.format[:80]!r}, not {FORMAT!r}")
    if head.format_version != FORMAT_VERSION:
        raise _invalid(
            f"the log has format version {head.format_version}, this program reads {FORMAT_VERSION}: use the one that "
            "belongs to the daemon it was exported from"
        )
    try:
        saved = _PAYLOAD.decode(base64.b64decode(head.payload, validate=True))
    except (ValueError, msgspec.DecodeError, RecursionError) as error:  # the first: base64, or text inside that is none
        raise _invalid(f"the payload of the log is damaged: {error}") from error
    return _checked(saved)


def functions_in(entries: Sequence[Entry], known: Mapping[str, FunctionType]) -> dict[str, FunctionType]:
    """Choose the functions that a log names: those it asked for, and got."""
    found: dict[str, FunctionType] = {}
    for entry in entries:
        match entry.event:
            case HistoryEvent(event=JoinSetRequest(request=ChildRequest(ffqn=ffqn))):
                pass
            case HistoryEvent(event=Schedule(ffqn=ffqn, error=None)):
                pass
            case _:
                continue
        if ffqn in known:
            found[ffqn] = known[ffqn]
    return found


def _checked(saved: SavedLog) -> SavedLog:
    try:
        if not saved.entries:
            raise InvariantError("it has no events")
        fold(saved.entries)
    except InvariantError as error:
        raise _invalid(f"the log can't be: {error}") from error
    return saved


def _invalid(message: str) -> CallerError:
    return CallerError("invalid_log", message)
