"""The example that authors copy: its tests pass, and its history replays as in a CI job."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import guests

pytestmark = pytest.mark.guests

ROOT = Path(__file__).resolve().parents[3]
DEMO = ROOT / "components" / "demo-python"


def python(cache: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python in the checkout, with compiled guests in a cache."""
    (cache / "obelisk").symlink_to(cache.with_name("artifacts"))
    env = {**os.environ, "XDG_CACHE_HOME": str(cache)}
    return subprocess.run([sys.executable, *arguments], cwd=ROOT, env=env, capture_output=True, text=True, timeout=300)


@pytest.fixture
def cache(tmp_path: Path, artifacts: Path) -> Path:
    (tmp_path / "artifacts").symlink_to(artifacts)
    (tmp_path / "xdg").mkdir()
    return tmp_path / "xdg"


def test_the_tests_of_the_example_pass(cache: Path) -> None:
    guests.path("demo-python")
    done = python(cache, "-m", "pytest", "-q", "-p", "no:cacheprovider", "components/demo-python")
    assert done.returncode == 0, done.stdout
    assert "5 passed" in done.stdout


def test_the_example_s_history_replays_without_a_daemon(cache: Path) -> None:
    component = str(guests.path("demo-python"))
    log = str(DEMO / "histories" / "fetched.json")
    done = python(cache, "-m", "obelisk_daemon.ctl", "replay", "--log", log, "--component", component)
    assert (done.returncode, done.stderr) == (0, "")
    assert "finished equal" in done.stdout
