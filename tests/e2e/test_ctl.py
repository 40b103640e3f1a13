"""The whole way: obelisk-ctl, a daemon, guests; what is printed is what a script may rely on."""

import json
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.daemon import ENV, OBELISK_CTL, OBELISKD, Daemon, Process, execution_id, run, running
from tests.guests import digest, manifest_entry

FIBOA, FIBO = "testing:fibo/workflow.fiboa", "testing:fibo/fibo.fibo"
FAILS = "testing:faults/faults.fail-with"
NAP = "testing:sleeper/sleeper.nap"


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory, artifacts: Path) -> Iterator[Daemon]:
    tables = (
        manifest_entry("fibo-activity", max_retries=0),
        manifest_entry("fibo-workflow"),
        manifest_entry("faults", max_retries=0),
        manifest_entry("sleeper"),
        manifest_entry("nested", labels=["nobody-has-this"]),
    )
    with running(tmp_path_factory.mktemp("ctl"), artifacts, *tables) as daemon:
        yield daemon


def asked(daemon: Daemon, *arguments: str, code: int = 0) -> Any:
    """Run obelisk-ctl with `--json`; give its document, which must be all that it prints."""
    ended = daemon.ctl("--json", *arguments)
    assert ended.code == code, ended
    assert ended.out.count("\n") == 1, ended
    return json.loads(ended.out)


def test_submit_prints_the_id_and_with_wait_the_result(daemon: Daemon) -> None:
    known = execution_id(100)
    assert asked(daemon, "submit", FIBOA, "[10, 5]", "--id", known) == {"execution_id": known}
    waited = asked(daemon, "submit", FIBOA, "[10, 5]", "--id", known, "--wait")
    assert waited == {"execution_id": known, "result": {"ok": 55}}
    for_people = daemon.ctl("submit", FIBOA, "[10, 5]", "--wait")
    assert (for_people.code, json.loads(for_people.out)) == (0, {"ok": 55})
    fresh = asked(daemon, "submit", FIBOA, "[10, 5]")["execution_id"]
    assert fresh.startswith("E_")
    assert fresh != known


def test_follow_shows_what_happens_and_the_result(daemon: Daemon) -> None:
    ended = daemon.ctl("submit", FIBOA, "[10, 3]", "--follow")
    assert ended.code == 0
    *told, result = ended.out.splitlines()
    assert json.loads(result) == {"ok": 55}
    assert sum("child_finished" in line for line in told) == 3
    assert set(asked(daemon, "submit", FIBOA, "[10, 3]", "--follow")) == {"execution_id", "result"}


def test_a_function_may_be_named_shortly_where_that_is_unique(daemon: Daemon) -> None:
    for name in ("fibo.fibo", ".../fibo.fibo", FIBO):
        assert asked(daemon, "submit", name, "[10]", "--wait")["result"] == {"ok": 55}


def test_an_error_and_a_failure_exit_with_1(daemon: Daemon) -> None:
    erred = asked(daemon, "submit", FAILS, '["no luck"]', "--wait", code=1)
    assert erred["result"] == {"err": "no luck"}
    failed = asked(daemon, "submit", "faults.trap", "--wait", code=1)
    failure = failed["result"]["execution_failure"]
    assert set(failure) == {"kind", "failure_id", "reason"}
    assert failure["kind"] == "trap"
    assert asked(daemon, "result", failed["execution_id"], code=1) == failed["result"]
    shown = asked(daemon, "show", failed["execution_id"])
    assert shown["failure"]["failure_id"] == failure["failure_id"]
    assert shown["failure"]["backtrace"]


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["submit", FIBO, '["ten"]'], 65, "u8"),
        (["submit", FIBO, "[300]"], 65, "u8"),
        (["submit", FIBO, "[1, 2]"], 65, "2"),
        (["submit", FIBO, "{}"], 65, "array"),
        (["submit", FIBO, "[", "--wait"], 65, "JSON"),
        (["submit", "testing:fibo/fibo.fob", "[1]"], 65, "testing:fibo/fibo.fob"),
        (["submit", FIBO, "[1]", "--id", "E_1"], 65, "E_1"),
        (["show", execution_id(999)], 1, execution_id(999)),
        (["result", "nonsense"], 65, "nonsense"),
        (["list", "--limit", "none"], 64, "none"),
        (["sumbit"], 64, "sumbit"),
        (["status", "--url", "unix:/nowhere/api.sock"], 69, "/nowhere/api.sock"),
        (["submit", NAP, "[3600000]", "--wait", "--timeout", "100ms"], 75, "not finished in time"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_command_that_fails_says_why_and_exits_with_its_code(
    daemon: Daemon, arguments: list[str], code: int, says: str
) -> None:
    error = asked(daemon, *arguments, code=code)["error"]
    assert says in error["message"]
    assert set(error) >= {"code", "message"}


def test_what_went_wrong_is_told_to_people_on_stderr(daemon: Daemon) -> None:
    ended = daemon.ctl("submit", FIBO, "[300]")
    assert (ended.code, ended.out) == (65, "")
    assert ended.err.startswith("obelisk-ctl: ")
    assert "u8" in ended.err


def test_an_id_belongs_to_one_call(daemon: Daemon) -> None:
    known = execution_id(101)
    for _ in range(2):
        assert asked(daemon, "submit", FIBO, "[7]", "--id", known, "--wait")["result"] == {"ok": 13}
    assert asked(daemon, "submit", FIBO, "[8]", "--id", known, code=1)["error"]["code"] == "execution_exists"


def test_show_events_and_logs_describe_an_execution(daemon: Daemon) -> None:
    known = asked(daemon, "submit", FIBOA, "[10, 2]", "--wait")["execution_id"]
    shown = asked(daemon, "show", known)
    expected = {
        "execution_id": known,
        "ffqn": FIBOA,
        "state": "finished",
        "lifecycle": "active",
        "component_digest": digest("fibo-workflow"),
        "labels": [],
        "params": [10, 2],
        "result": {"ok": 55},
    }
    assert {name: shown[name] for name in expected} == expected
    assert shown["created_at"] <= shown["changed_at"]

    events = asked(daemon, "events", known)
    assert set(events) == {"events"}
    log = events["events"]
    assert [event["version"] for event in log] == list(range(len(log)))
    assert all(event["created_at"] for event in log)
    assert [event["type"] for event in log] == ["created", "locked", *["history_event"] * 6, "finished"]
    assert [event["event"]["type"] for event in log[2:5]] == ["join_set_create", "join_set_request", "join_next"]
    child = log[3]["event"]["request"]["execution_id"]
    assert child == f"{known}.o:1_1"
    assert asked(daemon, "show", child)["parent"]["execution_id"] == known
    assert asked(daemon, "logs", known) == {"logs": []}
    for command in ("show", "events", "logs"):
        for_people = daemon.ctl(command, known)
        assert (for_people.code, for_people.err) == (0, "")


def test_list_pages_from_the_newest_to_the_oldest(daemon: Daemon) -> None:
    for _ in range(3):
        asked(daemon, "submit", FIBO, "[1]", "--wait")
    everything = asked(daemon, "list", "--ffqn", FIBO, "--limit", "500")["executions"]
    first = asked(daemon, "list", "--ffqn", FIBO, "--limit", "2")
    rest = asked(daemon, "list", "--ffqn", FIBO, "--limit", "500", "--cursor", first["next"])
    assert [one["execution_id"] for one in first["executions"] + rest["executions"]] == [
        one["execution_id"] for one in everything
    ]
    assert all(one["ffqn"] == FIBO for one in everything)
    assert "E_" in daemon.ctl("list").out


def test_an_unfinished_execution_has_no_result_until_it_is_cancelled(daemon: Daemon) -> None:
    known = asked(daemon, "submit", NAP, "[3600000]")["execution_id"]
    assert asked(daemon, "result", known, code=75)["error"]["code"] == "not_finished"
    assert asked(daemon, "list", "--ffqn", NAP, "--state", "blocked")["executions"][0]["execution_id"] == known
    assert asked(daemon, "cancel", known, code=1)["error"]["code"] == "not_cancellable"
    done = asked(daemon, "cancel", known, "--force")
    assert done == {"execution_id": known, "already_finished": False, "reached": 1, "awaited": 0}
    assert asked(daemon, "cancel", known)["already_finished"]
    assert asked(daemon, "result", known, "--wait", code=1)["execution_failure"]["kind"] == "cancelled"


def test_what_requires_a_label_that_nobody_offers_waits(daemon: Daemon) -> None:
    known = asked(daemon, "submit", "outer.run", "[10, 1]")["execution_id"]
    asked(daemon, "submit", FIBO, "[1]", "--wait")
    shown = asked(daemon, "show", known)
    assert (shown["state"], shown["labels"]) == ("pending_at", ["nobody-has-this"])
    assert [event["type"] for event in asked(daemon, "events", known)["events"]] == ["created"]
    asked(daemon, "cancel", known, "--force")


def test_components_and_functions_are_those_of_the_manifest(daemon: Daemon) -> None:
    components = {one["name"]: one for one in asked(daemon, "components")["components"]}
    assert set(components) == {"fibo-activity", "fibo-workflow", "faults", "sleeper", "nested"}
    assert components["fibo-workflow"]["kind"] == "workflow"
    assert components["fibo-workflow"]["digest"] == digest("fibo-workflow")
    assert components["fibo-workflow"]["imports"] == [FIBO]
    functions = {one["ffqn"]: one for one in asked(daemon, "functions")["functions"]}
    assert functions[FIBOA]["params"] == [{"name": "n", "type": "u8"}, {"name": "iterations", "type": "u32"}]
    assert functions[FIBOA]["returns"] == "result<u64, string>"
    assert functions[FIBO]["component"] == "fibo-activity"
    for command in ("components", "functions"):
        assert "fibo-workflow" in daemon.ctl(command).out


def test_status_describes_the_daemon(daemon: Daemon) -> None:
    for arguments in (["status"], ["status", "--wait", "30s"]):
        told = asked(daemon, *arguments)
        assert told["ready"] is True
        assert told["pid"] == daemon.process.pid
        assert told["generation"] == 1
        assert Path(told["state_dir"]) == daemon.state_dir


def test_without_options_everything_is_found_in_the_working_directory(tmp_path: Path) -> None:
    (tmp_path / "obelisk.toml").write_text(manifest_entry("fibo-activity"))
    assert run([OBELISK_CTL, "status"], tmp_path).code == 69
    process = Process([OBELISKD], tmp_path)
    try:
        process.until_logged("ready")
        found = run([OBELISK_CTL, "submit", "fibo.fibo", "[10]", "--wait"], tmp_path)
        assert (found.code, json.loads(found.out)) == (0, {"ok": 55})
        elsewhere = tmp_path / "elsewhere"
        elsewhere.mkdir()
        url = f"unix:{tmp_path}/.obelisk/api.sock"
        assert run([OBELISK_CTL, "status"], elsewhere).code == 69
        assert run([OBELISK_CTL, "status"], elsewhere, OBELISK_URL=url).code == 0
    finally:
        process.signal(signal.SIGTERM)
        assert process.wait() == 0


def test_status_waits_for_a_daemon_that_is_still_starting(tmp_path: Path, artifacts: Path) -> None:
    url = f"unix:{tmp_path / 'state' / 'api.sock'}"
    command = [OBELISK_CTL, "status", "--wait", "60s", "--json", "--url", url]
    with (
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=ENV) as waiting,
        running(tmp_path, artifacts, manifest_entry("fibo-activity")) as late,
    ):
        told, _ = waiting.communicate(timeout=60)
        assert waiting.returncode == 0
        assert json.loads(told)["pid"] == late.process.pid


def test_submit_waits_on_over_a_restart_of_the_daemon(tmp_path: Path, artifacts: Path) -> None:
    command = [OBELISK_CTL, "submit", FIBOA, "[10, 400]", "--wait", "--url", f"unix:{tmp_path / 'state' / 'api.sock'}"]
    tables = manifest_entry("fibo-activity"), manifest_entry("fibo-workflow")
    with (
        running(tmp_path, artifacts, *tables) as daemon,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENV) as waiting,
    ):
        assert waiting.stderr is not None
        known = waiting.stderr.readline().strip()
        daemon.api.until_version(known, 300)
        daemon.kill()
        daemon.start()
        out, err = waiting.communicate(timeout=60)
        assert waiting.returncode == 0, err
        assert json.loads(out) == {"ok": 55}
        assert asked(daemon, "show", known)["state"] == "finished"
