"""The command line of obeliskd: options, exit codes, and what it says when it refuses."""

import re

import obelisk_daemon
from tests.e2e.conftest import NewDaemon
from tests.e2e.daemon import execution_id
from tests.guests import digest, manifest_entry, path

FIBO = (manifest_entry("fibo-activity"), manifest_entry("fibo-workflow"))
BAD = manifest_entry("fibo-workflow", digest="sha256:" + "0" * 64, timout="1s")


def test_it_tells_its_version(new_daemon: NewDaemon) -> None:
    ended = new_daemon().run("--version")
    assert ended == (0, f"obeliskd {obelisk_daemon.__version__}\n", "")


def test_wrong_usage_exits_with_64(new_daemon: NewDaemon) -> None:
    daemon = new_daemon(*FIBO)
    for arguments in (["--no-such-option"], ["--listen", "nowhere"], ["check", "a", "b"]):
        ended = daemon.run(*arguments)
        assert ended.code == 64, ended
        assert ended.err.startswith("obeliskd: ")
        assert ended.err.endswith("Try 'obeliskd --help'.\n")
        assert ended.out == ""


def test_check_of_a_good_manifest_exits_with_0(new_daemon: NewDaemon) -> None:
    daemon = new_daemon(*FIBO)
    ended = daemon.run("check", "obelisk.toml")
    assert ended == (0, "obelisk.toml: 2 components, no errors\n", "")


def test_check_works_beside_a_running_daemon(new_daemon: NewDaemon) -> None:
    daemon = new_daemon(*FIBO)
    daemon.start()
    assert daemon.run("check", "obelisk.toml").code == 0
    assert daemon.api.call(execution_id(1), "testing:fibo/workflow.fiboa", 10, 3) == {"ok": 55}


def test_a_bad_manifest_is_refused_with_all_that_is_wrong(new_daemon: NewDaemon) -> None:
    daemon = new_daemon(BAD)
    for arguments in (["check", "obelisk.toml"], ["--manifest", "obelisk.toml"]):
        ended = daemon.run(*arguments)
        assert ended.code == 78
        assert ended.out == ""
        found = re.findall(r"^obelisk\.toml:\d+:\d+: error\[(\w+)\]", ended.err, re.MULTILINE)
        assert sorted(found) == ["digest_mismatch", "unknown_key"]
        assert digest("fibo-workflow") in ended.err
        assert "Traceback" not in ended.err


def test_a_manifest_that_is_not_there_exits_with_78(new_daemon: NewDaemon) -> None:
    daemon = new_daemon()
    for arguments in (["check", "missing.toml"], ["--manifest", "missing.toml"]):
        ended = daemon.run(*arguments)
        assert (ended.code, ended.out) == (78, "")
        assert "missing.toml" in ended.err


def test_a_digest_may_be_left_out_with_dev_only(new_daemon: NewDaemon) -> None:
    daemon = new_daemon(manifest_entry("fibo-activity", digest=None))
    refused = daemon.run("--manifest", "obelisk.toml")
    assert refused.code == 78
    assert "error[missing_digest]" in refused.err
    checked = daemon.run("check", "--dev", "obelisk.toml")
    assert checked.code == 0
    assert "warning[missing_digest]" in checked.err
    assert f'digest = "{digest("fibo-activity")}"' in checked.err
    assert daemon.start("--dev").until_logged("manifest_warning")["code"] == "missing_digest"
    assert daemon.api.call(execution_id(1), "testing:fibo/fibo.fibo", 10) == {"ok": 55}


def test_with_dev_a_changed_component_is_a_changed_manifest(new_daemon: NewDaemon) -> None:
    daemon = new_daemon()
    file = daemon.directory / "activity.wasm"
    daemon.write(manifest_entry("fibo-activity", path="activity.wasm", digest=None))
    for number, guest in ((1, "fibo-activity"), (1, "fibo-activity"), (2, "faults")):
        file.write_bytes(path(guest).read_bytes())
        daemon.start("--dev")
        assert daemon.api.get("/v1/status")["generation"] == number
        assert daemon.terminate() == 0


def test_a_second_daemon_on_the_same_state_is_refused_and_told_who_has_it(new_daemon: NewDaemon) -> None:
    daemon = new_daemon(*FIBO)
    daemon.start()
    refused = daemon.run("--manifest", "obelisk.toml")
    assert (refused.code, refused.out) == (78, "")
    assert f"in use by the obeliskd with process id {daemon.process.pid}" in refused.err
    assert daemon.api.call(execution_id(1), "testing:fibo/fibo.fibo", 10) == {"ok": 55}


def test_the_same_manifest_keeps_its_generation_and_a_changed_one_gets_the_next(new_daemon: NewDaemon) -> None:
    daemon = new_daemon(*FIBO)
    generations = []
    for tables in (FIBO, FIBO, (manifest_entry("fibo-activity", max_retries=1),)):
        daemon.write(*tables)
        daemon.start()
        generations.append(daemon.api.get("/v1/status")["generation"])
        assert daemon.terminate() == 0
    assert generations == [1, 1, 2]


def test_it_listens_where_the_command_line_says(new_daemon: NewDaemon) -> None:
    daemon = new_daemon(*FIBO)
    listens = daemon.start("--dev", "--listen", "unix:other.sock", "--listen", "127.0.0.1:0").until_logged("ready")[
        "listen"
    ]
    assert [address.rpartition(":")[0] for address in listens] == ["unix", "127.0.0.1"]
    for address in (f"unix:{daemon.directory}/other.sock", f"http://{listens[1]}"):
        assert daemon.ctl("--url", address, "status").code == 0
    assert not (daemon.state_dir / "api.sock").exists()
    assert daemon.terminate() == 0
    assert not (daemon.directory / "other.sock").exists()
