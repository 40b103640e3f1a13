"""`systemd-analyze`: a test that needs it is skipped where it isn't, or fails where OBELISK_REQUIRE_SYSTEMD is set."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

import pytest

UNITS: Final = Path(__file__).resolve().parents[2] / "systemd"


def require_systemd() -> None:
    """Skip or fail the test where systemd's tools are not installed."""
    if shutil.which("systemd-analyze"):
        return
    message = "systemd-analyze is not installed: apt-get install systemd"
    if os.environ.get("OBELISK_REQUIRE_SYSTEMD"):
        pytest.fail(message)
    pytest.skip(message)


def analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run systemd-analyze to its end."""
    require_systemd()
    environ = os.environ | {"SYSTEMD_COLORS": "0", "SYSTEMD_PAGER": ""}
    return subprocess.run(["systemd-analyze", *arguments], env=environ, capture_output=True, text=True)
