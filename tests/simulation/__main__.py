"""Run simulations by hand: one with its trace, or many."""

import argparse
import sys
import time

from tests.simulation.world import simulate


def main() -> int:
    """Run what the command line says; answer 1 where anything is wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seed", type=int, help="run this one")
    parser.add_argument("--trace", action="store_true", help="show what happens")
    parser.add_argument("--first", type=int, default=0, help="of many: the first seed")
    parser.add_argument("--seeds", type=int, default=100, help="of many: how many")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="of many: begin no other after so long")
    wanted = parser.parse_args()
    if wanted.seed is not None:
        report = simulate(wanted.seed, tell=print if wanted.trace else None)
        print(report, f"\ntrace {report.trace}, {report.executions} executions, {report.steps} steps")
        return bool(report.violations)
    began, failed, count, executions = time.monotonic(), 0, 0, 0
    for seed in range(wanted.first, wanted.first + wanted.seeds):
        if time.monotonic() - began > wanted.seconds:
            break
        report = simulate(seed)
        count, executions = count + 1, executions + report.executions
        if report.violations:
            failed += 1
            print(report, flush=True)
    took = time.monotonic() - began
    print(f"{count} seeds from {wanted.first}, {executions} executions, {took:.1f} s: {failed} seeds with violations")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
