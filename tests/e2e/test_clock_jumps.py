"""A machine's clock that is set forward and back while the daemon runs."""

import sys
from datetime import timedelta
from pathlib import Path

import pytest

from tests.e2e.conftest import NewDaemon
from tests.e2e.daemon import Daemon, execution_id
from tests.guests import manifest_entry

FIBOA, NAP = "testing:fibo/workflow.fiboa", "testing:sleeper/sleeper.nap"
FIBO = (manifest_entry("fibo-activity"), manifest_entry("fibo-workflow"))
HOUR = 3_600_000
LONG, SHORT, CALLING, LATER = [execution_id(number) for number in range(1, 5)]


class Clock:
    """The clock that a daemon sees."""

    def __init__(self, daemon: Daemon) -> None:
        self._file = daemon.directory / "clock"
        daemon.launcher = [sys.executable, str(Path(__file__).with_name("shifted_clock.py")), str(self._file)]
        self.set(timedelta())

    def set(self, ahead: timedelta) -> None:
        draft = self._file.with_name("clock.new")
        draft.write_text(str(round(ahead.total_seconds())))
        draft.replace(self._file)


@pytest.fixture
def daemon(new_daemon: NewDaemon) -> Daemon:
    return new_daemon(*FIBO, manifest_entry("sleeper"))


@pytest.fixture
def clock(daemon: Daemon) -> Clock:
    return Clock(daemon)


def assert_ended_once(daemon: Daemon, known: str) -> None:
    log = daemon.api.events(known)
    assert [event["type"] for event in log].count("finished") == 1
    times = [event["created_at"] for event in log]
    assert times == sorted(times)
    assert len(daemon.api.responses(known)) == len({str(one) for one in daemon.api.responses(known)})


def test_a_clock_that_is_set_forward_ends_what_is_due_by_it_and_nothing_twice(daemon: Daemon, clock: Clock) -> None:
    daemon.start()
    daemon.api.submit(LONG, NAP, HOUR)
    daemon.api.until(LONG, lambda event: event["type"] == "history_event")
    daemon.api.submit(CALLING, FIBOA, 10, 200)
    daemon.api.until_version(CALLING, 50)
    clock.set(timedelta(hours=2))
    assert set(daemon.api.call(SHORT, NAP, 50)) == {"ok"}
    assert set(daemon.api.result(LONG)) == {"ok"}
    assert daemon.api.result(CALLING) == {"ok": 55}
    for known in (LONG, SHORT, CALLING):
        assert_ended_once(daemon, known)
    assert daemon.terminate() == 0


def test_a_clock_that_is_set_back_holds_nothing_up_but_what_waits_for_it(daemon: Daemon, clock: Clock) -> None:
    clock.set(timedelta(hours=2))
    daemon.start()
    daemon.api.submit(LONG, NAP, HOUR)
    daemon.api.until(LONG, lambda event: event["type"] == "history_event")
    daemon.api.submit(CALLING, FIBOA, 10, 200)
    daemon.api.until_version(CALLING, 50)
    clock.set(timedelta())
    assert daemon.api.result(CALLING) == {"ok": 55}
    assert set(daemon.api.call(SHORT, NAP, 200)) == {"ok"}
    assert daemon.api.show(LONG)["state"] == "blocked", "it fired early"
    daemon.kill()
    daemon.start()
    assert daemon.api.show(LONG)["state"] == "blocked"
    clock.set(timedelta(hours=4))
    assert set(daemon.api.call(LATER, NAP, 50)) == {"ok"}
    assert set(daemon.api.result(LONG)) == {"ok"}
    for known in (LONG, SHORT, CALLING):
        assert_ended_once(daemon, known)
    assert daemon.terminate() == 0
