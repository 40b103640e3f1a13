"""Damaged components: none takes the daemon down, whatever comes of it."""

import os
import subprocess
import sys
from collections import Counter

import pytest

BATCH = 100
ALL = 20_000 if os.environ.get("OBELISK_SOAK") else 300
ALL_HERE = 200_000 if os.environ.get("OBELISK_SOAK") else 1_000


@pytest.mark.parametrize("first", range(0, ALL, BATCH))
def test_no_damaged_component_takes_the_daemon_down(first: int) -> None:
    survive(str(first), str(BATCH))


@pytest.mark.parametrize("first", range(ALL, ALL + ALL_HERE, 1_000))
def test_no_damaged_component_takes_a_process_down_that_compiles_it_too(first: int) -> None:
    survive("--here", str(first), "1000")


def survive(*arguments: str) -> None:
    """Try seeds in a process of their own: an abort is a failure here, and the seeds that were tried then are named."""
    command = ["-X", "faulthandler", "-W", "error", "-m", "tests.hostile.mutating", *arguments]
    path = os.pathsep.join(p for p in [os.getcwd(), *sys.path] if p)  # noqa: PTH109
    run = subprocess.run(
        [sys.executable, *command], env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, timeout=600
    )
    tried = Counter(line for line in run.stdout.splitlines() if line.startswith("seed"))
    culprits = [seed for seed, times in tried.items() if times == 1]
    assert (run.returncode, culprits) == (0, []), run.stderr[-4_000:]
    assert len(tried) == int(arguments[-1])
    became = run.stdout.splitlines()[-1]
    assert became.startswith("survived")
    assert "status" not in became, "a compiling process has crashed"
    assert "trapped" in became, "hardly any component was run: the damage is too great to show anything"
