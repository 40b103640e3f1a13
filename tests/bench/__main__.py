"""Measure this machine: `python -m tests.bench [WORKLOAD...] [--rounds N] [--json FILE] [--profile DIRECTORY]`."""

import argparse
import json
import os
import platform
import signal
import subprocess
import sys
from pathlib import Path

from tests.bench.peers.usage import load
from tests.bench.rows import Row
from tests.bench.run import Run
from tests.bench.workloads import BY_DEFAULT, WORKLOADS

_HEAD = f"{'':77} {'p50 ms':>8} {'p99 ms':>8} {'RSS MiB':>8} {'commits':>8} {'written':>9} {'/ floor':>7}  goal"


def main() -> None:
    """Run the workloads named, or those of the table in the README; print a table, and write JSON if asked to."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench", epilog=_described(), formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("workload", nargs="*", help=f"by default {', '.join(BY_DEFAULT)}")
    parser.add_argument("--rounds", type=int, default=3, help="of each; the median is given (default: 3)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write what was measured to a file")
    parser.add_argument("--profile", type=Path, metavar="DIRECTORY", help="also write where the daemon's time went")
    options = parser.parse_args()
    if unknown := [name for name in options.workload if name not in WORKLOADS]:
        parser.error(f"no workload {', '.join(unknown)}; there are {', '.join(WORKLOADS)}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # ends the daemon and removes its directory
    run = Run(options.rounds, options.profile)
    measured: dict[str, list[Row]] = {}
    print(_HEAD)
    for name in options.workload or BY_DEFAULT:
        measured[name] = []
        for row in WORKLOADS[name](run):
            measured[name].append(row)
            print(line(row), flush=True)
        if options.json:  # after each, since a later one may fail
            options.json.parent.mkdir(parents=True, exist_ok=True)
            options.json.write_text(json.dumps(document(run, measured), indent=1) + "\n")


def _described() -> str:
    """List the workloads with what each measures."""
    lines = [f"  {name:18}{(measure.__doc__ or '').splitlines()[0]}" for name, measure in WORKLOADS.items()]
    return "\n".join(["workloads:", *lines])


def line(row: Row) -> str:
    """Write a row of the table; `commits` and `written` are for each operation."""
    cells = (_number(row.p50, 8), _number(row.p99, 8), _number(row.rss, 8, 0), _number(row.commits, 8))
    met = "" if row.goal is None else f"{'at most' if row.goal.most else 'at least'} {row.goal.bound:,.4g}"
    verdict = "" if row.goal is None else (" ok" if row.goal.met(row.value) else " MISSED")
    text = f"{row.name:56}{row.value:12,.2f} {row.unit:8} {' '.join(cells)} {_number(row.written, 9, 0)}"
    return f"{text} {_number(row.floor, 7)}  {met}{verdict}{'  ' if met and row.note else ''}{row.note}".rstrip()


def document(run: Run, measured: dict[str, list[Row]]) -> dict[str, object]:
    """Write what was measured as a JSON document."""
    commit = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False).stdout.strip()
    machine = {"cores": os.cpu_count(), "python": platform.python_version(), "system": platform.platform()}
    workloads = {name: [_plain(row) for row in rows] for name, rows in measured.items()}
    return {"commit": commit, "rounds": run.rounds, "machine": machine | {"load": load()}, "workloads": workloads}


def _plain(row: Row) -> dict[str, object]:
    fields = {key: value for key, value in row._asdict().items() if value not in (None, "")}
    if row.goal is not None:
        fields["goal"] = row.goal._asdict() | {"met": row.goal.met(row.value)}
    return fields


def _number(value: float | None, width: int, digits: int = 2) -> str:
    return " " * width if value is None else f"{value:{width},.{digits}f}"


if __name__ == "__main__":
    main()
