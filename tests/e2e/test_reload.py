"""The manifest of a running daemon: what it takes over, what it refuses, and what it does at the next start."""

import json
import signal

import pytest

from tests import guests
from tests.e2e.conftest import NewDaemon
from tests.e2e.daemon import Daemon, execution_id
from tests.e2e.variants import digest_of, entry, file_of, variant

FIBO = "testing:fibo/fibo.fibo"
FIBOA = "testing:fibo/workflow.fiboa"


@pytest.fixture
def daemon(new_daemon: NewDaemon) -> Daemon:
    daemon = new_daemon()
    write(daemon)
    daemon.start()
    return daemon


def write(daemon: Daemon, *tables: str, mark: str | None = None, stop_grace: str = "10s", **settings: object) -> None:
    """Write the manifest: what is given, then the activity with its code beside it."""
    code = guests.path("fibo-activity").read_bytes() if mark is None else variant("fibo-activity", mark)
    daemon.write(*tables, entry(daemon, "fibo-activity", code, **settings), stop_grace=stop_grace)


def generation(daemon: Daemon) -> int:
    number: int = daemon.api.get("/v1/status")["generation"]
    return number


def test_a_saved_change_becomes_active_by_itself(daemon: Daemon) -> None:
    write(daemon, mark="v2")
    # The first is of the start.
    daemon.process.until_logged("manifest_changed")
    assert daemon.ctl("manifest", "reload").code == 0  # waits for its turn behind the check of the saved file
    assert generation(daemon) == 2
    daemon.api.call(execution_id(1), FIBO, 10)
    (locked,) = [event for event in daemon.api.events(execution_id(1)) if event["type"] == "locked"]
    assert locked["digest"] == digest_of(variant("fibo-activity", "v2"))
    assert locked["generation"] == 2
    assert daemon.terminate() == 0


def test_a_refused_file_changes_nothing_and_says_why(daemon: Daemon) -> None:
    daemon.expected_errors.add("manifest_refused")
    write(daemon, timeout="soon")
    run = daemon.ctl("manifest", "reload")
    assert run.code == 78
    assert 'bad_duration]: timeout: "soon" is not a duration' in run.err
    assert run.out.splitlines()[-1] == "refused at the stage parsed; generation 1 stays active"
    status = daemon.api.get("/v1/status")
    assert status["generation"] == 1
    assert "timeout" in status["manifest_refused"]
    assert [one["subject"] for one in status["drift"]] == ["manifest"]
    assert daemon.api.call(execution_id(1), FIBO, 10) == {"ok": 55}
    write(daemon)
    assert daemon.ctl("manifest", "reload").code == 0
    assert daemon.api.get("/v1/status").get("manifest_refused") is None
    assert daemon.terminate() == 0


def test_a_plan_token_holds_for_just_that_file(daemon: Daemon) -> None:
    write(daemon, max_retries=1)
    token = json.loads(daemon.ctl("manifest", "plan", "--json").out)["token"]
    write(daemon, max_retries=2)
    run = daemon.ctl("manifest", "reload", "--plan", token, "--json")
    assert (run.code, json.loads(run.out)["error"]["code"]) == (1, "plan_outdated")
    assert daemon.terminate() == 0


def test_sighup_checks_the_file_at_once(daemon: Daemon) -> None:
    write(daemon, max_retries=1)
    daemon.process.signal(signal.SIGHUP)
    assert daemon.process.until_logged("reloaded")["generation"] == 2
    assert daemon.terminate() == 0


def test_what_needs_a_restart_is_refused_and_named(daemon: Daemon) -> None:
    daemon.expected_errors.add("manifest_refused")
    write(daemon, stop_grace="3s")
    run = daemon.ctl("manifest", "reload")
    assert run.code == 78
    assert 'restart_only]: daemon.stop_grace changes from "10s" to "3s"' in run.err
    assert daemon.terminate() == 0
    daemon.start()
    assert generation(daemon) == 2
    assert daemon.terminate() == 0


def test_bytes_that_change_on_disk_are_told_and_not_run(daemon: Daemon) -> None:
    file = file_of(daemon, "fibo-activity")
    file.write_bytes(variant("fibo-activity", "by mistake"))
    (drift,) = daemon.api.get("/v1/status")["drift"]
    assert drift["subject"] == "fibo-activity"
    assert digest_of(file.read_bytes()) in drift["message"]
    assert "drift" in daemon.ctl("manifest", "status").out
    assert daemon.api.call(execution_id(1), FIBO, 10) == {"ok": 55}
    assert daemon.terminate() == 0
    daemon.start()  # the file proposes nothing new, so what is active comes from the database
    assert generation(daemon) == 1
    assert daemon.api.call(execution_id(2), FIBO, 10) == {"ok": 55}
    assert [one["subject"] for one in daemon.api.get("/v1/status")["drift"]] == ["fibo-activity"]
    assert daemon.terminate() == 0


def test_a_rollback_survives_a_restart(daemon: Daemon) -> None:
    write(daemon, mark="v2")
    assert daemon.ctl("manifest", "reload").code == 0
    assert daemon.ctl("manifest", "rollback").code == 0
    assert generation(daemon) == 3
    daemon.kill()
    daemon.start()
    assert generation(daemon) == 3
    daemon.api.call(execution_id(1), FIBO, 10)
    (locked,) = [event for event in daemon.api.events(execution_id(1)) if event["type"] == "locked"]
    assert locked["digest"] == guests.digest("fibo-activity")
    run = daemon.ctl("manifest", "reload")
    assert run.code == 0
    assert "became a generation before" in run.out
    history = json.loads(daemon.ctl("manifest", "history", "--json").out)["generations"]
    assert [(row["generation"], row["cause"], row.get("restored")) for row in history] == [
        (3, "rollback", 1),
        (2, history[1]["cause"], None),
        (1, "start", None),
    ]
    assert daemon.terminate() == 0


@pytest.mark.parametrize("broken", ["[[activity", "", "[daemon]", None], ids=["no TOML", "empty", "cut off", "missing"])
def test_a_start_falls_back_on_the_last_good_generation(daemon: Daemon, broken: str | None) -> None:
    good = daemon.manifest.read_text()
    assert daemon.terminate() == 0
    daemon.expected_errors |= {"fallen_back", "manifest_refused"}
    daemon.manifest.unlink()
    if broken is not None:
        daemon.manifest.write_text(broken)
    daemon.start("--state-dir", str(daemon.state_dir))
    assert "generation 1 runs" in daemon.api.get("/v1/status")["degraded"]
    assert daemon.api.call(execution_id(1), FIBO, 10) == {"ok": 55}
    daemon.manifest.write_text(good)
    assert daemon.ctl("manifest", "reload").code == 0
    status = daemon.api.get("/v1/status")
    assert (status.get("degraded"), status.get("manifest_refused"), status.get("drift")) == (None, None, None)
    assert daemon.terminate() == 0


def test_a_component_with_unfinished_executions_goes_only_by_leave(daemon: Daemon) -> None:
    daemon.expected_errors.add("manifest_refused")
    workflow = guests.manifest_entry("fibo-workflow")
    write(daemon, workflow, labels=["nobody"])
    assert daemon.ctl("manifest", "reload").code == 0
    daemon.api.submit(execution_id(1), FIBOA, 10, 1)
    daemon.api.until(execution_id(1), lambda event: event.get("event", {}).get("type") == "join_next")
    write(daemon)
    run = daemon.ctl("manifest", "reload")
    assert run.code == 78
    assert '"fibo-workflow" is gone, and 1 executions of testing:fibo/workflow.fiboa are unfinished' in run.err
    assert daemon.ctl("manifest", "plan").code == 78
    assert daemon.ctl("manifest", "reload", "--allow-remove").code == 0
    write(daemon, workflow)
    assert daemon.ctl("manifest", "reload").code == 0
    assert daemon.api.result(execution_id(1)) == {"ok": 55}
    assert daemon.terminate() == 0
