"""Each situation that aborted the process in a prototype must not abort ours. Run again on each new wasmtime."""

import os
import subprocess
import sys

import pytest

from tests.integration.wasm.lifetime_cases import CASES


@pytest.mark.parametrize("case", [name for name in CASES if name != "run_case"])
def test_the_process_survives(case: str) -> None:
    path = os.pathsep.join(p for p in [os.getcwd(), *sys.path] if p)  # noqa: PTH109
    run = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-W", "error", "-m", "tests.integration.wasm.lifetime_cases", case],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (run.returncode, run.stdout) == (0, "survived\n"), run.stderr
