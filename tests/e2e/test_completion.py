"""Shells complete our commands: real ones, with the real script, against a real daemon."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.e2e.daemon import ENV, OBELISK_CTL, SCRIPTS, Daemon, execution_id, running
from tests.guests import manifest_entry

STUB = """
[[stub]]
ffqn = "testing:approval/approval.approve"
params = [{ name = "order", type = "u64" }]
returns = "bool"
"""
DONE, ASLEEP, PAUSED, FAILED, ASKED = (execution_id(number) for number in range(1, 6))


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory, artifacts: Path) -> Iterator[Daemon]:
    tables = [manifest_entry("fibo-activity"), manifest_entry("sleeper"), manifest_entry("faults", max_retries=0), STUB]
    with running(tmp_path_factory.mktemp("completion"), artifacts, *tables) as daemon:
        api = daemon.api
        api.call(DONE, "testing:fibo/fibo.fibo", 10)
        for known in (ASLEEP, PAUSED):
            api.submit(known, "testing:sleeper/sleeper.nap", 3_600_000)
            api.until(known, lambda event: event["type"] == "history_event" and event["event"]["type"] == "join_next")
        api.request("POST", f"/v1/executions/{PAUSED}/pause")
        api.call(FAILED, "testing:faults/faults.trap")
        api.submit(ASKED, "testing:approval/approval.approve", 7)
        (daemon.directory / "new.wasm").touch()
        (daemon.directory / "deps").mkdir()
        yield daemon


def bash(daemon: Daemon, line: str, url: str | None = None) -> list[str]:
    """Press tab at the end of a line in bash; give what it would offer, as whole words up to its own word breaks."""
    script = subprocess.run([OBELISK_CTL, "completion", "bash"], capture_output=True, text=True, check=True).stdout
    # bash itself splits the line at these before it calls the function
    asked = script + (
        'COMP_LINE=$1; COMP_POINT=${#1}; read -ra COMP_WORDS <<< "$1"\n'
        '[[ $1 == *" " ]] && COMP_WORDS+=(""); COMP_CWORD=$((${#COMP_WORDS[@]}-1))\n'
        "compopt() { :; }\n"  # it works within a completion only
        '_obelisk_ctl; printf "%s\\n" "${COMPREPLY[@]}"\n'
    )
    return run_shell(daemon, ["bash", "--norc", "-c", asked, "bash", line], url)


def run_shell(daemon: Daemon, command: list[str], url: str | None) -> list[str]:
    environ = ENV | {
        "PATH": f"{SCRIPTS}{os.pathsep}{os.environ['PATH']}",
        "OBELISK_URL": url or f"unix:{daemon.state_dir / 'api.sock'}",
    }
    done = subprocess.run(command, cwd=daemon.directory, env=environ, capture_output=True, text=True, timeout=60)
    assert done.stderr == ""
    return [line for line in done.stdout.splitlines() if line]


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("obelisk-ctl sub", ["submit"]),
        ("obelisk-ctl manifest r", ["reload", "rollback"]),
        ("obelisk-ctl submit --pri", ["--priority"]),
        ("obelisk-ctl list --state b", ["blocked"]),
        ("obelisk-ctl --json list --state b", ["blocked"]),
        ("obelisk-ctl completion ", ["bash", "zsh", "fish"]),
        ("obelisk-ctl submit testing:s", ["sleeper/sleeper.nap"]),
        ("obelisk-ctl retry ", [FAILED, DONE]),
        ("obelisk-ctl resume ", [PAUSED]),
        ("obelisk-ctl stub ", [ASKED]),
        ("obelisk-ctl cancel ", [ASKED, PAUSED, ASLEEP]),
        (f"obelisk-ctl show {DONE}", [DONE]),
        ("obelisk-ctl replay --component n", ["new.wasm"]),
        ("obelisk-ctl wit --output d", ["deps"]),
        ("obelisk-ctl manifest show ", ["1"]),
        ("obelisk-ctl nonsense ", []),
    ],
)
def test_bash_offers_what_may_stand_there(daemon: Daemon, line: str, offered: list[str]) -> None:
    assert sorted(bash(daemon, line)) == sorted(offered)


def test_ids_of_failures_and_of_delays_are_offered(daemon: Daemon) -> None:
    with closing(daemon.new_api()) as api:
        failure_id = api.show(FAILED)["failure"]["failure_id"]
    assert bash(daemon, "obelisk-ctl error ") == [failure_id]
    assert bash(daemon, "obelisk-ctl delay cancel Delay_")[0].startswith("Delay_")


def test_without_a_daemon_nothing_is_offered_and_nothing_said(daemon: Daemon) -> None:
    assert bash(daemon, "obelisk-ctl cancel ", url="unix:/nowhere/api.sock") == []
    assert bash(daemon, "obelisk-ctl sub", url="unix:/nowhere/api.sock") == ["submit"]


@pytest.mark.skipif(shutil.which("zsh") is None, reason="zsh is not here")
def test_zsh_reads_its_script(daemon: Daemon) -> None:
    asked = "autoload -Uz compinit; compinit -D; source <(obelisk-ctl completion zsh); whence -w _obelisk_ctl"
    assert run_shell(daemon, ["zsh", "-f", "-c", asked], None) == ["_obelisk_ctl: function"]


@pytest.mark.skipif(shutil.which("fish") is None, reason="fish is not here")
def test_fish_offers_what_may_stand_there(daemon: Daemon) -> None:
    asked = "obelisk-ctl completion fish | source; complete --do-complete 'obelisk-ctl sub'"
    assert [line.split("\t")[0] for line in run_shell(daemon, ["fish", "-N", "-c", asked], None)] == ["submit"]
