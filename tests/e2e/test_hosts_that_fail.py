"""Three hosts on one PostgreSQL, each of which fails in its own way, and so does the database."""

import os
import random
import signal
import threading
from collections.abc import Iterator
from typing import Final

import pytest

from tests import guests
from tests.e2e.conftest import NewDaemon
from tests.e2e.daemon import Daemon, execution_id
from tests.e2e.test_several_hosts import of
from tests.postgres import Server, running

FIBOA: Final = "testing:fibo/workflow.fiboa"
NAP: Final = "testing:sleeper/sleeper.nap"
CALLS: Final = 10
SOAK: Final = "OBELISK_SOAK" in os.environ
TABLES: Final = tuple(guests.manifest_entry(name) for name in ("fibo-activity", "fibo-workflow", "sleeper"))
TROUBLE: Final = {
    "heartbeat_failed",
    "lock_failed",
    "timers_failed",
    "takeover_failed",
    "request_failed",
    "retention_failed",
}
"""What a daemon tells as an error while the database is away."""


@pytest.fixture
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    request.getfixturevalue("postgres_server")  # skips, or fails, where there is none
    with running() as own:
        yield own


@pytest.fixture
def trio(new_daemon: NewDaemon, server: Server) -> Iterator[list[Daemon]]:
    """Three hosts with a short lease; each offers its name as a label, and keeps a sleeping workflow in memory."""
    names = [f"host-{number}" for number in range(1, 4)]
    daemons = [new_daemon(of(name, server.url, name) + 'lease = "2s"\n', *TABLES) for name in names]
    for number, (name, daemon) in enumerate(zip(names, daemons, strict=True), 1):
        daemon.expected_errors |= TROUBLE
        daemon.start()
        submission = {"ffqn": NAP, "params": [3_600_000], "labels": [name]}
        assert daemon.api.request("PUT", f"/v1/executions/{nap(number)}", submission)[0] == 201
        daemon.api.until(nap(number), lambda event: event["type"] == "history_event")
    yield daemons
    for daemon in daemons:
        if daemon.process.is_alive:
            daemon.kill()


def nap(number: int) -> str:
    return execution_id(9_000 + number)


def submit(daemons: list[Daemon], numbers: range) -> None:
    for number in numbers:
        daemons[number % len(daemons)].api.submit(execution_id(number), FIBOA, 10, CALLS)


def all_ended_once(daemon: Daemon, numbers: range) -> None:
    for number in numbers:
        assert daemon.api.result(execution_id(number)) == {"ok": 55}
    for number in numbers:
        events = daemon.api.events(execution_id(number))
        assert [event["version"] for event in events] == list(range(len(events)))
        assert [event["type"] for event in events].count("finished") == 1
        answered = [one["seq"] for one in daemon.api.responses(execution_id(number))]
        assert answered == list(range(1, CALLS + 1))


def the_sleepers_go_on(daemon: Daemon) -> None:
    """End their delays: who kept them in memory was killed, stopped or without a database, and they still wake up."""
    for number in range(1, 4):
        (delay,) = daemon.api.get(f"/v1/executions/{nap(number)}/delays")["delays"]
        assert daemon.api.request("POST", f"/v1/delays/{delay['delay_id']}/cancel")[0] == 200
        daemon.api.result(nap(number))


def test_every_workflow_ends_once_whatever_befalls_the_hosts_and_the_database(
    trio: list[Daemon], server: Server
) -> None:
    first, second, third = trio
    numbers = range(1, 61)
    submit(trio, numbers)
    second.kill()
    server.stop()
    server.start()
    third.process.signal(signal.SIGSTOP)
    first.process.until_logged("taken_over")
    assert first.ctl("drain", "host-2").code == 0
    second.start()
    third.process.signal(signal.SIGCONT)
    server.stop(signal.SIGQUIT)
    server.start()
    all_ended_once(first, numbers)
    assert first.ctl("drain", "--undo", "host-2").code == 0
    the_sleepers_go_on(first)
    assert [daemon.terminate() for daemon in trio] == [0, 0, 0]


@pytest.mark.skipif(not SOAK, reason="takes four minutes: make soak")
def test_a_database_that_restarts_for_three_minutes_loses_nothing_of_2000_workflows(
    trio: list[Daemon], server: Server
) -> None:
    first, second, third = trio
    draw, passed, sent = random.Random(1), 0.0, 0
    troubles = iter(
        [
            second.kill,
            lambda: third.process.signal(signal.SIGSTOP),
            lambda: third.process.signal(signal.SIGCONT),
            lambda: first.ctl("drain", "host-3"),
        ]
    )
    while passed < 180:
        pause = draw.uniform(5, 40)
        passed += pause
        upto = min(2_000, int(2_000 * passed / 180))
        working = [first] if sent else trio
        submit(working, range(sent + 1, upto + 1))
        sent = upto
        threading.Event().wait(pause)  # between two restarts the hosts work: time itself is what is tried here
        next(troubles, lambda: None)()
        server.stop(draw.choice([signal.SIGINT, signal.SIGQUIT]))
        server.start()
    all_ended_once(first, range(1, 2_001))
    second.start()
    assert first.ctl("drain", "--undo", "host-3").code == 0
    the_sleepers_go_on(first)
    assert [daemon.terminate() for daemon in trio] == [0, 0, 0]
