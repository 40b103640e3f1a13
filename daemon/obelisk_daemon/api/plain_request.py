"""Requests in the one form that nearly all have, read without a parser of the whole of HTTP.

h11 reads whatever HTTP allows, event by event; that took a sixth of the processor time of a submission. What is read
here is a small part of what h11 takes, and is taken as h11 takes it, which a test compares: one whole request in one
piece, with nothing after it; one Host; a body of a declared length or none; no transfer coding, no upgrade, no wish for
the connection; printable ASCII, each header on its line with one space after its colon. All else is h11's.
"""

import re
from typing import Final, NamedTuple

_LONGEST: Final = 256 << 10
"""Bytes of a request."""
_LONGEST_HEAD: Final = 16 << 10
_HEAD: Final = re.compile(
    rb"(?P<method>GET|PUT|POST|PATCH|DELETE) (?P<target>/[\x21-\x7e]*) HTTP/1\.1\r\n"
    rb"(?P<fields>(?:[A-Za-z0-9-]+: [\x21-\x7e]+(?: [\x21-\x7e]+)*\r\n)+)\r\n"
)
_LENGTH: Final = re.compile(rb"[0-9]{1,8}")
_SPECIAL: Final = frozenset((b"connection", b"transfer-encoding", b"upgrade", b"expect", b"trailer", b"te"))


class PlainRequest(NamedTuple):
    """A request with the names of its headers in lower case, and its whole body."""

    method: str
    target: bytes
    headers: list[tuple[bytes, bytes]]
    body: bytes


def plain_request(data: bytes) -> PlainRequest | None:
    """Read what came on a connection that waits for a request; None when that is anything but one plain request."""
    end = data.find(b"\r\n\r\n", 0, _LONGEST_HEAD) + 4
    head = _HEAD.fullmatch(data, 0, end) if end >= 4 and len(data) <= _LONGEST else None
    if head is None:
        return None
    headers = []
    hosts = lengths = length = 0
    for line in head["fields"].split(b"\r\n")[:-1]:
        name, _, value = line.partition(b": ")
        name = name.lower()
        if name in _SPECIAL:
            return None
        if name == b"host":
            hosts += 1
        elif name == b"content-length":
            lengths += 1
            if not _LENGTH.fullmatch(value):
                return None
            length = int(value)
        headers.append((name, value))
    body = data[end:]
    if hosts != 1 or lengths > 1 or length != len(body):
        return None
    return PlainRequest(head["method"].decode(), head["target"], headers, body)
