"""A production history, replayed: by the daemon, and without one as in a CI job."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import wasmtime

from tests.e2e.conftest import NewDaemon
from tests.e2e.daemon import OBELISK_CTL, OBELISKD, Daemon, Run, execution_id, run, running
from tests.guests import manifest_entry, path

FIBOA = "testing:fibo/workflow.fiboa"
NAP = "testing:sleeper/sleeper.nap"
TRAPPING_SLEEPER = """(component
  (core module $m (memory (export "memory") 1) (func (export "nap") (param i64) (result i32) unreachable))
  (core instance $i (instantiate $m))
  (func $nap (param "milliseconds" u64) (result (result u64 (error string)))
    (canon lift (core func $i "nap") (memory (core memory $i "memory"))))
  (instance $e (export "nap" (func $nap)))
  (export "testing:sleeper/sleeper" (instance $e)))"""
ID, NAPPING, FIBO = execution_id(1), execution_id(2), execution_id(3)


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory, artifacts: Path) -> Iterator[Daemon]:
    """A daemon with one finished workflow, whose log is exported."""
    components = ("fibo-activity", "fibo-workflow", "sleeper")
    with running(tmp_path_factory.mktemp("daemon"), artifacts, *map(manifest_entry, components)) as daemon:
        assert daemon.api.call(ID, FIBOA, 10, 3) == {"ok": 55}
        exported = daemon.ctl("events", ID, "--export", "log.json")
        assert (exported.code, exported.out) == (0, f"wrote 12 events of {ID} to log.json\n"), exported.err
        yield daemon


def replayed(daemon: Daemon, log: str, component: str, *more: str, cache: str = "cache") -> Run:
    """Replay a file without a daemon."""
    command = [OBELISK_CTL, "replay", "--log", log, "--component", str(path(component)), *more]
    return run(["env", f"XDG_CACHE_HOME={daemon.directory / cache}", *command], daemon.directory)


def test_a_finished_workflow_replays_equal_and_other_code_diverges(daemon: Daemon) -> None:
    before = daemon.api.events(ID)
    passed = daemon.ctl("replay", ID)
    assert (passed.code, passed.out) == (0, f'{ID} finished equal: {{"ok":55}}\n'), passed.err
    diverged = daemon.ctl("replay", ID, "--component", str(path("fiboa-changed")), "--json")
    document = json.loads(diverged.out)
    assert (diverged.code, document["verdict"], document["version"]) == (1, "diverges", 6)
    assert "with [10]" in document["expected"]
    assert "with [11]" in document["got"]
    assert daemon.api.events(ID) == before


def test_a_workflow_that_waits_replays_to_where_it_waits(daemon: Daemon) -> None:
    daemon.api.submit(NAPPING, NAP, 3_600_000)
    daemon.api.until_version(NAPPING, 4)
    blocked = daemon.ctl("replay", NAPPING)
    assert (blocked.code, blocked.err) == (0, "")
    assert blocked.out.startswith(f"{NAPPING} blocked at the same place: waits for a response in join set o:1")
    assert daemon.api.show(NAPPING)["state"] == "blocked"


def test_an_activity_is_not_replayed(daemon: Daemon) -> None:
    daemon.api.call(FIBO, "testing:fibo/fibo.fibo", 10)
    refused = daemon.ctl("replay", FIBO)
    assert (refused.code, refused.out) == (65, "")
    assert "only workflows are replayed" in refused.err


def test_a_component_that_can_not_replay_the_log_is_refused_with_the_reason(daemon: Daemon, tmp_path: Path) -> None:
    refused = daemon.ctl("replay", ID, "--component", str(path("sleeper")))
    assert refused.code == 65
    assert f"the component doesn't export {FIBOA}" in refused.err
    (tmp_path / "bad.wasm").write_bytes(b"\0asm\x0d\0\x01\0 and no more")
    refused = daemon.ctl("replay", ID, "--component", str(tmp_path / "bad.wasm"))
    assert refused.code == 65
    assert "doesn't compile" in refused.err


def test_an_exported_log_replays_without_a_daemon(daemon: Daemon) -> None:
    document = json.loads((daemon.directory / "log.json").read_text())
    assert [event["version"] for event in document["events"]] == list(range(12))
    passed = replayed(daemon, "log.json", "fibo-workflow")
    assert (passed.code, passed.out, passed.err) == (0, f'{ID} finished equal: {{"ok":55}}\n', "")
    diverged = replayed(daemon, "log.json", "fiboa-reordered", "--json")
    assert (diverged.code, json.loads(diverged.out)["verdict"], diverged.err) == (1, "diverges", "")


def test_files_that_are_no_good_are_told_without_a_daemon(daemon: Daemon) -> None:
    missing = replayed(daemon, "none.json", "fibo-workflow")
    assert (missing.code, missing.out) == (65, "")
    assert missing.err == "obeliskd: none.json can't be read: No such file or directory\n"
    (daemon.directory / "bad.json").write_text("{}")
    bad = replayed(daemon, "bad.json", "fibo-workflow", "--json")
    assert (bad.code, json.loads(bad.out)["error"]["code"]) == (65, "invalid_log")


def test_a_module_in_the_current_directory_is_not_taken_for_ours(daemon: Daemon) -> None:
    trap = daemon.directory / "obelisk_daemon"
    trap.mkdir()
    (trap / "__init__.py").write_text("raise SystemExit('not ours')")
    try:
        passed = replayed(daemon, "log.json", "fibo-workflow", cache="another")
    finally:
        shutil.rmtree(trap)
    assert (passed.code, passed.err) == (0, "")


def test_obeliskd_replays_by_itself(daemon: Daemon) -> None:
    component = str(path("fibo-workflow"))
    command = [OBELISKD, "replay", "--log", "log.json", "--component", component, "--cache-dir", "compiled"]
    done = run(command, daemon.directory)
    assert (done.code, done.err) == (0, "")
    assert list((daemon.directory / "compiled").glob("*.cwasm"))


def test_code_that_traps_before_the_end_of_its_log_is_paused_and_loses_nothing(
    new_daemon: NewDaemon, tmp_path: Path
) -> None:
    daemon = new_daemon(manifest_entry("sleeper"))
    daemon.start()
    daemon.api.submit(NAPPING, NAP, 2_000)
    daemon.api.until_version(NAPPING, 4)
    daemon.kill()
    (tmp_path / "traps.wasm").write_bytes(wasmtime.wat2wasm(TRAPPING_SLEEPER))
    traps = str(tmp_path / "traps.wasm")
    daemon.write(manifest_entry("sleeper", path=traps, digest=None, on_upgrade="force"))
    daemon.start("--dev")
    paused = daemon.api.until(NAPPING, lambda event: event["type"] == "paused")
    assert paused["reason"] == "nondeterminism"
    assert "got a failure of the function" in paused["message"]
    assert daemon.terminate() == 0
    daemon.write(manifest_entry("sleeper"))
    daemon.start()
    assert "ok" in daemon.api.result(NAPPING)
