"""The HTTP client. Every request that is made here can be repeated without harm, so a lost connection is no error.

It stands on `http.client`: importing httpx takes 0.27 s, six times as long as all the rest of a command.
"""

import json
import socket
import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import Any, Final, NamedTuple, NoReturn, TypeVar
from urllib.parse import quote, urlencode

from obelisk_daemon.ctl.address import START_HINT, Address
from obelisk_daemon.ctl.credentials import Credentials
from obelisk_daemon.ctl.failure import BAD_DATA, NOT_PERMITTED, TIMED_OUT, UNREACHABLE, CtlError, exit_code_of

_HOW_TO_NAME_ONE: Final = "name a file with a token by --token-file, or set OBELISK_TOKEN"
PATIENCE: Final = 30.0
"""Seconds for which a daemon that answered before, and then went away, is looked for again."""
_ANSWER_SECONDS: Final = 30.0
_LONGEST_WAIT: Final = 30.0
_COMPILING_SECONDS: Final = 600.0
LONG_SECONDS: Final = 3700.0
"""For what reads or writes all of the database: longer than the daemon itself goes on with it."""
_SILENCE_SECONDS: Final = 45.0
"""A stream has a sign of life every 15 s."""
_LONGEST_LINE: Final = 64 << 20
T = TypeVar("T")
_PAUSES: Final = (0.05, 0.1, 0.2, 0.5)


class Times(NamedTuple):
    """The clock and the pauses of a client."""

    monotonic: Callable[[], float]
    sleep: Callable[[float], None]


class Answer(NamedTuple):
    """A response that is no error."""

    status: int
    document: Any


class Download(NamedTuple):
    """Bytes on their way, with their `Repr-Digest` by the daemon. `size` is None where something between hides it."""

    size: int | None
    digest: str
    read: Callable[[int], bytes]


class _LostError(Exception):
    """The connection ended before the answer was there."""


class Client:
    """Asks one daemon. `deadline` is by the monotonic clock of `times`; None waits for ever."""

    def __init__(
        self,
        address: Address,
        times: Times,
        *,
        deadline: float | None,
        note: Callable[[str], None],
        credentials: Credentials = Credentials(),  # noqa: B008
    ) -> None:
        self.address = address
        self.token = credentials.token
        self._ca_file = credentials.ca_file
        self._times = times
        self._deadline = deadline
        self._note = note
        self._met = False

    def get(self, path: str, **query: object) -> Answer:
        """Read a document; query parameters that are None are left out, and lists repeated."""
        given = {name.removesuffix("_"): value for name, value in query.items() if value is not None}
        return self._request("GET", path + (f"?{urlencode(given, doseq=True)}" if given else ""), None)

    def put(self, path: str, body: bytes) -> Answer:
        """Send a JSON document."""
        return self._request("PUT", path, body)

    def post(self, path: str, body: bytes | None = None) -> Answer:
        """Ask for something to be done, with a JSON document that says more about it."""
        return self._request("POST", path, body)

    def send(
        self, path: str, body: bytes | None, kind: str = "application/wasm", patience: float = _COMPILING_SECONDS
    ) -> Answer:
        """Have something done that may take minutes: with a component or a manifest, code is compiled first."""
        return self._request("POST", path, body, kind, patience)

    @contextmanager
    def download(self, path: str) -> Iterator[Download]:
        """Have something made that is sent as bytes; unlike other requests, this one is not made again.

        Raises:
            CtlError: the daemon refuses, or goes away before the end; or the time is over.
        """
        connection = self._connect()

        def read(count: int) -> bytes:
            if sock is not None:
                sock.settimeout(min(LONG_SECONDS, self._remaining()))
            return response.read(count)

        sock = connection.sock  # `http.client` forgets it once the answer has begun
        try:
            if sock is not None:
                sock.settimeout(min(LONG_SECONDS, self._remaining()))
            connection.request("POST", path, headers=self._credentials())
            response = connection.getresponse()
            if response.status >= 400:
                _answer(response.status, response.read())
            digest = response.headers.get("repr-digest", "")
            length = response.headers.get("content-length", "")
            yield Download(int(length) if length.isdecimal() else None, digest, read)
        except (HTTPException, ConnectionError, TimeoutError) as error:
            self._remaining()
            raise CtlError(UNREACHABLE, "daemon_unreachable", f"the daemon went away in the middle: {error}") from error
        finally:
            connection.close()

    def wait_seconds(self) -> float:
        """Choose how long the daemon may wait with its answer.

        Raises:
            CtlError: the time is over.
        """
        return round(min(_LONGEST_WAIT, self._remaining()), 3)

    def _remaining(self) -> float:
        if self._deadline is None:
            return float("inf")
        left = self._deadline - self._times.monotonic()
        if left <= 0:
            raise CtlError(TIMED_OUT, "timed_out", "the time given with --timeout is over")
        return left

    @contextmanager
    def listen(self, path: str, after: str | None, **query: object) -> Iterator[Iterator[bytes]]:
        """Give the lines of a stream, which goes on after a message; they end when the connection does.

        Raises:
            CtlError: the stream is refused, the daemon is not there, or the time is over.
        """
        given = urlencode({name: value for name, value in query.items() if value is not None})
        connection, response = self._retried(lambda: self._opened(f"{path}?{given}" if given else path, after))
        try:
            yield self._lines(response)
        finally:
            response.close()
            connection.close()

    def pause(self) -> None:
        """Wait a little before a connection that ended is made anew."""
        self._times.sleep(_PAUSES[1])

    def _opened(self, path: str, after: str | None) -> tuple[HTTPConnection, HTTPResponse]:
        connection = self._connect()
        headers = {"Accept": "text/event-stream"} | ({} if after is None else {"Last-Event-ID": after})
        try:
            if connection.sock is not None:
                connection.sock.settimeout(min(_SILENCE_SECONDS, self._remaining()))
            connection.request("GET", path, None, headers | self._credentials())
            response = connection.getresponse()
            refusal = None if response.status == 200 else response.read()
        except (OSError, HTTPException) as error:
            connection.close()
            raise _LostError from error
        if refusal is None:
            return connection, response
        connection.close()
        _answer(response.status, refusal)
        raise CtlError(UNREACHABLE, "not_obelisk", "what answers there gives no stream")

    def _lines(self, response: HTTPResponse) -> Iterator[bytes]:
        """Read lines; each read takes no longer than a daemon that lives lets pass between two signs of life."""
        try:
            while line := response.readline(_LONGEST_LINE):
                self._remaining()
                yield line
        except (OSError, HTTPException):
            self._remaining()

    def _credentials(self) -> dict[str, str]:
        return {} if self.token is None else {"Authorization": f"Bearer {self.token}"}

    def _request(
        self, method: str, path: str, body: bytes | None, kind: str = "application/json", patience: float | None = None
    ) -> Answer:
        return self._retried(lambda: self._once(method, path, (body, kind), patience))

    def _retried(self, once: Callable[[], T]) -> T:
        give_up = self._times.monotonic() + PATIENCE
        tries = 0
        while True:
            self._remaining()
            try:
                return once()
            except _LostError as lost:
                if tries == 0:
                    self._note(f"lost the daemon at {self.address}; looking for it for {PATIENCE:.0f} s")
                if self._times.monotonic() >= give_up:
                    raise CtlError(
                        UNREACHABLE, "daemon_unreachable", f"the daemon at {self.address} went away and is not back"
                    ) from lost
            self._times.sleep(_PAUSES[min(tries, len(_PAUSES) - 1)])
            tries += 1

    def _once(self, method: str, path: str, sent: tuple[bytes | None, str], patience: float | None) -> Answer:
        connection = self._connect()
        body, kind = sent
        headers = {"Accept": "application/json"} | ({} if body is None else {"Content-Type": kind})
        headers |= self._credentials()
        if patience is not None and connection.sock is not None:
            connection.sock.settimeout(min(patience, self._remaining()))
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            return _answer(response.status, response.read())
        except (OSError, HTTPException) as error:
            raise _LostError from error
        finally:
            connection.close()

    def _connect(self) -> HTTPConnection:
        connection = _connection(self.address, self._ca_file)
        connection.timeout = min(connection.timeout or _LONGEST_WAIT, self._remaining())
        try:
            connection.connect()
        except OSError as error:
            if self._met:
                raise _LostError from error
            self._unreachable(error)
        self._met = True
        return connection

    def _unreachable(self, error: OSError) -> NoReturn:
        if isinstance(error, PermissionError):
            raise CtlError(
                NOT_PERMITTED,
                "not_permitted",
                f"you may not open {self.address}; only the user and the group of the socket's file may",
            ) from error
        reason = error.strerror or str(error)
        raise CtlError(
            UNREACHABLE, "daemon_unreachable", f"no daemon answers at {self.address} ({reason}); {START_HINT}"
        ) from error


def segment(text: str) -> str:
    """Write one segment of a path."""
    return quote(text, safe="")


class _UnixConnection(HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=_LONGEST_WAIT + _ANSWER_SECONDS)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        try:
            self.sock.connect(self._path)
        except BaseException:
            self.close()
            raise


def _connection(address: Address, ca_file: str | None) -> HTTPConnection:
    if address.path is not None:
        return _UnixConnection(address.path)
    seconds = _LONGEST_WAIT + _ANSWER_SECONDS
    if address.tls:
        return HTTPSConnection(address.host, address.port, timeout=seconds, context=_trusting(ca_file))
    return HTTPConnection(address.host, address.port, timeout=seconds)


def _trusting(ca_file: str | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca_file)
    except OSError as error:  # an SSLError is one
        message = f"{ca_file} has no certificates to trust: {error.strerror or error}"
        raise CtlError(BAD_DATA, "file_unreadable", message) from error


def _answer(status: int, body: bytes) -> Answer:
    try:
        document = json.loads(body)
    except ValueError:
        document = None
    if status >= 400:
        problem: Mapping[str, Any] = document if isinstance(document, dict) else {}
        detail = problem.get("detail") or f"the daemon answered with HTTP status {status}"
        hint = f"; {_HOW_TO_NAME_ONE}" if status == HTTPStatus.UNAUTHORIZED else ""
        raise CtlError(exit_code_of(status), str(problem.get("code", f"http_{status}")), f"{detail}{hint}")
    if document is None:
        raise CtlError(UNREACHABLE, "not_obelisk", "what answers there is not obeliskd: its answer is not JSON")
    return Answer(status, document)
