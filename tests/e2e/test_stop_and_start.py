"""What a stop, a kill and a start do to executions of each kind."""

import signal
import socket
from pathlib import Path

import pytest

from tests.e2e.conftest import NewDaemon
from tests.e2e.daemon import Daemon, Json, execution_id
from tests.e2e.servers import httpbin
from tests.guests import manifest_entry

FIBOA, SPIN = "testing:fibo/workflow.fiboa", "testing:faults/faults.spin"
NAP = "testing:sleeper/sleeper.nap"
ID, OTHER = execution_id(1), execution_id(2)
FIBO = (manifest_entry("fibo-activity"), manifest_entry("fibo-workflow"))
BOUND = 20.0
"""Seconds within which a stop with a short grace must have ended, on a busy machine too."""


def types(log: list[Json]) -> list[str]:
    return [event["type"] for event in log]


def spinning(new_daemon: NewDaemon, stop_grace: str, **settings: object) -> Daemon:
    """Start a daemon whose one activity computes for ever."""
    daemon = new_daemon(manifest_entry("faults", timeout="1h", **settings), stop_grace=stop_grace)
    daemon.start()
    daemon.api.submit(ID, SPIN)
    daemon.api.until(ID, lambda event: event["type"] == "locked")
    return daemon


def test_a_stop_drops_an_attempt_after_the_grace_and_does_not_count_it(new_daemon: NewDaemon) -> None:
    daemon = spinning(new_daemon, "300ms", max_retries=0)
    for _ in range(2):
        daemon.process.signal(signal.SIGTERM)
        assert daemon.process.wait(BOUND) == 0
        assert daemon.process.until_logged("stop_grace_over")["running"] == 1
        daemon.start()
        daemon.api.until_version(ID, len(daemon.api.events(ID)) - 1)
    log = daemon.api.events(ID)
    assert types(log)[:5] == ["created", "locked", "unlocked", "locked", "unlocked"]
    assert {event["attempt"] for event in log if event["type"] == "locked"} == {1}
    assert {event["reason"] for event in log if event["type"] == "unlocked"} == {"stopping"}
    assert daemon.api.show(ID)["attempts"] == 1
    assert daemon.api.request("POST", f"/v1/executions/{ID}/cancel")[0] == 200
    assert daemon.api.result(ID)["execution_failure"]["kind"] == "cancelled"


def test_a_start_that_fails_runs_nothing_and_counts_nothing(new_daemon: NewDaemon) -> None:
    daemon = spinning(new_daemon, "100ms", max_retries=0)
    assert daemon.terminate() == 0
    with socket.create_server(("127.0.0.1", 0)) as taken:
        for _ in range(2):
            process = daemon.launch("--dev", "--listen", f"127.0.0.1:{taken.getsockname()[1]}")
            assert process.wait(BOUND) == 78
            assert "Address already in use" in process.text
    daemon.start()
    daemon.api.until_version(ID, 3)
    assert types(daemon.api.events(ID)) == ["created", "locked", "unlocked", "locked"]


def test_a_second_sigterm_does_no_harm(new_daemon: NewDaemon) -> None:
    daemon = spinning(new_daemon, "1s")
    daemon.process.signal(signal.SIGTERM)
    daemon.process.until_logged("stopping")
    daemon.process.signal(signal.SIGTERM)
    daemon.process.signal(signal.SIGINT)
    assert daemon.process.wait(BOUND) == 0
    assert [event["event"] for event in daemon.process.events()].count("stopping") == 1
    daemon.start()
    assert types(daemon.api.events(ID))[:3] == ["created", "locked", "unlocked"]


def test_a_workflow_goes_on_after_a_stop_and_nothing_is_counted_or_repeated(new_daemon: NewDaemon) -> None:
    daemon = new_daemon(*FIBO)
    daemon.start()
    daemon.api.submit(ID, FIBOA, 10, 300)
    for version in (100, 300, 500):
        daemon.api.until_version(ID, version)
        assert daemon.terminate() == 0
        daemon.start()
    assert daemon.api.result(ID) == {"ok": 55}
    for one in (ID, *daemon.api.children(ID)):
        log = daemon.api.events(one)
        assert "temporarily_timed_out" not in types(log)
        assert {event["attempt"] for event in log if event["type"] == "locked"} == {1}
    assert all(types(daemon.api.events(child)).count("locked") <= 2 for child in daemon.api.children(ID))


def test_a_stop_answers_requests_that_wait(new_daemon: NewDaemon) -> None:
    daemon = new_daemon(manifest_entry("sleeper"))
    daemon.start()
    daemon.api.submit(ID, NAP, 3_600_000)
    daemon.api.until(ID, lambda event: event["type"] == "history_event")
    waiting = daemon.new_api()
    waiting.send("GET", f"/v1/executions/{ID}/result?wait=60")
    assert daemon.api.get("/v1/healthz") == {"status": "ok"}
    assert daemon.terminate() == 0
    status, document = waiting.receive()
    waiting.close()
    assert (status, document["state"]) == (202, "blocked")


def test_a_daemon_may_be_killed_at_any_point_of_its_start(new_daemon: NewDaemon) -> None:
    daemon = new_daemon(*FIBO)
    daemon.launch().until_logged("generation_active")
    daemon.kill()
    daemon.start()
    daemon.api.submit(ID, FIBOA, 10, 200)
    daemon.api.until_version(ID, 100)
    daemon.kill()
    for event in ("recovered", "the API listens on", "ready"):
        daemon.launch().until_logged(event)
        daemon.kill()
    daemon.start()
    assert daemon.api.result(ID) == {"ok": 55}
    assert len(daemon.api.children(ID)) == 200


@pytest.mark.guests
def test_a_stop_does_not_wait_for_a_component_to_be_compiled(new_daemon: NewDaemon, tmp_path: Path) -> None:
    artifacts = tmp_path / "artifacts"
    artifacts.mkdir(mode=0o700)
    daemon = new_daemon(manifest_entry("http-python"), artifacts=artifacts)
    process = daemon.launch()
    process.until_logged("compiling a component of ")
    process.signal(signal.SIGTERM)
    assert process.wait(BOUND) == 0
    assert not list(artifacts.glob("*.cwasm"))
    assert "ready" not in [line["event"] for line in process.events()]


def test_an_attempt_that_a_kill_cut_off_is_counted_and_repeated(new_daemon: NewDaemon) -> None:
    daemon = spinning(new_daemon, "300ms", max_retries=1, backoff={"initial": "10ms"})
    daemon.kill()
    daemon.start()
    second = daemon.api.until(ID, lambda event: event["type"] == "locked" and event["attempt"] == 2)
    assert second["version"] == 3
    daemon.kill()
    daemon.start()
    failure = daemon.api.result(ID)["execution_failure"]
    assert failure["kind"] == "timed_out"
    assert failure["reason"] == "timed out after 2 attempts: its daemon ended while it ran"
    log = daemon.api.events(ID)
    assert types(log) == ["created", "locked", "temporarily_timed_out", "locked", "finished"]
    assert log[2]["reason"] == "lost"


@pytest.mark.parametrize("on_block", ["hot", "unload"])
def test_a_delay_goes_off_once_whatever_happens_to_the_daemon(new_daemon: NewDaemon, on_block: str) -> None:
    daemon = new_daemon(manifest_entry("sleeper", on_block=on_block))
    daemon.start()
    daemon.api.submit(ID, NAP, 2_500)
    daemon.api.submit(OTHER, NAP, 1)
    asked = daemon.api.until(ID, lambda event: "request" in event.get("event", ()))
    daemon.kill()
    daemon.start()
    daemon.kill()
    daemon.start()
    assert set(daemon.api.result(ID)) == set(daemon.api.result(OTHER)) == {"ok"}
    for one in (ID, OTHER):
        assert [response["type"] for response in daemon.api.responses(one)] == ["delay_finished"]
    assert daemon.api.responses(ID)[0]["created_at"] >= asked["event"]["request"]["due_at"]


@pytest.mark.guests
@pytest.mark.parametrize("on_block", ["hot", "unload"])
def test_a_workflow_logs_each_line_once_though_the_daemon_is_killed_under_it(
    new_daemon: NewDaemon, on_block: str
) -> None:
    with httpbin() as server:
        daemon = new_daemon(
            manifest_entry("fibo-activity"),
            manifest_entry("http-python", allowed_hosts=[server], allow_private=True),
            manifest_entry("demo-python", on_block=on_block),
        )
        daemon.start()
        daemon.api.submit(ID, "example:demo/workflow.run", f"{server}/get")
        for version in (2, 6, 15):
            daemon.api.until_version(ID, version)
            daemon.kill()
            daemon.start()
        result = daemon.api.result(ID)["ok"]
        lines = [line["message"] for line in daemon.api.logs(ID)]
    assert "fibo(10) = 55" in result
    assert len(lines) == 4
    assert lines[0] == f"started as {ID}"
    assert lines[1] in (f"fibo(10) = 55, fibo(20) = 6765, {rest}" for rest in [lines[1].rpartition(", ")[2]])
    assert lines[1].rpartition(", ")[2] in result
    assert lines[2].startswith("slept until ")
    assert lines[3] == f"{server}/get answered 200"


@pytest.mark.parametrize("on_block", ["hot", "unload"])
def test_random_numbers_and_clocks_are_the_same_in_a_replay(new_daemon: NewDaemon, on_block: str) -> None:
    daemon = new_daemon(manifest_entry("random", on_block=on_block))
    daemon.start()
    for number in range(20):
        daemon.api.submit(execution_id(number), "testing:random/random.draw")
    daemon.kill()
    daemon.start()
    drawn = [daemon.api.result(execution_id(number)) for number in range(20)]
    assert all(set(result) == {"ok"} for result in drawn), drawn
    assert len({result["ok"] for result in drawn}) == 20
