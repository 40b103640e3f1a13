"""The daemon with the system calls and sockets that its unit allows, and no others."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.conftest import NewDaemon
from tests.e2e.daemon import Daemon, execution_id
from tests.guests import manifest_entry
from tests.systemd import sandbox
from tests.systemd.analyzing import UNITS, require_systemd

SERVICE = UNITS / "obeliskd.service"
FIBO, FIBOA, TRAP = "testing:fibo/fibo.fibo", "testing:fibo/workflow.fiboa", "testing:faults/faults.trap"


def confined(unit: Path = SERVICE) -> list[str]:
    require_systemd()
    return [sys.executable, sandbox.__file__, str(unit)]


@pytest.fixture
def daemon(new_daemon: NewDaemon) -> Daemon:
    """Make a daemon in the sandbox, with nothing compiled yet."""
    tables = [manifest_entry(name) for name in ("fibo-activity", "fibo-workflow")]
    daemon = new_daemon(*tables, manifest_entry("faults", max_retries=0))
    (daemon.state_dir / "cache").unlink()
    daemon.launcher = confined()
    return daemon


def test_it_compiles_and_runs_with_the_system_calls_of_its_unit(daemon: Daemon) -> None:
    daemon.start("--dev", "--listen", "127.0.0.1:0", "--listen", f"unix:{daemon.state_dir}/api.sock")
    assert "Seccomp:\t2" in Path(f"/proc/{daemon.process.pid}/status").read_text()
    assert daemon.api.call(execution_id(1), FIBOA, 10, 20) == {"ok": 55}
    assert daemon.api.call(execution_id(2), TRAP)["execution_failure"]["kind"] == "trap"
    assert daemon.terminate() == 0


def test_without_its_priority_a_component_could_not_be_compiled(daemon: Daemon, tmp_path: Path) -> None:
    unit = tmp_path / "obeliskd.service"
    lines = SERVICE.read_text().splitlines()
    unit.write_text("\n".join(line for line in lines if line != "SystemCallFilter=setpriority setrlimit"))
    daemon.launcher = confined(unit)
    assert daemon.launch().wait() == 78
    assert "os.nice" in daemon.process.text
    daemon.processes.clear()  # what it said is what was expected


def test_the_sandbox_refuses_what_the_unit_refuses() -> None:
    script = "import os, socket\n" + "".join(
        f"try:\n    {attempt}\nexcept OSError as error:\n    print(error.strerror)\n"
        for attempt in ("os.chown('/', 0, 0)", "os.chroot('/')", "socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)")
    )
    ended = subprocess.run([*confined(), sys.executable, "-c", script], capture_output=True, text=True)
    assert ended.stdout.splitlines() == [*["Operation not permitted"] * 2, "Address family not supported by protocol"]
