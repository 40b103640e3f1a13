"""A client of the streams: what it was sent, message by message."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import httpx


class Message(NamedTuple):
    """A server-sent event."""

    id: str
    event: str
    data: dict[str, Any]


class Reader:
    """The messages of one stream, as they come; `raw` holds the lines that are none: comments and `retry`."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self.raw: list[str] = []
        self._lines = response.aiter_lines()

    async def next(self) -> Message | None:
        """Wait for the next message; None when the stream has ended."""
        fields: dict[str, str] = {}
        async for line in self._lines:
            if not line:
                if "data" in fields:
                    return Message(fields["id"], fields["event"], json.loads(fields["data"]))
                fields = {}
                continue
            name, _, value = line.partition(": ")
            if name in ("id", "event", "data"):
                fields[name] = value
            else:
                self.raw.append(line)
        return None

    async def take(self, number: int) -> list[Message]:
        """Wait for so many messages."""
        taken = [await self.next() for _ in range(number)]
        assert None not in taken, taken
        return [message for message in taken if message is not None]

    async def rest(self) -> list[Message]:
        """Wait for the end of the stream; give the messages until then."""
        found = []
        while (message := await self.next()) is not None:
            found.append(message)
        return found

    async def of(self, event: str, number: int) -> AsyncIterator[Message]:
        """Wait for so many messages of a name, and leave out others."""
        while number:
            message = await self.next()
            assert message is not None
            if message.event == event:
                number -= 1
                yield message

    async def until(self, event: str) -> list[Message]:
        """Wait for a message of that name; give it, and those before it."""
        found: list[Message] = []
        while not found or found[-1].event != event:
            message = await self.next()
            assert message is not None, f"the stream ended before {event}: {found}"
            found.append(message)
        return found


@asynccontextmanager
async def stream(
    http: httpx.AsyncClient,
    path: str,
    after: str | None = None,
    *,
    headers: dict[str, str] | None = None,
    **query: str | bool,
) -> AsyncIterator[Reader]:
    """Open a stream; `after` is the id of the last message, as a client says that comes back."""
    sent = (headers or {}) | ({} if after is None else {"Last-Event-ID": after})
    async with http.stream("GET", path, params=query, headers=sent) as response:
        assert response.status_code == 200, await response.aread()
        yield Reader(response)


def names(messages: list[Message]) -> list[str]:
    return [message.event for message in messages]
