"""A state directory that is damaged, full or gone: a clear end or answer, and nothing is overwritten or lost."""

import os
import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

import pytest

from tests.e2e.conftest import NewDaemon
from tests.e2e.daemon import Daemon, execution_id
from tests.guests import manifest_entry, path

FIBO, FIBOA = "testing:fibo/fibo.fibo", "testing:fibo/workflow.fiboa"
ECHO: Final = "testing:faults/faults.echo-text"
TABLES: Final = (manifest_entry("fibo-activity"), manifest_entry("fibo-workflow"), manifest_entry("faults"))
REFUSED, STORAGE_FAILED = 78, 74
SPACE: Final = "12m"


@pytest.fixture
def daemon(new_daemon: NewDaemon) -> Daemon:
    """A daemon that has run, and a workflow of which has finished."""
    daemon = new_daemon(*TABLES)
    daemon.start()
    assert daemon.api.call(execution_id(1), FIBOA, 10, 20) == {"ok": 55}
    return daemon


def database_of(daemon: Daemon) -> Path:
    return daemon.state_dir / "obelisk.db"


# damaged before a start


def cut_short(file: Path) -> None:
    os.truncate(file, file.stat().st_size // 2)


def lose_all_but_the_log(file: Path) -> None:
    os.truncate(file, 0)
    Path(f"{file}-wal").write_bytes(b"committed")


def overwrite_the_head(file: Path) -> None:
    with file.open("r+b") as opened:
        opened.write(b"\x00" * 4_096)


def come_from_a_newer_daemon(file: Path) -> None:
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA user_version = 99")


def be_another_programs(file: Path) -> None:
    file.unlink()
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("CREATE TABLE customers (name TEXT)")


@pytest.mark.parametrize(
    "damage", [cut_short, lose_all_but_the_log, overwrite_the_head, come_from_a_newer_daemon, be_another_programs]
)
def test_a_damaged_database_ends_the_start_with_a_clear_error_and_is_left_as_it_was(
    daemon: Daemon, damage: Callable[[Path], None]
) -> None:
    assert daemon.terminate() == 0
    file = database_of(daemon)
    damage(file)
    before = file.read_bytes()
    process = daemon.launch()
    assert process.wait() == REFUSED
    assert str(file) in process.text
    assert file.read_bytes() == before


def test_damage_within_the_database_is_never_taken_for_data(daemon: Daemon) -> None:
    assert daemon.terminate() == 0
    file = database_of(daemon)
    backup = file.read_bytes()
    with file.open("r+b") as opened:
        opened.seek(4_096)
        opened.write(os.urandom(file.stat().st_size - 4_096))
    process = daemon.launch()
    assert process.wait() == REFUSED
    assert "obelisk.db" in process.text
    file.write_bytes(backup)
    daemon.start()
    assert daemon.api.result(execution_id(1)) == {"ok": 55}
    assert daemon.terminate() == 0


# deleted or swapped while it runs


@pytest.mark.parametrize("becomes", ["deleted", "swapped"])
def test_a_database_that_goes_ends_the_daemon_before_it_acknowledges_more(daemon: Daemon, becomes: str) -> None:
    daemon.expected_errors |= {"storage_broken", "request_failed", "lock_failed", "heartbeat_failed"}
    file = database_of(daemon)
    if becomes == "deleted":
        file.unlink()
    else:
        shutil.copyfile(file, file.with_name("other"))
        file.with_name("other").replace(file)
    assert daemon.process.wait() == STORAGE_FAILED
    (broken,) = [line for line in daemon.process.events() if line["event"] == "storage_broken"]
    assert broken["code"] == "database_moved"
    assert str(file) in broken["detail"]


def test_a_component_whose_file_goes_runs_on_from_the_database(new_daemon: NewDaemon, tmp_path: Path) -> None:
    file = tmp_path / "fibo.wasm"
    shutil.copyfile(path("fibo-activity"), file)
    daemon = new_daemon(manifest_entry("fibo-activity", path=str(file)))
    daemon.start()
    file.unlink()
    assert daemon.api.call(execution_id(1), FIBO, 10) == {"ok": 55}
    assert daemon.ctl("manifest", "reload").code == 0
    daemon.kill()
    daemon.start()
    assert daemon.api.call(execution_id(2), FIBO, 10) == {"ok": 55}
    assert daemon.terminate() == 0


# full, or read-only


def _mount(*arguments: str) -> bool:
    return subprocess.run(["mount", *arguments], capture_output=True).returncode == 0


@pytest.fixture
def small(new_daemon: NewDaemon, artifacts: Path) -> Iterator[Daemon]:
    """A daemon whose state directory is a small file system of its own."""
    daemon = new_daemon(*TABLES)
    if shutil.which("mount") is None or not _mount(
        "-t", "tmpfs", "-o", f"size={SPACE}", "tmpfs", str(daemon.state_dir)
    ):
        pytest.skip("only root can mount a file system")
    try:
        (daemon.state_dir / "cache").symlink_to(artifacts)
        yield daemon
    finally:
        daemon.end()
        subprocess.run(["umount", "--lazy", str(daemon.state_dir)], check=True)


def fill(daemon: Daemon) -> str:
    """Submit big calls until one is refused; give its id."""
    text = "x" * 200_000
    for number in range(100, 1_000):
        body = {"ffqn": ECHO, "params": [text]}
        status, document = daemon.api.request("PUT", f"/v1/executions/{execution_id(number)}", body)
        if status != 201:
            assert (status, document["code"]) == (507, "storage_full"), document
            return execution_id(number)
    raise AssertionError("the disk is not full")


def test_a_full_disk_is_told_and_everything_goes_on_when_there_is_room(small: Daemon) -> None:
    small.expected_errors |= {"lock_failed", "heartbeat_failed", "timers_failed", "request_failed", "retention_failed"}
    ballast = small.state_dir / "ballast"
    ballast.write_bytes(b"x" * 4_000_000)
    small.start()
    assert small.api.call(execution_id(1), FIBOA, 10, 5) == {"ok": 55}
    refused = fill(small)
    assert small.process.is_alive
    assert small.api.request("GET", f"/v1/executions/{refused}")[0] == 404
    ballast.unlink()
    small.api.submit(refused, ECHO, "x" * 10)
    assert small.api.result(refused) == {"ok": "x" * 10}
    for number in range(100, 102):
        assert set(small.api.result(execution_id(number))) == {"ok"}
    assert small.terminate() == 0
    assert small.run("check-db", str(database_of(small)), "--full").code == 0


def test_a_state_directory_that_becomes_read_only_loses_nothing(small: Daemon) -> None:
    small.expected_errors |= {"lock_failed", "heartbeat_failed", "timers_failed", "request_failed", "storage_broken"}
    small.start()
    assert small.api.call(execution_id(1), FIBOA, 10, 5) == {"ok": 55}
    small.kill()
    assert _mount("-o", "remount,ro", str(small.state_dir))
    process = small.launch()
    assert process.wait() == REFUSED
    assert str(small.state_dir) in process.text
    assert _mount("-o", "remount,rw", str(small.state_dir))
    small.start()
    assert small.api.result(execution_id(1)) == {"ok": 55}
    assert small.terminate() == 0
