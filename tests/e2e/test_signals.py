"""Signals in any number and at any time: storms of them, and a stop that lasts longer than a lease."""

import random
import signal
import socket
from contextlib import ExitStack

from tests.e2e.conftest import NewDaemon
from tests.e2e.daemon import execution_id
from tests.guests import manifest_entry

FIBOA, NAP = "testing:fibo/workflow.fiboa", "testing:sleeper/sleeper.nap"
FIBO = (manifest_entry("fibo-activity"), manifest_entry("fibo-workflow"))
SLEEPER = manifest_entry("sleeper")
STORM = 300


def test_a_storm_of_sighup_changes_nothing_and_one_of_sigterm_ends_it_cleanly(new_daemon: NewDaemon) -> None:
    daemon = new_daemon(*FIBO)
    process = daemon.start()
    daemon.api.submit(execution_id(1), FIBOA, 10, 200)
    chance = random.Random(1)
    for number in range(STORM):
        if number % 50 == 0:
            daemon.api.until_version(execution_id(1), number)
        process.signal(signal.SIGHUP)
    assert daemon.api.result(execution_id(1)) == {"ok": 55}
    assert daemon.api.get("/v1/manifest")["generation"] == 1
    daemon.api.submit(execution_id(2), FIBOA, 10, 200)
    daemon.api.until_version(execution_id(2), 50)
    process.signal(signal.SIGTERM)
    for _ in range(STORM):
        if not process.is_alive:
            break
        process.signal(chance.choice([signal.SIGTERM, signal.SIGHUP, signal.SIGINT]))
    assert process.wait() == 0
    daemon.start()
    assert daemon.api.result(execution_id(2)) == {"ok": 55}
    log = daemon.api.events(execution_id(2))
    assert {event["attempt"] for event in log if event["type"] == "locked"} == {1}
    assert daemon.terminate() == 0


def test_a_daemon_that_stood_still_for_longer_than_its_lease_goes_on(new_daemon: NewDaemon) -> None:
    clock, daemon = new_daemon(SLEEPER), new_daemon('[executor]\nlease = "2s"', *FIBO, SLEEPER)
    clock.start()
    process = daemon.start()
    daemon.api.submit(execution_id(1), FIBOA, 10, 300)
    daemon.api.submit(execution_id(2), NAP, 1_000)
    daemon.api.until_version(execution_id(1), 100)
    process.signal(signal.SIGSTOP)
    assert set(clock.api.call(execution_id(1), NAP, 5_000)) == {"ok"}
    process.signal(signal.SIGCONT)
    assert daemon.api.result(execution_id(1)) == {"ok": 55}
    assert set(daemon.api.result(execution_id(2))) == {"ok"}
    for known in (execution_id(1), execution_id(2), *daemon.api.children(execution_id(1))):
        types = [event["type"] for event in daemon.api.events(known)]
        assert types.count("finished") == 1
        assert "temporarily_timed_out" not in types, "nobody may take it over: the state directory is held"
    assert clock.terminate() == daemon.terminate() == 0


def test_a_daemon_without_free_file_descriptors_goes_on_when_there_are_some(new_daemon: NewDaemon) -> None:
    daemon = new_daemon(*FIBO)
    daemon.expected_errors.add("can't take connections: Too many open files")
    daemon.launcher = ["prlimit", "--nofile=64:64"]
    daemon.start()
    assert daemon.api.call(execution_id(1), FIBOA, 10, 5) == {"ok": 55}
    with ExitStack() as stack:
        for _ in range(100):
            client = stack.enter_context(socket.socket(socket.AF_UNIX))
            client.setblocking(False)
            try:
                client.connect(str(daemon.state_dir / "api.sock"))
            except BlockingIOError:
                break
        daemon.api.close()  # its connection has waited for longest, so it may be the one that goes for another
        daemon.api.submit(execution_id(2), FIBOA, 10, 50)
        assert daemon.api.result(execution_id(2)) == {"ok": 55}
    assert daemon.api.call(execution_id(3), FIBOA, 10, 5) == {"ok": 55}
    assert daemon.ctl("status").code == 0
    assert daemon.terminate() == 0
