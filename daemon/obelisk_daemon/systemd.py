"""systemd's side of the daemon: telling it how the daemon is, and taking over what it passes.

The protocols are those of sd_notify(3), sd_watchdog_enabled(3) and sd_listen_fds(3). Where something else started the
daemon, all of this does nothing.
"""

import asyncio
import re
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, MutableMapping
from contextlib import ExitStack, asynccontextmanager, contextmanager
from datetime import timedelta
from typing import Final, NamedTuple, TypeAlias

import structlog

from obelisk_daemon.clock import Clock
from obelisk_daemon.errors import ObeliskError, OperatorError

FIRST_FD: Final = 3
"""Where the file descriptors begin that systemd passes."""
_NOTIFY: Final = "NOTIFY_SOCKET"
_WATCHDOG: Final = ("WATCHDOG_USEC", "WATCHDOG_PID")
_LISTEN: Final = ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PIDFDID")
_STATUS_BYTES: Final = 1_000
"""systemd drops a datagram above 4096 bytes, with all that is in it."""
# systemd takes each line for an assignment of its own, also after \r, and refuses a datagram with a NUL.
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]+")
_ASK_EVERY: Final = timedelta(seconds=10)
_ASK_FOR: Final = timedelta(seconds=30)
_ASK_NO_LONGER: Final = timedelta(hours=1)
_MICROSECOND: Final = timedelta(microseconds=1)
_log = structlog.get_logger("obeliskd")
Sleep: TypeAlias = Callable[[float], Awaitable[None]]


class Notifier:
    """Tells systemd what the daemon does. It never raises and never waits: what can't be delivered at once is dropped.

    `address` is a path, or `@name` of the abstract namespace; empty when nobody listens.
    """

    def __init__(self, address: str, clock: Clock) -> None:
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        self._clock = clock
        self._failed = False

    def ready(self, status: str) -> None:
        """Say that the start, or a reload, has ended; a refused reload has ended too, and its status says so."""
        self._send("READY=1", _status(status))

    def reloading(self, status: str) -> None:
        """Say that a reload has begun; `ready` must follow."""
        self._send("RELOADING=1", f"MONOTONIC_USEC={int(self._clock.monotonic() * 1e6)}", _status(status))

    def stopping(self, status: str) -> None:
        """Say that the stop has begun."""
        self._send("STOPPING=1", _status(status))

    def status(self, text: str) -> None:
        """Say in a line for people what goes on: `systemctl status` shows it."""
        self._send(_status(text))

    def extend_timeout(self, duration: timedelta) -> None:
        """Ask that the start, reload or stop under way may go on for this long from now."""
        self._send(f"EXTEND_TIMEOUT_USEC={duration // _MICROSECOND}")

    def watchdog(self) -> None:
        """Say that the daemon lives."""
        self._send("WATCHDOG=1")

    def _send(self, *fields: str) -> None:
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sender:
                sender.sendto("\n".join(fields).encode(), self._address)
        except OSError as error:
            if not self._failed:
                _log.debug("notify_failed", fields=fields, detail=str(error))
            self._failed = True


class Handover(NamedTuple):
    """What systemd handed over: whom to tell, how often it wants a sign of life, and the sockets it holds."""

    notifier: Notifier
    watchdog: timedelta | None = None
    sockets: tuple[socket.socket, ...] = ()


@contextmanager
def handover(environ: MutableMapping[str, str], clock: Clock, pid: int, first_fd: int = FIRST_FD) -> Iterator[Handover]:
    """Take what systemd handed over out of the environment, so that no child process has it; close it at the end.

    Raises:
        OperatorError: `bad_environment`, or `bad_socket` when one of them is no stream socket that listens.
    """
    taken = {name: environ.pop(name, "") for name in (_NOTIFY, *_WATCHDOG, *_LISTEN)}
    with ExitStack() as stack:
        sockets = tuple(stack.enter_context(one) for one in _sockets(taken, pid, first_fd))
        yield Handover(Notifier(taken[_NOTIFY], clock), _watchdog(taken, pid), sockets)


def generation_status(number: int, refused: str = "") -> str:
    """Say which generation is active, and why the last change is not: `obelisk.toml:42:7 unknown key`."""
    return f"generation {number} active" + (f"; last change refused: {refused}" if refused else "")


@asynccontextmanager
async def more_time(notifier: Notifier, status: str, sleep: Sleep = asyncio.sleep) -> AsyncIterator[None]:
    """Ask for more time as long as the block runs, for an hour at most: compiling what is new may take minutes."""
    notifier.status(status)
    asking = asyncio.create_task(_ask_for_time(notifier, sleep), name="more time")
    try:
        yield
    finally:
        asking.cancel()
        await asyncio.wait([asking])


async def keep_watchdog(
    notifier: Notifier, timeout: timedelta, write: Callable[[], Awaitable[object]], sleep: Sleep = asyncio.sleep
) -> None:
    """Give a sign of life every third of `timeout`, as long as the database answers `write`.

    So a stuck loop or a stuck writer ends the signs, an idle daemon doesn't, and neither does a refused write: a full
    disk is no hang. The heartbeats of the lease are no measure, since they may be minutes apart.
    """
    third = timeout.total_seconds() / 3
    while True:
        notifier.watchdog()
        async with asyncio.TaskGroup() as tasks:
            answer = tasks.create_task(_answer(write))
            await sleep(third)
            if not answer.done():
                detail = f"a write has waited for {third:g} s; without an answer systemd ends the daemon"
                _log.warning("database_slow", detail=detail)


async def _answer(write: Callable[[], Awaitable[object]]) -> None:
    try:
        await write()
    except ObeliskError:
        return


async def _ask_for_time(notifier: Notifier, sleep: Sleep) -> None:
    for _ in range(_ASK_NO_LONGER // _ASK_EVERY):
        notifier.extend_timeout(_ASK_FOR)
        await sleep(_ASK_EVERY.total_seconds())


def _status(text: str) -> str:
    line = _CONTROL.sub(" ", text).encode("utf-8", "replace")
    return f"STATUS={line[:_STATUS_BYTES].decode('utf-8', 'ignore')}"


def _watchdog(taken: MutableMapping[str, str], pid: int) -> timedelta | None:
    if taken["WATCHDOG_PID"] and _number(taken, "WATCHDOG_PID") != pid:
        return None
    return _number(taken, "WATCHDOG_USEC") * _MICROSECOND or None


def _sockets(taken: MutableMapping[str, str], pid: int, first_fd: int) -> Iterator[socket.socket]:
    if _number(taken, "LISTEN_PID") != pid:
        return
    names = taken["LISTEN_FDNAMES"].split(":")
    for number in range(_number(taken, "LISTEN_FDS")):
        name = names[number] if number < len(names) and names[number] else "unknown"
        yield _listening(first_fd + number, name)


def _listening(fd: int, name: str) -> socket.socket:
    """Make the socket of a file descriptor that systemd passed."""
    try:
        passed = socket.socket(fileno=fd)
        listens = passed.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    except OSError as error:
        raise OperatorError("bad_socket", f"systemd passed {name} as descriptor {fd}: {error.strerror}") from error
    if passed.type != socket.SOCK_STREAM or not listens:
        passed.close()
        raise OperatorError(
            "bad_socket",
            f"systemd passed {name} as descriptor {fd}, which is no stream socket that listens: "
            "the socket unit needs ListenStream= and Accept=no",
        )
    passed.set_inheritable(False)
    passed.setblocking(False)
    return passed


def _number(taken: MutableMapping[str, str], name: str) -> int:
    """Read a number as systemd writes it; one that was left out is 0."""
    text = taken[name]
    if text and not re.fullmatch(r"[0-9]{1,19}", text, re.ASCII):
        raise OperatorError("bad_environment", f"{name}={text[:40]!r} in the environment is no number")
    return int(text or 0)
