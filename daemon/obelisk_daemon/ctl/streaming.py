"""Messages of the daemon's streams, over lost connections and restarts of the daemon."""

import json
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from obelisk_daemon.ctl.client import Client


class Message(NamedTuple):
    """A server-sent event."""

    id: str
    event: str
    data: dict[str, Any]


def messages(client: Client, path: str, **query: object) -> Iterator[Message]:
    """Give the messages of a stream up to `finished`. When the connection ends, the next one goes on where it was.

    Raises:
        CtlError: the stream is refused, the daemon does not come back, or the time is over.
    """
    last: str | None = None
    while True:
        with client.listen(path, last, **query) as lines:
            for message in parsed(lines):
                last = message.id or last
                yield message
                if message.event == "finished":
                    return
        client.pause()


def parsed(lines: Iterable[bytes]) -> Iterator[Message]:
    """Read messages from lines. One that is cut off by the end is none: it will be told again."""
    fields: dict[str, str] = {}
    for line in lines:
        text = line.decode().rstrip("\r\n")
        if text:
            name, _, value = text.partition(":")
            fields[name] = value.removeprefix(" ")
            continue
        if line.endswith(b"\n") and "data" in fields:
            yield Message(fields.get("id", ""), fields.get("event", "message"), json.loads(fields["data"]))
        fields = {}
