"""`obelisk-ctl top`: the daemon at a glance, live."""

import os
import select
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import typer

from obelisk_daemon.ctl.failure import OK, CtlError
from obelisk_daemon.ctl.session import Flag, Session, command
from obelisk_daemon.ctl.top_view import TopView

ONCE: Final = Flag("once", "Print it once, as on a pipe.")
_READING_SECONDS: Final = 2.0


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "top", ONCE)(top)


def top(session: Session) -> int:
    """Show queues, executors, what runs, rates and drift, live; q ends it.

    On a pipe, and with --json or --once, it prints how all stands and ends.
    """
    output = session.output
    status = session.client.get("/v1/status").document
    queues, executors = _read(session, status)
    if output.as_json:
        output.document({"status": status, "queues": queues, "executors": executors})
        return OK
    view = TopView(str(session.client.address), status, output.when)
    view.read(queues, executors)
    if "once" in session.flags or not output.screen.is_terminal:
        for line in view.lines(sys.maxsize):
            output.line("".join(part.text for part in line).rstrip())
        return OK
    return _watch(session, view, status)


def _watch(session: Session, view: TopView, status: dict[str, Any]) -> int:
    from obelisk_daemon.ctl.drawing import drawn

    listener = _Listener(session, view)
    with _keys() as pressed, drawn(session.output.screen, view.lines, whole=True):
        listener.start()
        while not pressed(_READING_SECONDS):
            if listener.failure is not None:
                raise listener.failure
            view.read(*_read(session, status))
    return OK


class _Listener(threading.Thread):
    """Reads the daemon's stream into a view, for as long as the process lives."""

    def __init__(self, session: Session, view: TopView) -> None:
        super().__init__(name="stream", daemon=True)
        self._client = session.client
        self._view = view
        self.failure: CtlError | None = None

    def run(self) -> None:
        """Read until the daemon is gone for good."""
        from obelisk_daemon.ctl.streaming import messages

        try:
            for message in messages(self._client, "/v1/follow", executions="none"):
                self._view.take(message)
        except CtlError as error:
            self.failure = error


def _read(session: Session, status: dict[str, Any]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Read the queues and the executors; of a daemon that has no such resources, its own executors."""
    try:
        queues = session.client.get("/v1/queues").document["queues"]
        return queues, session.client.get("/v1/executors").document["executors"]
    except CtlError as error:
        if error.code != "no_such_route":
            raise
        return [], status["executors"]


@contextmanager
def _keys() -> Iterator[Any]:
    """Read keys as they are pressed; what is given waits so many seconds, and tells if it was q, or the end."""
    if not sys.stdin.isatty():
        yield _no_key
        return
    import termios
    import tty

    before = termios.tcgetattr(sys.stdin)
    tty.setcbreak(sys.stdin)
    try:
        yield _is_end
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)


def _is_end(seconds: float) -> bool:
    give_up = time.monotonic() + seconds
    while (left := give_up - time.monotonic()) > 0:
        if select.select([sys.stdin], [], [], left)[0] and os.read(sys.stdin.fileno(), 1) in (b"q", b"Q", b""):
            return True
    return False


def _no_key(seconds: float) -> bool:
    time.sleep(seconds)
    return False
