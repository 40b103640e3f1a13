"""Whatever goes wrong, and in whichever order, nothing breaks an invariant, and everything finishes (issue 7)."""

import os
import subprocess
import sys

import pytest

from tests.simulation.world import again, simulate

SEEDS = 20_000 if os.environ.get("OBELISK_SOAK") else 500
CHUNK = 50


@pytest.mark.parametrize("first", range(0, SEEDS, CHUNK))
def test_no_seed_breaks_an_invariant_and_everything_finishes(first: int) -> None:
    failed = [report for seed in range(first, first + CHUNK) if (report := simulate(seed)).violations]
    assert not failed, "\n".join(map(str, failed))


def test_the_same_seed_does_the_same_also_in_another_process() -> None:
    script = "from tests.simulation.world import simulate; print(*[simulate(seed).trace for seed in range(8)])"
    here = [simulate(seed).trace for seed in range(8)]
    for hash_seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
        there = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True)
        assert there.stdout.split() == here, there.stderr


def test_a_seed_that_fails_says_how_to_run_it_again() -> None:
    report = simulate(3)
    assert again(3) == "python -m tests.simulation --seed 3 --trace"
    assert str(report).endswith(again(3))
