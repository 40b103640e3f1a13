"""A guest that takes its daemon down is found and paused, and what ran at the same deaths goes on."""

import json
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.e2e.conftest import NewDaemon
from tests.e2e.daemon import Daemon, execution_id
from tests.guests import manifest_entry

pytestmark = pytest.mark.guests
GET = "example:http/client.get"
INNOCENT, CULPRIT, OTHER = execution_id(1), execution_id(2), execution_id(3)
MOST_DEATHS = 16
"""On a slow machine the culprit is not done within its first turns, which are short."""


class Trap(ThreadingHTTPServer):
    """Kills the daemon that asks for `/crash`, as a guest would that makes it crash; answers `/wait` when it may."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.victim: Daemon | None = None
        self.asked = threading.Semaphore(0)
        """Released by each request to wait."""
        self.released = threading.Event()
        self.deaths = 0


class _Handler(BaseHTTPRequestHandler):
    server: Trap

    def do_GET(self) -> None:
        if self.path == "/crash" and self.server.victim is not None:
            self.server.deaths += 1
            self.server.victim.process.signal(signal.SIGKILL)
            return
        if self.path == "/wait":
            self.server.asked.release()
            self.server.released.wait()
        try:
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()
        except ConnectionError:  # a daemon that is dead by now
            return

    def log_message(self, *_arguments: object) -> None:
        pass


@contextmanager
def trap() -> Iterator[Trap]:
    """Run it until the block is left."""
    with Trap() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.released.set()
            server.shutdown()
            thread.join()


@pytest.fixture
def server() -> Iterator[Trap]:
    with trap() as server:
        yield server


def start_until_quarantined(daemon: Daemon) -> list[dict[str, object]]:
    """Start it again after each death, until it says that something is quarantined."""
    for _ in range(MOST_DEATHS):
        assert daemon.process.wait() == -signal.SIGKILL
        process = daemon.launch()
        process.until_logged("recovered")
        paused = [line for line in process.events() if line["event"] == "paused"]
        if paused:
            process.until_logged("ready")
            return paused
    raise AssertionError(f"nothing was quarantined:\n{daemon.process.text}")


def test_a_guest_that_takes_its_daemon_down_is_quarantined_and_the_others_go_on(
    new_daemon: NewDaemon, server: Trap
) -> None:
    patient = {"max_retries": 100, "backoff": {"initial": "10ms", "max": "10ms"}, "timeout": "60s"}
    table = manifest_entry("http-js", allowed_hosts=[{"host": server.url, "allow_private": True}], **patient)
    daemon = new_daemon(table, manifest_entry("fibo-activity"))
    daemon.start()
    server.victim = daemon
    for innocent in (INNOCENT, OTHER):
        daemon.api.submit(innocent, GET, f"{server.url}/wait")
        assert server.asked.acquire(timeout=60)
    daemon.api.submit(CULPRIT, GET, f"{server.url}/crash")

    (paused,) = start_until_quarantined(daemon)
    assert paused["execution_id"] == CULPRIT
    assert server.deaths >= 4, "one among others, and three alone"
    shown = daemon.api.show(CULPRIT)
    assert (shown["state"], shown["lifecycle"], shown["pause_reason"]) == ("pending_at", "paused", "quarantined")
    assert "quarantined" in daemon.ctl("show", CULPRIT).out
    why = daemon.ctl("why", CULPRIT)
    assert "3 daemons in a row died while it ran alone" in why.out
    assert f"obelisk-ctl resume {CULPRIT}" in why.out
    assert daemon.api.get("/v1/status")["automatic_pauses"] == {"quarantined": 1}

    assert daemon.api.call(execution_id(4), "testing:fibo/fibo.fibo", 10) == {"ok": 55}
    server.released.set()
    for innocent in (INNOCENT, OTHER):
        assert daemon.api.result(innocent)["ok"]["status"] == 200
    server.victim = None
    assert daemon.ctl("resume", CULPRIT).code == 0
    assert daemon.api.result(CULPRIT)["ok"]["status"] == 200
    assert json.loads(daemon.ctl("db", "check", "--full", "--json").out)["damage"] == []
    assert daemon.terminate() == 0
