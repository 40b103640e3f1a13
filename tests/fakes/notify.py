"""systemd's end of the notify socket."""

import socket
from pathlib import Path
from types import TracebackType
from typing import Final, Self

Message = dict[str, str]
_LARGEST: Final = 4096
"""As systemd's own buffer: what is longer never arrives."""
_DEADLINE: Final = 60.0


class FakeNotify:
    """Receives what a daemon tells systemd. `address` is what NOTIFY_SOCKET says: a path, or `@name`."""

    def __init__(self, address: Path | str) -> None:
        self.address = str(address)
        self.received: list[Message] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(f"\0{self.address[1:]}" if self.address.startswith("@") else self.address)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        self._socket.close()

    def next(self, seconds: float = _DEADLINE) -> Message:
        """Wait for a message; give its fields."""
        self._socket.settimeout(seconds)
        data, _, flags, _ = self._socket.recvmsg(_LARGEST)
        assert not flags & socket.MSG_TRUNC, "systemd would drop a message this long"
        message = dict(line.split("=", 1) for line in data.decode().split("\n"))
        self.received.append(message)
        return message

    def until(self, *fields: str, seconds: float = _DEADLINE) -> list[Message]:
        """Wait for a message with all of these fields, and give the messages up to it."""
        first = len(self.received)
        while not set(fields) <= self.next(seconds).keys():
            continue
        return self.received[first:]

    def waiting(self) -> list[Message]:
        """Give the messages that have come, without waiting for more."""
        first = len(self.received)
        while True:
            try:
                self.next(0)
            except BlockingIOError:
                return self.received[first:]
