"""The daemon's own log, where something has gone wrong that nobody foresaw."""

import os
import subprocess
import sys

import pytest

CRASH = """
import sys
from types import SimpleNamespace
import structlog
from obelisk_daemon.daemon_log import configure

def connect(password, nested):
    raise RuntimeError("it broke")

configure(SimpleNamespace(format=sys.argv[1], level="debug"))
try:
    connect("canary-" + "of-a-variable", {"key": ["canary-" + "of-a-part"]})
except RuntimeError:
    structlog.get_logger("test").exception("crashed")
"""


@pytest.mark.parametrize("format_", ["console", "json"])
def test_the_log_of_a_crash_tells_the_place_and_no_values_of_variables(format_: str) -> None:
    path = os.pathsep.join(part for part in sys.path if part)
    command = [sys.executable, "-c", CRASH, format_]
    run = subprocess.run(command, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, timeout=60)
    assert run.returncode == 0
    assert "RuntimeError: it broke" in run.stderr
    assert "canary-of" not in run.stderr
