"""Measure this machine: `python -m tests.bench [WORKLOAD...] [--json]`."""

import argparse
import json

from tests.bench.workloads import WORKLOADS


def main() -> None:
    """Run the workloads named, or all, and print a table or JSON."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench")
    parser.add_argument("workload", nargs="*", choices=[*WORKLOADS, []], help=", ".join(WORKLOADS))
    parser.add_argument("--json", action="store_true", help="one JSON document, for programs")
    options = parser.parse_args()
    measured = []
    for name in options.workload or WORKLOADS:
        for row in WORKLOADS[name]():
            measured.append(row._asdict())
            if not options.json:
                print(f"{row.name:42}{row.value:12,.2f} {row.unit:8} {row.note}".rstrip(), flush=True)
    if options.json:
        print(json.dumps(measured))


if __name__ == "__main__":
    main()
