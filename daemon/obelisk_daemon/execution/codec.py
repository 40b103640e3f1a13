"""Bytes of events and responses: msgpack, which keeps integers, floats (NaN included) and bytes exactly."""

from typing import Final

import msgspec

from obelisk_daemon.execution.events import Event, ResponseItem
from obelisk_daemon.execution.outcome import Evidence, Outcome

_ENCODER: Final = msgspec.msgpack.Encoder()
_EVENTS: Final[msgspec.msgpack.Decoder[Event]] = msgspec.msgpack.Decoder(Event)
_RESPONSES: Final[msgspec.msgpack.Decoder[ResponseItem]] = msgspec.msgpack.Decoder(ResponseItem)
_OUTCOMES: Final[msgspec.msgpack.Decoder[Outcome]] = msgspec.msgpack.Decoder(Outcome)
_EVIDENCE: Final[msgspec.msgpack.Decoder[Evidence]] = msgspec.msgpack.Decoder(Evidence)
_PLAIN: Final[msgspec.msgpack.Decoder[object]] = msgspec.msgpack.Decoder()

encode = _ENCODER.encode
"""Encode an event, a response item or a plain value."""
decode_event = _EVENTS.decode
decode_response = _RESPONSES.decode
decode_outcome = _OUTCOMES.decode
decode_evidence = _EVIDENCE.decode
decode_plain = _PLAIN.decode


def type_of(event: Event) -> str:
    """Give the name of an event's type as the API shows it."""
    return str(event.__struct_config__.tag)
