"""The units: systemd takes them without a word, they are closed tightly, and they agree with the daemon."""

import json
import subprocess
from datetime import timedelta
from pathlib import Path

import pytest

from obelisk_config import Surroundings, load
from tests.e2e.daemon import SCRIPTS
from tests.systemd.analyzing import UNITS, analyze
from tests.systemd.sandbox import settings

SERVICE, SOCKET = UNITS / "obeliskd.service", UNITS / "obeliskd.socket"
EXAMPLES = sorted((UNITS / "obeliskd.service.d").glob("*.conf.example"))
ALLOWED_EXPOSURE = 20
"""In tenths: systemd calls what is at 2.0 or below OK."""
OPEN = {
    "RestrictAddressFamilies=~AF_(INET|INET6)",  # activities do HTTP
    "PrivateNetwork=",
    "IPAddressDeny=",
    "RestrictAddressFamilies=~AF_UNIX",  # the API
    "MemoryDenyWriteExecute=",  # WebAssembly becomes machine code
    "SystemCallFilter=~@resources",  # the compiling child's setpriority alone
    "RootDirectory=/RootImage=",
    "DeviceAllow=",  # the clock, read only: ProtectClock= asks for it
}
"""What systemd would have closed as well, and why it can't be."""


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """Copy the units, with the programs where they are here: systemd looks if they can be executed."""
    for unit in (SERVICE, SOCKET):
        install(unit, tmp_path / unit.name)
    return tmp_path


def install(source: Path, target: Path) -> None:
    text = source.read_text()
    for programs in ("/opt/obelisk/bin", "/usr/local/bin"):
        text = text.replace(programs, str(SCRIPTS))
    target.parent.mkdir(exist_ok=True)
    target.write_text(text)


def verify(installed: Path) -> str:
    ended = analyze("verify", str(installed / SERVICE.name), str(installed / SOCKET.name))
    return f"{ended.returncode}\n{ended.stdout}{ended.stderr}"


def test_systemd_has_nothing_to_say_about_the_units(installed: Path) -> None:
    assert verify(installed) == "0\n"


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_systemd_has_nothing_to_say_about_an_example_of_a_drop_in(installed: Path, example: Path) -> None:
    install(example, installed / "obeliskd.service.d" / example.with_suffix("").name)
    assert verify(installed) == "0\n"
    (installed / "obeliskd.service.d" / "wrong.conf").write_text("[Service]\nNoSuchKey=1\n")
    assert "NoSuchKey" in verify(installed)


def test_the_service_is_closed_tightly(installed: Path) -> None:
    def security(unit: str, *options: str) -> subprocess.CompletedProcess[str]:
        return analyze("security", "--offline=true", *options, str(installed / unit))

    threshold = f"--threshold={ALLOWED_EXPOSURE}"
    assert security(SERVICE.name, threshold).returncode == 0
    checks = json.loads(security(SERVICE.name, "--json=short").stdout)
    assert {check["name"] for check in checks if check["set"] is False} == OPEN
    # the threshold counts in tenths: a unit without a sandbox is above it
    (installed / "open.service").write_text(f"[Service]\nExecStart={SCRIPTS}/obeliskd\n")
    assert security("open.service", threshold).returncode != 0


def test_the_unit_leaves_webassembly_its_memory() -> None:
    for key in ("MemoryDenyWriteExecute", "LimitAS"):
        assert settings(SERVICE, key) == []


def test_the_socket_of_the_units_is_the_one_that_the_daemon_makes_by_itself() -> None:
    (runtime,), (path,) = settings(SERVICE, "RuntimeDirectory"), settings(SOCKET, "ListenStream")
    manifest = load(b"", Path("/etc/obelisk/obelisk.toml"), Surroundings({"RUNTIME_DIRECTORY": f"/run/{runtime}"}))
    assert [str(listen) for listen in manifest.daemon.listen] == [f"unix:{path}"]
    (reload,) = settings(SERVICE, "ExecReload")
    assert f" --url unix:{path} " in reload


def test_a_stop_with_the_default_grace_has_time_in_the_unit() -> None:
    grace = load(b"", Path("obelisk.toml")).daemon.stop_grace
    (stop,) = settings(SERVICE, "TimeoutStopSec")
    assert timedelta(seconds=int(stop.removesuffix("s"))) >= grace + timedelta(seconds=30)


def test_what_another_start_can_not_mend_is_not_started_again() -> None:
    (prevented,) = settings(SERVICE, "RestartPreventExitStatus")
    # 70 is a bug, 74 a database that only a start can read: both are worth another start
    assert set(prevented.split()) == {"64", "65", "77", "78"}
    assert settings(SERVICE, "Restart") == ["on-failure"]
