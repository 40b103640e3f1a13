"""The daemon as systemd sees it; systemd's side is a socket of the test."""

import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import NewDaemon
from tests.e2e.daemon import DEADLINE, Daemon, Json, execution_id
from tests.fakes import activation
from tests.fakes.notify import FakeNotify
from tests.guests import manifest_entry

ID = execution_id(1)
FIBO, FIBOA = "testing:fibo/fibo.fibo", "testing:fibo/workflow.fiboa"
TABLES = (manifest_entry("fibo-activity"), manifest_entry("fibo-workflow"))


@pytest.fixture
def notify(tmp_path: Path) -> Iterator[FakeNotify]:
    with FakeNotify(tmp_path / "notify") as receiver:
        yield receiver


@pytest.fixture
def supervised(new_daemon: NewDaemon, notify: FakeNotify) -> Daemon:
    """Make a daemon that tells systemd."""
    daemon = new_daemon(*TABLES)
    daemon.environ["NOTIFY_SOCKET"] = notify.address
    return daemon


def generation(message: dict[str, str]) -> str:
    return message["STATUS"].partition(";")[0]


def test_it_is_ready_when_it_can_be_used(supervised: Daemon, notify: FakeNotify) -> None:
    supervised.launch()
    messages = notify.until("READY")
    assert generation(messages[-1]) == "generation 1 active"
    assert supervised.api.call(ID, FIBOA, 10, 3) == {"ok": 55}


def test_a_start_that_compiles_asks_for_time_before_it_is_ready(
    supervised: Daemon, notify: FakeNotify, tmp_path: Path
) -> None:
    cache = supervised.state_dir / "cache"
    cache.unlink()
    process = supervised.launch()
    before = notify.until("READY")[:-1]
    assert process.until_logged("compiling a component of ")
    assert before[0] == {"STATUS": "starting: checking the manifest, compiling what is new"}
    assert {"EXTEND_TIMEOUT_USEC": "30000000"} in before
    assert list(cache.glob("*.cwasm"))


def test_the_signs_of_life_go_on_while_it_is_idle(supervised: Daemon, notify: FakeNotify) -> None:
    supervised.environ["WATCHDOG_USEC"] = "300000"
    supervised.launch()
    notify.until("READY")
    for _ in range(5):
        notify.until("WATCHDOG")
    supervised.process.signal(signal.SIGTERM)
    notify.until("STOPPING")
    assert supervised.process.wait() == 0


def test_without_a_watchdog_there_are_no_signs_of_life(supervised: Daemon, notify: FakeNotify) -> None:
    supervised.environ |= {"WATCHDOG_USEC": "300000", "WATCHDOG_PID": "1"}
    supervised.launch()
    notify.until("READY")
    assert supervised.terminate() == 0
    assert not any("WATCHDOG" in message for message in notify.received + notify.waiting())


def test_a_stop_is_told_and_asks_for_its_grace(supervised: Daemon, notify: FakeNotify) -> None:
    supervised.write(*TABLES, stop_grace="10m")
    supervised.launch()
    notify.until("READY")
    assert supervised.terminate() == 0
    assert notify.waiting() == [
        {"STOPPING": "1", "STATUS": "stopping: SIGTERM"},
        {"EXTEND_TIMEOUT_USEC": "630000000"},
    ]


def test_a_reload_is_told_to_begin_and_to_end_with_its_verdict(supervised: Daemon, notify: FakeNotify) -> None:
    supervised.expected_errors.add("manifest_refused")
    supervised.launch()
    notify.until("READY")
    supervised.write(manifest_entry("fibo-activity", max_retries=1), manifest_entry("fibo-workflow"))
    assert supervised.ctl("manifest", "reload").code == 0
    assert int(notify.until("RELOADING")[-1]["MONOTONIC_USEC"]) > 0
    assert notify.until("READY")[-1]["STATUS"] == "generation 2 active"
    supervised.write(manifest_entry("fibo-activity", timeout="soon"), manifest_entry("fibo-workflow"))
    assert supervised.ctl("manifest", "reload").code == 78
    notify.until("RELOADING")
    status = notify.until("READY")[-1]["STATUS"]
    assert status == 'generation 2 active; last change refused: obelisk.toml:9:11 timeout: "soon" is not a duration'
    assert supervised.terminate() == 0


def test_a_start_that_fails_is_never_ready(supervised: Daemon, notify: FakeNotify) -> None:
    supervised.write("no_such_key = 1")
    assert supervised.launch().wait() == 78
    assert not any("READY" in message for message in notify.waiting())


def test_a_socket_of_systemd_that_nobody_reads_does_no_harm(supervised: Daemon) -> None:
    supervised.environ["NOTIFY_SOCKET"] = "/nowhere/notify"
    supervised.start()
    assert supervised.api.call(ID, FIBO, 10) == {"ok": 55}
    assert supervised.terminate() == 0


def pass_sockets(daemon: Daemon, *sockets: socket.socket) -> None:
    """Have a daemon started with these sockets, as systemd does it."""
    daemon.inherited = tuple(one.fileno() for one in sockets)
    daemon.launcher = [sys.executable, activation.__file__, *map(str, daemon.inherited), "--"]


@pytest.fixture
def held(tmp_path: Path) -> Iterator[socket.socket]:
    """Hold a socket as systemd does, with another mode than the daemon would give it."""
    path = tmp_path / "run.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as made:
        made.bind(str(path))
        path.chmod(0o600)
        made.listen()
        yield made


def ready(daemon: Daemon) -> Json:
    return daemon.process.until_logged("ready")


def test_requests_wait_in_the_socket_of_systemd_over_a_restart(new_daemon: NewDaemon, held: socket.socket) -> None:
    path = Path(held.getsockname())
    daemon = new_daemon(*TABLES)
    pass_sockets(daemon, held)
    for _ in range(2):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as early:
            early.settimeout(DEADLINE)
            early.connect(str(path))
            early.sendall(b"GET /v1/healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            daemon.launch("--listen", f"unix:{path}")
            assert ready(daemon)["listen"] == [f"unix:{path}"]
            assert early.recv(1_000).startswith(b"HTTP/1.1 200 OK\r\n")
        assert daemon.terminate() == 0
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_passed_socket_that_the_manifest_does_not_name_is_served_as_well(
    new_daemon: NewDaemon, held: socket.socket
) -> None:
    daemon = new_daemon(*TABLES)
    pass_sockets(daemon, held)
    daemon.launch()
    listens = [f"unix:{daemon.state_dir}/api.sock", f"unix:{held.getsockname()}"]
    assert ready(daemon)["listen"] == listens
    for url in listens:
        assert daemon.ctl("--url", url, "status").code == 0


def test_a_passed_socket_that_can_not_be_served_ends_the_start_with_78(new_daemon: NewDaemon) -> None:
    daemon = new_daemon(*TABLES)
    with socket.create_server(("0.0.0.0", 0)) as reachable, socket.socket(socket.AF_UNIX) as deaf:
        for given, complaint in ((reachable, "which others can reach"), (deaf, "no stream socket that listens")):
            pass_sockets(daemon, given)
            assert daemon.launch().wait() == 78
            assert complaint in daemon.process.text
