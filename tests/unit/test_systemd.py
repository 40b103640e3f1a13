"""What the daemon tells systemd, and what it takes from it."""

import asyncio
import os
import socket
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest
import structlog

from obelisk_daemon.errors import OperatorError, OutcomeUnknownError, StorageUnavailableError
from obelisk_daemon.systemd import Notifier, generation_status, handover, keep_watchdog, more_time
from tests.fakes.clock import ManualClock
from tests.fakes.notify import FakeNotify

MINUTE = timedelta(minutes=1)
PID = 4711


@pytest.fixture
def notify(tmp_path: Path) -> Iterator[FakeNotify]:
    with FakeNotify(tmp_path / "notify") as receiver:
        yield receiver


@pytest.fixture
def notifier(notify: FakeNotify) -> Notifier:
    return Notifier(notify.address, ManualClock())


class Steps:
    """Stands for `asyncio.sleep`: goes on as often as the test says, then sleeps for ever."""

    def __init__(self, steps: int) -> None:
        self.left = steps
        self.asked: list[float] = []
        self._at_the_end = asyncio.Event()

    async def sleep(self, seconds: float) -> None:
        self.asked.append(seconds)
        await asyncio.sleep(0)
        if self.left == 0:
            self._at_the_end.set()
            await asyncio.Event().wait()
        self.left -= 1

    async def end(self) -> None:
        """Wait until all steps are made."""
        async with asyncio.timeout(10):
            await self._at_the_end.wait()


class Database:
    """Answers writes, until it is stuck."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.writes = 0
        self.answers = asyncio.Event()
        self.answers.set()
        self.stuck = asyncio.Event()

    async def write(self) -> None:
        self.writes += 1
        if not self.answers.is_set():
            self.stuck.set()
            await self.answers.wait()
        if self.error is not None:
            raise self.error


def test_each_state_is_one_message(notify: FakeNotify) -> None:
    clock = ManualClock()
    clock.advance(timedelta(seconds=5))
    notifier = Notifier(notify.address, clock)
    notifier.ready("generation 17 active")
    notifier.reloading("checking")
    notifier.stopping("stopping")
    notifier.status("busy")
    notifier.extend_timeout(timedelta(seconds=30))
    notifier.watchdog()
    assert notify.waiting() == [
        {"READY": "1", "STATUS": "generation 17 active"},
        {"RELOADING": "1", "MONOTONIC_USEC": "5000000", "STATUS": "checking"},
        {"STOPPING": "1", "STATUS": "stopping"},
        {"STATUS": "busy"},
        {"EXTEND_TIMEOUT_USEC": "30000000"},
        {"WATCHDOG": "1"},
    ]


def test_a_name_of_the_abstract_namespace_is_an_address_too() -> None:
    with FakeNotify(f"@obelisk-test-{os.getpid()}") as notify:
        Notifier(notify.address, ManualClock()).watchdog()
        assert notify.waiting() == [{"WATCHDOG": "1"}]


@pytest.mark.parametrize("text", ["a\nREADY=1", "a\r\nREADY=1", "a\rREADY=1", "a\0READY=1", "a\n\nREADY=1"])
def test_a_status_can_not_say_anything_else(notify: FakeNotify, notifier: Notifier, text: str) -> None:
    notifier.status(text)
    assert notify.waiting() == [{"STATUS": "a READY=1"}]


def test_a_status_is_utf8_and_short_enough_to_arrive(notify: FakeNotify, notifier: Notifier) -> None:
    notifier.ready("file \udcff")
    notifier.ready("é" * 5_000)
    first, second = notify.waiting()
    assert first["STATUS"] == "file ?"
    assert set(second["STATUS"]) == {"é"}
    assert second["READY"] == "1"


def test_a_status_names_the_generation_and_why_the_last_change_is_not_active() -> None:
    assert generation_status(18) == "generation 18 active"
    refused = generation_status(17, "obelisk.toml:42:7 unknown key")
    assert refused == "generation 17 active; last change refused: obelisk.toml:42:7 unknown key"


@pytest.mark.parametrize("address", ["/nowhere/notify", "@nobody-listens", "vsock:2:1234", "/" + "x" * 200])
def test_what_can_not_be_delivered_is_dropped_and_said_once(address: str) -> None:
    notifier = Notifier(address, ManualClock())
    with structlog.testing.capture_logs() as logged:
        notifier.ready("generation 1 active")
        notifier.watchdog()
    assert [(line["event"], line["log_level"]) for line in logged] == [("notify_failed", "debug")]


def test_a_full_socket_holds_nobody_up(notify: FakeNotify, notifier: Notifier) -> None:
    with structlog.testing.capture_logs() as logged:
        for _ in range(1_000):
            notifier.watchdog()
    assert len(logged) == 1
    assert 0 < len(notify.waiting()) < 1_000
    notifier.ready("generation 1 active")
    assert notify.waiting() == [{"READY": "1", "STATUS": "generation 1 active"}]


def test_without_systemd_nothing_is_said() -> None:
    with structlog.testing.capture_logs() as logged, handover({}, ManualClock(), PID) as passed:
        passed.notifier.ready("generation 1 active")
    assert (passed.watchdog, passed.sockets, logged) == (None, (), [])


def test_what_systemd_said_is_gone_from_the_environment() -> None:
    ours = {"NOTIFY_SOCKET": "/nowhere", "WATCHDOG_USEC": "1", "WATCHDOG_PID": "1"}
    ours |= {"LISTEN_PID": "1", "LISTEN_FDS": "1", "LISTEN_FDNAMES": "a", "LISTEN_PIDFDID": "1"}
    environ = ours | {"HOME": "/root"}
    with handover(environ, ManualClock(), PID):
        assert environ == {"HOME": "/root"}


@pytest.mark.parametrize(
    ("given", "watchdog"),
    [
        ({"WATCHDOG_USEC": "60000000"}, MINUTE),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": str(PID)}, MINUTE),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_PID": str(PID)}, None),
    ],
)
def test_the_watchdog_is_for_the_process_that_it_names(given: dict[str, str], watchdog: timedelta | None) -> None:
    with handover(given, ManualClock(), PID) as passed:
        assert passed.watchdog == watchdog


@pytest.mark.parametrize(
    "given",
    [
        {"WATCHDOG_USEC": "1m"},
        {"WATCHDOG_USEC": "9" * 20},
        {"WATCHDOG_USEC": "1", "WATCHDOG_PID": "self"},
        {"LISTEN_PID": "-1"},
        {"LISTEN_PID": str(PID), "LISTEN_FDS": "²"},
    ],
)
def test_an_environment_that_is_not_systemds_is_refused(given: dict[str, str]) -> None:
    with pytest.raises(OperatorError, match="is no number") as caught, handover(dict(given), ManualClock(), PID):
        raise AssertionError(given)
    assert caught.value.code == "bad_environment"


class Descriptors:
    """Consecutive file descriptors, as systemd passes them; far from those that are in use."""

    def __init__(self, *passed: socket.socket) -> None:
        self.first = 700
        self.count = len(passed)
        for number, one in enumerate(passed):
            os.dup2(one.fileno(), self.first + number)

    def environ(self, pid: int = PID) -> dict[str, str]:
        return {"LISTEN_PID": str(pid), "LISTEN_FDS": str(self.count), "LISTEN_FDNAMES": "obeliskd.socket:"}

    def close(self) -> None:
        for number in range(self.count):
            with suppress(OSError):
                os.close(self.first + number)


def listening() -> socket.socket:
    return socket.create_server(("127.0.0.1", 0))


def test_passed_sockets_are_taken_and_closed_at_the_end_and_children_do_not_have_them() -> None:
    with listening() as one, listening() as other:
        passed = Descriptors(one, other)
        assert os.get_inheritable(passed.first)
        with handover(passed.environ(), ManualClock(), PID, passed.first) as taken:
            assert [got.getsockname() for got in taken.sockets] == [one.getsockname(), other.getsockname()]
            assert not any(got.get_inheritable() or got.getblocking() for got in taken.sockets)
        assert [got.fileno() for got in taken.sockets] == [-1, -1]


def test_sockets_for_another_process_are_left_alone() -> None:
    with listening() as one:
        passed = Descriptors(one)
        with handover(passed.environ(PID + 1), ManualClock(), PID, passed.first) as taken:
            assert taken.sockets == ()
        os.fstat(passed.first)
        passed.close()


@pytest.mark.parametrize(
    ("family", "kind"),
    [
        (socket.AF_INET, socket.SOCK_DGRAM),
        (socket.AF_INET, socket.SOCK_STREAM),  # as the connection of a socket unit with Accept=yes: it doesn't listen
        (socket.AF_UNIX, socket.SOCK_SEQPACKET),
    ],
)
def test_a_passed_socket_that_does_not_listen_for_streams_is_refused(family: int, kind: int) -> None:
    with listening() as good, socket.socket(family, kind) as bad:
        if kind == socket.SOCK_SEQPACKET:
            bad.bind("")
            bad.listen()
        passed = Descriptors(good, bad)
        refused = pytest.raises(OperatorError, match="no stream socket that listens")
        with refused as caught, handover(passed.environ(), ManualClock(), PID, passed.first):
            raise AssertionError
    assert caught.value.code == "bad_socket"
    assert f"unknown as descriptor {passed.first + 1}" in str(caught.value)
    for number in range(2):
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(passed.first + number)


def test_a_passed_descriptor_that_is_no_socket_is_refused_by_name(tmp_path: Path) -> None:
    with (tmp_path / "file").open("w") as file:
        os.dup2(file.fileno(), 700)
    environ = {"LISTEN_PID": str(PID), "LISTEN_FDS": "1", "LISTEN_FDNAMES": "journal"}
    refused = pytest.raises(OperatorError, match=r"passed journal as descriptor 700: .*non-socket")
    with refused as caught, handover(environ, ManualClock(), PID, 700):
        raise AssertionError
    os.close(700)
    assert caught.value.code == "bad_socket"


@pytest.mark.anyio
async def test_an_idle_daemon_gives_a_sign_of_life_every_third_of_the_time(
    notify: FakeNotify, notifier: Notifier
) -> None:
    database, steps = Database(), Steps(5)
    signs = asyncio.create_task(keep_watchdog(notifier, MINUTE, database.write, steps.sleep))
    await steps.end()
    signs.cancel()
    assert notify.waiting() == [{"WATCHDOG": "1"}] * 6
    assert set(steps.asked) == {20.0}


@pytest.mark.anyio
async def test_a_stuck_writer_ends_the_signs_of_life_and_the_log_says_why(
    notify: FakeNotify, notifier: Notifier
) -> None:
    database, steps = Database(), Steps(100)
    database.answers.clear()
    with structlog.testing.capture_logs() as logged:
        signs = asyncio.create_task(keep_watchdog(notifier, MINUTE, database.write, steps.sleep))
        async with asyncio.timeout(10):
            await database.stuck.wait()
        for _ in range(50):
            await asyncio.sleep(0)
    assert notify.waiting() == [{"WATCHDOG": "1"}]
    assert (database.writes, steps.left) == (1, 99)
    assert [line["event"] for line in logged] == ["database_slow"]
    assert "waited for 20 s" in logged[0]["detail"]
    database.answers.set()
    steps.left = 2
    await steps.end()
    signs.cancel()
    assert notify.waiting() == [{"WATCHDOG": "1"}] * 3


@pytest.mark.anyio
@pytest.mark.parametrize(
    "error", [StorageUnavailableError("storage_full", "full"), OutcomeUnknownError("commit_failed", "broken")]
)
async def test_a_refused_write_is_an_answer(notify: FakeNotify, notifier: Notifier, error: Exception) -> None:
    database, steps = Database(error), Steps(3)
    signs = asyncio.create_task(keep_watchdog(notifier, MINUTE, database.write, steps.sleep))
    await steps.end()
    signs.cancel()
    assert notify.waiting() == [{"WATCHDOG": "1"}] * 4


@pytest.mark.anyio
async def test_a_long_start_asks_for_more_time_and_says_what_it_does(notify: FakeNotify, notifier: Notifier) -> None:
    steps = Steps(2)
    async with more_time(notifier, "compiling", steps.sleep):
        await steps.end()
    await asyncio.sleep(0)
    assert notify.waiting() == [{"STATUS": "compiling"}, *[{"EXTEND_TIMEOUT_USEC": "30000000"}] * 3]
    assert set(steps.asked) == {10.0}


@pytest.mark.anyio
async def test_a_start_that_fails_raises_its_own_error_and_asks_for_no_more(
    notify: FakeNotify, notifier: Notifier
) -> None:
    steps = Steps(0)

    async def start() -> None:
        async with more_time(notifier, "compiling", steps.sleep):
            await steps.end()
            raise OperatorError("no_disk", "no disk")

    with pytest.raises(OperatorError, match="no disk"):
        await start()
    assert {task.get_name() for task in asyncio.all_tasks()}.isdisjoint({"more time"})


@pytest.mark.anyio
async def test_a_start_that_never_ends_is_given_an_hour(notify: FakeNotify, notifier: Notifier) -> None:
    seconds = 0.0

    async def sleep(duration: float) -> None:
        nonlocal seconds
        seconds += duration
        assert seconds < timedelta(hours=2).total_seconds()
        notify.waiting()

    async with more_time(notifier, "compiling", sleep):
        await asyncio.sleep(0)
    assert seconds == timedelta(hours=1).total_seconds()
