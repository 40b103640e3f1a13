"""Plots and a table of what was measured: `python -m tests.bench.plots FILE`, where FILE is what `--json` wrote.

They are put beside it: `peers.svg`, `floor.svg` and `README.md`.
"""

import argparse
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from tests.bench.bars import Bar, Panel, number, svg

_UNITS: Final = {"x": "times"}


def main() -> None:
    """Write the plots and the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.plots")
    parser.add_argument("file", type=Path)
    file: Path = parser.parse_args().file
    measured = json.loads(file.read_text())
    for name, text in render(measured).items():
        file.with_name(name).write_text(text)
        print(file.with_name(name))


def render(measured: Mapping[str, Any]) -> dict[str, str]:
    """Give the text of each file; a plot of workloads that were not measured is left out."""
    workloads = measured["workloads"]
    plots = {"peers.svg": list(_peers(workloads)), "floor.svg": list(_floor(workloads))}
    files = {name: svg(panels) for name, panels in plots.items() if panels}
    return files | {"README.md": _document(measured, files)}


def _peers(workloads: Mapping[str, Any]) -> Iterator[Panel]:
    rows = workloads.get("peers", [])
    for what, title in (
        ("steps one after the other", "Steps of one workflow, one after the other, a second"),
        ("3-step workflows, 50 clients", "Workflows of three steps, 50 clients, a second"),
    ):
        found = [(row["name"].partition(": ")[0], row["value"]) for row in rows if row["name"].endswith(f": {what}")]
        if found:
            yield Panel(title, [Bar(name, value, name == "obelisk") for name, value in found])


def _floor(workloads: Mapping[str, Any]) -> Iterator[Panel]:
    for name, title in (
        ("serial", "One workflow, 500 calls of an activity, calls a second"),
        ("parallel", "100 workflows, 10 calls of an activity each, calls a second"),
    ):
        rows = workloads.get(name)
        if rows:
            value, ratio = rows[0]["value"], rows[0]["floor"]
            yield Panel(title, [Bar("obelisk", value, True), Bar("bare loop", value / ratio, False)])


def _document(measured: Mapping[str, Any], plots: Mapping[str, str]) -> str:
    machine = measured["machine"]
    lines = [
        "# Measurements",
        "",
        f"`make bench`, medians of {measured['rounds']}, on {machine['cores']} cores, Python {machine['python']},",
        f"{machine['load']}, at {measured['commit'][:12]}. Made by `make bench-compare` from",
        "[results.json](results.json). `commits` and `bytes` are for each operation.",
        "",
        *(f"![{name.partition('.')[0]}]({name})" for name in plots),
        "",
        "| what | measured | | p50 ms | p99 ms | RSS MiB | commits | bytes | of the floor | goal |",
        "|---|---:|---|---:|---:|---:|---:|---:|---:|---|",
        *(_line(row) for rows in measured["workloads"].values() for row in rows),
    ]
    return "\n".join(lines) + "\n"


def _line(row: Mapping[str, Any]) -> str:
    cells = [number(row[key]) if key in row else "" for key in ("p50", "p99", "rss", "commits", "written", "floor")]
    unit = row.get("unit", "")  # a number of something has none
    unit = _UNITS.get(unit, unit)
    return f"| {row['name']} | {number(row['value'])} | {unit} | {' | '.join(cells)} | {_goal(row.get('goal'))} |"


def _goal(goal: Mapping[str, Any] | None) -> str:
    if goal is None:
        return ""
    return f"{'at most' if goal['most'] else 'at least'} {number(goal['bound'])}{'' if goal['met'] else ', missed'}"


if __name__ == "__main__":
    main()
