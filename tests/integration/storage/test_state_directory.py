"""The state directory belongs to one daemon at a time, for exactly as long as that daemon lives."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from obelisk_daemon.errors import OperatorError
from obelisk_daemon.storage.sqlite.directory import hold

HOLDER = """
import subprocess, sys
from pathlib import Path
from obelisk_daemon.storage.sqlite.directory import hold
with hold(Path(sys.argv[1])):
    child = subprocess.Popen(["sleep", "60"])
    print(child.pid, flush=True)
    sys.stdin.read()
"""


@contextmanager
def holder(directory: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Run a process that holds the directory, with a child of its own that outlives it."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(directory)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin is not None
    assert process.stdout is not None
    child = int(process.stdout.readline())
    try:
        yield process, child
    finally:
        os.kill(child, signal.SIGKILL)
        process.kill()
        process.communicate()


def test_a_directory_is_made_and_held(tmp_path: Path) -> None:
    with hold(tmp_path / "a" / "state"):
        assert (tmp_path / "a" / "state").is_dir()


def test_a_second_holder_is_refused_and_told_the_first_ones_process_id(tmp_path: Path) -> None:
    with holder(tmp_path) as (process, _), pytest.raises(OperatorError) as refused, hold(tmp_path):
        pytest.fail("held twice")
    assert refused.value.code == "state_dir_in_use"
    assert str(tmp_path) in str(refused.value)
    assert str(refused.value).endswith(f"process id {process.pid}")


def test_a_refused_holder_does_not_disturb_the_first(tmp_path: Path) -> None:
    with holder(tmp_path) as (process, _):
        for _ in range(2):
            with pytest.raises(OperatorError, match=f"process id {process.pid}"), hold(tmp_path):
                pytest.fail("held twice")


def test_a_killed_holder_lets_go_though_its_child_lives_on(tmp_path: Path) -> None:
    with holder(tmp_path) as (process, child):
        process.kill()
        process.wait()
        os.kill(child, 0)
        with hold(tmp_path):
            assert (tmp_path / "lock").read_text() == f"{os.getpid()}\n"


def test_a_directory_can_be_held_again_after_it_was_let_go(tmp_path: Path) -> None:
    for _ in range(2):
        with hold(tmp_path):
            pass


def test_a_directory_is_let_go_when_its_holder_fails(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="x"), hold(tmp_path):
        raise ValueError("x")
    with hold(tmp_path):
        pass


def test_a_place_that_can_be_no_directory_is_the_operators_to_correct(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OperatorError) as refused, hold(tmp_path / "file" / "state"):
        pytest.fail("held")
    assert refused.value.code == "state_dir_unusable"
